//! The algorithm that the settings name: its defaults, what goes with it, and what it is built from.

use super::laws::MOST_FACTORS;
use super::names::{
    AlgorithmName, ConfidenceName, CovarianceName, InferenceName, ScheduleName, SolverName,
};
use super::{Criterion, Holdout, TrainConfig};
use crate::load::prepare::Duplicates;
use crate::metric::ranking::RankingMetric;
use crate::objective::{Confidence, Regularization};
use crate::param::{Automatic, Count, Exponent, Fraction, Natural, NonNegative, Positive, Rank};
use crate::train::{
    Algorithm, Als, Bayes, Covariances, Gd, Ials, Schedule, Sgd, SolverChoice, Variational,
};

/// Damping of the biases, in ratings.
const BIAS_DAMPING: f64 = 4.0;

impl TrainConfig {
    /// The algorithm: the one that was set, or the default, `bayes`. Where settings are given that als has and
    /// bayes has not, they decide: such a configuration meant als before bayes became the default.
    #[must_use]
    pub fn algorithm_name(&self) -> AlgorithmName {
        match self.algorithm {
            Some(name) => name,
            None if self.positive_from.is_some() => AlgorithmName::Ials,
            None if self.setting_of_als().is_some() => AlgorithmName::Als,
            None => AlgorithmName::Bayes,
        }
    }

