//! What was minimised, in words for the manifest.

use super::TrainConfig;
use super::names::{AlgorithmName, ConfidenceName, InferenceName};

impl TrainConfig {
    /// What is minimised, for the manifest.
    pub(super) fn objective_text(&self) -> String {
        let c = self.resolved();
        match c.algorithm_name() {
            AlgorithmName::Gd => "mean over ratings (r - p.q)^2".into(),
            AlgorithmName::Als | AlgorithmName::Sgd => {
                let z = if c.no_mean { "r" } else { "(r - mean) / scale" };
                let biases = if c.no_biases { "" } else { " - b_u - b_i" };
                let penalty = if c.no_biases {
                    ""
                } else {
                    " + (bias_damping + lambda_biases * rho(n)) * bias^2"
                };
                format!(
                    "sum over ratings w ({z}{biases} - p.q)^2 + lambda * rho(n) * |vector|^2{penalty}"
                )
            }
            AlgorithmName::Bayes => {
                let biases = if c.no_biases { "" } else { " + b_u + b_i" };
                let what = match c.inference {
                    Some(InferenceName::Vb) => {
                        "mean of independent normal posteriors of the rows under"
                    }
                    _ => "mean over samples of",
                };
                format!(
                    "{what} z ~ N(p.q{biases}, noise), vectors ~ N(m, inverse of L) with \
                     Normal-Wishart (m, L), z = (r - mean) / scale"
                )
            }
            AlgorithmName::Ials => {
                let confidence = match c.confidence.unwrap_or(ConfidenceName::Unit) {
                    ConfidenceName::Unit => {
                        return "sum over ratings (1 - p.q)^2 + unobserved_weight * sum over all pairs (p.q)^2 + \
                                lambda * rho * |vector|^2"
                            .into();
                    }
                    ConfidenceName::Linear => "1 + alpha r",
                    ConfidenceName::Log => "1 + alpha ln(1 + r / epsilon)",
                    ConfidenceName::Raw => "alpha r",
                };
                format!(
                    "sum over ratings c (1 - p.q)^2 + unobserved_weight * sum over all other pairs (p.q)^2 + \
                     lambda * rho * |vector|^2, c = {confidence}"
                )
            }
        }
    }

    /// How the regularisation grows with a row's number of ratings, for the manifest.
    pub(super) fn weighting_text(&self) -> &'static str {
        match self.algorithm_name() {
            AlgorithmName::Als | AlgorithmName::Sgd => {
                "lambda * mean_n * (n / mean_n)^reg_exponent"
            }
            AlgorithmName::Bayes | AlgorithmName::Gd => "none",
            AlgorithmName::Ials => {
                "lambda * (n + unobserved_weight * N)^reg_exponent, N the rows of the other side"
            }
        }
    }
}