    /// The first setting that als has and bayes has not.
    fn setting_of_als(&self) -> Option<&'static str> {
        let given = [
            ("regularization", self.regularization.is_some()),
            ("reg-exponent", self.reg_exponent.is_some()),
            ("bias-damping", self.bias_damping.is_some()),
            ("bias-reg", self.bias_reg.is_some()),
            ("user-reg", self.user_reg.is_some()),
            ("item-reg", self.item_reg.is_some()),
            ("solver", self.solver.is_some()),
            ("cg-steps", self.cg_steps.is_some()),
            ("block", self.block.is_some()),
            ("patience", self.patience.is_some()),
            ("no-mean", self.no_mean),
            ("nonnegative", self.nonnegative),
            ("factors 0", self.factors.is_some_and(|k| k.get() == 0)),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// The warning for a setting that selects als where no algorithm is named.
    #[must_use]
    pub fn implied_algorithm(&self) -> Option<String> {
        let setting = self.setting_of_als()?;
        (self.algorithm.is_none() && self.positive_from.is_none()).then(|| {
            format!(
                "--{setting} is a setting of als, so als is trained instead of the default, bayes: give \
                 -a als if that is meant"
            )
        })
    }

    /// Whether rows without ratings may be taken for events: nothing was said of it.
    pub(super) fn may_be_events(&self) -> bool {
        let stdin = self.input.iter().any(|input| input == "-");
        self.algorithm.is_none() && self.load.rating_col.is_none() && !stdin
    }

    /// The same settings for events.
    pub(super) fn of_events(&self) -> Self {
        Self { algorithm: Some(AlgorithmName::Ials), ..self.clone() }
    }

    /// The ranking metrics that are measured where none are asked for.
    pub(super) fn unasked_metrics() -> Vec<RankingMetric> {
        vec![RankingMetric::ndcg(10), RankingMetric::recall(20)]
    }

    /// Whether values are counts of events; ratings otherwise, also where the high ones become events.
    #[must_use]
    pub(crate) fn reads_counts(&self) -> bool {
        self.algorithm_name() == AlgorithmName::Ials && self.positive_from.is_none()
    }

    /// The same settings with the algorithm's defaults in place of what was not given.
    #[must_use]
    pub fn resolved(&self) -> Self {
        fn fill<T>(setting: &mut Option<T>, default: T) {
            setting.get_or_insert(default);
        }
        let mut c = self.clone();
        let name = self.algorithm_name();
        c.algorithm = Some(name);
        let implicit = name == AlgorithmName::Ials;
        // Counts add up, weighted ones cannot.
        let sum = self.reads_counts() && c.load.weight_col.is_none();
        fill(&mut c.load.duplicates, if sum { Duplicates::Sum } else { Duplicates::Last });
        match name {
            // By the law of density.
            AlgorithmName::Bayes => {}
            AlgorithmName::Gd => fill(&mut c.factors, Rank::literal(10)),
            _ => fill(&mut c.factors, Rank::literal(64)),
        }
        if implicit && c.metrics.is_empty() {
            c.metrics = Self::unasked_metrics();
        }
        if c.holdout == Holdout::User {
            fill(&mut c.fold_in_ratio, Fraction::literal(0.8));
        }
        if c.patience.is_some() {
            fill(&mut c.criterion, self.criterion());
        }
        if name == AlgorithmName::Bayes {
            let sampling = c.burn_in.is_some() || c.samples.is_some();
            let inference = if sampling { InferenceName::Gibbs } else { InferenceName::Vb };
            fill(&mut c.inference, inference);
            fill(&mut c.keep_samples, Natural::literal(0));
            if c.inference == Some(InferenceName::Vb) {
                fill(&mut c.iterations, Count::literal(20));
                fill(&mut c.covariance, CovarianceName::Shared);
            } else {
                fill(&mut c.burn_in, Natural::literal(50));
                fill(&mut c.samples, Count::literal(150));
            }
            return c;
        }
        let gradient = matches!(name, AlgorithmName::Sgd | AlgorithmName::Gd);
        fill(
            &mut c.iterations,
            Count::literal(match name {
                AlgorithmName::Sgd => 20,
                AlgorithmName::Gd => 700,
                _ => 15,
            }),
        );
        fill(&mut c.tol, NonNegative::literal(if gradient { 0.0 } else { 1e-4 }));
        if gradient {
            fill(&mut c.learning_rate, Positive::literal(0.1));
        }
        if name == AlgorithmName::Gd {
            return c;
        }
        fill(&mut c.reg_exponent, Exponent::literal(if implicit { 1.0 } else { 0.5 }));
        if !implicit && !c.no_biases && !c.nonnegative {
            let damping = if c.bias_reg.is_some() { 0.0 } else { BIAS_DAMPING };
            fill(&mut c.bias_damping, NonNegative::literal(damping));
            fill(&mut c.bias_reg, NonNegative::literal(0.0));
        }
        if name == AlgorithmName::Sgd {
            fill(&mut c.schedule, ScheduleName::Adaptive);
            return c;
        }
        if c.nonnegative {
            (c.no_mean, c.no_biases) = (true, true);
        } else {
            fill(&mut c.solver, SolverName::Cholesky);
        }
        match c.solver {
            Some(SolverName::Cg) => fill(&mut c.cg_steps, Count::literal(3)),
            Some(SolverName::Subspace) => fill(&mut c.block, Count::literal(32)),
            _ => {}
        }
        if implicit {
            fill(&mut c.confidence, ConfidenceName::Unit);
            if c.confidence != Some(ConfidenceName::Unit) {
                fill(&mut c.alpha, NonNegative::literal(1.0));
            }
            if c.confidence == Some(ConfidenceName::Log) {
                fill(&mut c.epsilon, NonNegative::literal(1.0));
            }
        }
        c
    }

    /// What `--patience` and tuning go by.
    #[must_use]
    pub fn criterion(&self) -> Criterion {
        self.criterion.unwrap_or_else(|| match self.algorithm_name() {
            AlgorithmName::Ials => Criterion::Ranking(RankingMetric::ndcg(10)),
            _ => Criterion::Rmse,
        })
    }

    /// Whether a warm start needs the distributions of the model before, beside its vectors: from the means
    /// alone, variational inference would come to a worse fit, night by night.
    pub(crate) fn begins_at_distributions(&self) -> bool {
        let c = self.resolved();
        c.algorithm_name() == AlgorithmName::Bayes && c.inference == Some(InferenceName::Vb)
    }

    /// Whether the fit is to standardised ratings.
    pub(crate) fn standardises(&self) -> bool {
        let fits_raw = matches!(self.algorithm_name(), AlgorithmName::Gd | AlgorithmName::Ials);
        !fits_raw && !self.resolved().no_mean
    }

    /// Memory per user and item that a fit takes beside the ratings, about: factors, the best ones with
    /// patience, and what the algorithm keeps of each row.
    pub(crate) fn bytes_per_row(&self) -> usize {
        let c = self.resolved();
        let rank = c.rank();
        let own = match (c.algorithm_name(), c.inference) {
            (AlgorithmName::Bayes, Some(InferenceName::Vb)) if c.owns_covariances() => {
                rank * (rank + 3) / 2
            }
            (AlgorithmName::Bayes, Some(InferenceName::Vb)) => 0,
            // Sums of samples before they are compressed.
            (AlgorithmName::Bayes, _) => 4 * rank,
            _ => 0,
        };
        4 * (3 * (rank.next_multiple_of(16) + 1) + own)
    }

    /// Memory per user and item that the state of a fit takes, about.
    pub(crate) fn state_bytes_per_row(&self) -> usize {
        let c = self.resolved();
        let rank = c.rank();
        let more = match (c.algorithm_name(), c.inference) {
            (AlgorithmName::Bayes, Some(InferenceName::Vb)) if c.owns_covariances() => {
                rank * (rank + 3) / 2
            }
            (AlgorithmName::Bayes, Some(InferenceName::Vb)) => 0,
            // Sums of samples and of biases.
            (AlgorithmName::Bayes, _) => 6 * rank + 4,
            (AlgorithmName::Sgd, _) => 2,
            _ => 0,
        };
        let best = if c.patience.is_some() { rank + 1 } else { 0 };
        4 * (rank + 1 + more + best)
    }

    /// Iterations that will be run at most.
    pub(crate) fn iterations(&self) -> u32 {
        let c = self.resolved();
        let sampling =
            c.burn_in.map_or(0, Natural::get).saturating_add(c.samples.map_or(0, Count::get));
        c.iterations.map_or(sampling, Count::get)
    }

    /// Entries of a vector; at most, where the rank follows the density and the ratings are not known yet.
    pub(crate) fn rank(&self) -> usize {
        self.resolved().factors.map_or(MOST_FACTORS, |k| k.get() as usize)
    }

    /// The regularisation with its overrides.
    pub(super) fn regularization(&self) -> Regularization {
        let c = self.resolved();
        let number = |given: Option<NonNegative>| given.map_or(0.0, NonNegative::get);
        let lambda = c.regularization.and_then(Automatic::value);
        Regularization {
            users: number(c.user_reg.or(lambda)),
            items: number(c.item_reg.or(lambda)),
            biases: number(c.bias_reg),
            damping: number(c.bias_damping),
            exponent: c.reg_exponent.map_or(0.0, Exponent::get),
        }
    }

    /// The algorithm, running `iterations` instead of its own number where given, to the last.
    pub(super) fn algorithm(&self, iterations: Option<u32>) -> Box<dyn Algorithm> {
        let c = self.resolved();
        let number = |given: Option<NonNegative>| given.map_or(0.0, NonNegative::get);
        let count = |given: Option<Count>| given.map_or(1, Count::get);
        let tolerance = if iterations.is_some() { 0.0 } else { number(c.tol) };
        let iterations = iterations.unwrap_or(count(c.iterations));
        let regularization = self.regularization();
        let solver = c.solver_choice();
        let rate = c.learning_rate.map_or(0.1, Positive::get);
        match c.algorithm_name() {
            AlgorithmName::Sgd => Box::new(Sgd {
                rank: c.rank(),
                epochs: iterations,
                tolerance,
                regularization,
                rate,
                schedule: match c.schedule {
                    Some(ScheduleName::Decay) => Schedule::Decay,
                    _ => Schedule::Adaptive,
                },
                biases: !c.no_biases,
                mean: !c.no_mean,
                seed: c.seed,
            }),
            AlgorithmName::Gd => {
                Box::new(Gd { rank: c.rank(), iterations, tolerance, rate, seed: c.seed })
            }
            AlgorithmName::Als => Box::new(Als { iterations, tolerance, ..c.als() }),
            AlgorithmName::Ials => Box::new(Ials {
                rank: c.rank(),
                iterations,
                tolerance,
                regularization: (regularization.users, regularization.items),
                exponent: regularization.exponent,
                confidence: self.confidence_form(),
                unobserved: number(c.unobserved_weight),
                solver,
                seed: c.seed,
            }),
            AlgorithmName::Bayes if c.inference == Some(InferenceName::Vb) => {
                Box::new(Variational {
                    rank: c.rank(),
                    iterations,
                    keep: c.keep_samples.map_or(0, Natural::get),
                    biases: !c.no_biases,
                    covariances: match c.owns_covariances() {
                        true => Covariances::Own,
                        false => Covariances::Shared,
                    },
                    tolerance,
                    seed: c.seed,
                })
            }
            AlgorithmName::Bayes => Box::new(Bayes {
                rank: c.rank(),
                burn_in: c.burn_in.map_or(0, Natural::get),
                samples: count(c.samples),
                keep: c.keep_samples.map_or(0, Natural::get),
                biases: !c.no_biases,
                seed: c.seed,
            }),
        }
    }

    fn solver_choice(&self) -> SolverChoice {
        let c = self.resolved();
        let count = |given: Option<Count>| given.map_or(1, Count::get);
        match c.solver {
            None => SolverChoice::Nonnegative,
            Some(SolverName::Cholesky) => SolverChoice::Cholesky,
            Some(SolverName::Cg) => SolverChoice::ConjugateGradient { steps: count(c.cg_steps) },
            Some(SolverName::Subspace) => SolverChoice::Subspace { block: count(c.block) as usize },
        }
    }

    /// Alternating least squares as set.
    pub(super) fn als(&self) -> Als {
        let c = self.resolved();
        Als {
            rank: c.rank(),
            iterations: c.iterations.map_or(1, Count::get),
            tolerance: c.tol.map_or(0.0, NonNegative::get),
            regularization: c.regularization(),
            biases: !c.no_biases,
            mean: !c.no_mean,
            solver: c.solver_choice(),
            seed: c.seed,
        }
    }

    pub(crate) fn owns_covariances(&self) -> bool {
        self.covariance == Some(CovarianceName::Own)
    }

    fn confidence_form(&self) -> Confidence {
        let c = self.resolved();
        let (alpha, epsilon) =
            (c.alpha.map_or(1.0, NonNegative::get), c.epsilon.map_or(1.0, NonNegative::get));
        match c.confidence.unwrap_or(ConfidenceName::Unit) {
            ConfidenceName::Unit => Confidence::Unit,
            ConfidenceName::Linear => Confidence::Linear { alpha },
            ConfidenceName::Log => Confidence::Log { alpha, epsilon },
            ConfidenceName::Raw => Confidence::Raw { alpha },
        }
    }

    /// The bias-only baseline: mean and biases, no factors, always fitted in the same way.
    pub(super) fn bias_only(&self) -> Als {
        Als {
            rank: 0,
            iterations: 15,
            tolerance: 1e-4,
            regularization: Regularization {
                users: 0.0,
                items: 0.0,
                biases: 0.0,
                damping: BIAS_DAMPING,
                exponent: 0.0,
            },
            biases: true,
            mean: true,
            solver: SolverChoice::Cholesky,
            seed: self.seed,
        }
    }
}

#[cfg(test)]
mod tests;
