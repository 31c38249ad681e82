//! The regularisation that `als` and `sgd` share.

use super::super::defaults::BIAS_DAMPING;
use super::super::laws;
use super::super::train::TrainConfig;
use super::method::Decision;
use crate::error::{Error, Result};
use crate::objective::Regularization;
use crate::param::{Automatic, Exponent, NonNegative, Rank};
use crate::ratings::Ratings;

/// Default exponent of the number of ratings.
const EXPONENT: Exponent = Exponent::literal(0.5);

/// The regularisation settings: λ, its exponent, and the penalties of the biases.
#[derive(Debug, Clone)]
pub(super) struct Ridge {
    pub lambda: Decision<NonNegative>,
    /// λ of the user vectors, if it differs from `lambda`.
    users: Option<NonNegative>,
    /// λ of the item vectors, if it differs from `lambda`.
    items: Option<NonNegative>,
    exponent: Exponent,
    /// λ and damping of the biases, if biases are fitted.
    biases: Option<(NonNegative, NonNegative)>,
}

/// How the settings decide λ: by a value, a search or the law.
pub(super) fn lambda(config: &TrainConfig) -> Decision<NonNegative> {
    match config.regularization {
        Some(Automatic::Value(lambda)) => Decision::Known(lambda),
        Some(Automatic::Auto) => Decision::Search,
        None => Decision::Law,
    }
}

/// Checks that no other setting contradicts a search for λ.
pub(super) fn check_search(config: &TrainConfig) -> Result<()> {
    if config.regularization != Some(Automatic::Auto) {
        return Ok(());
    }
    let fixed = [
        ("--user-reg", config.user_reg.is_some()),
        ("--item-reg", config.item_reg.is_some()),
        ("--no-mean", config.no_mean),
        ("--nonnegative", config.nonnegative),
        ("--factors 0", config.factors.map(Rank::get) == Some(0)),
    ];
    match fixed.iter().find(|(_, set)| *set) {
        Some((flag, _)) => {
            Err(Error::Usage(format!("--regularization auto cannot be combined with {flag}")))
        }
        None => Ok(()),
    }
}

impl Ridge {
    /// Takes the settings as specified; `biases` says whether biases are fitted.
    pub(super) fn new(config: &TrainConfig, biases: bool) -> Result<Self> {
        check_search(config)?;
        // A λ of the biases replaces their default damping.
        let damping = match config.bias_reg {
            Some(_) => NonNegative::literal(0.0),
            None => BIAS_DAMPING,
        };
        let of_biases = || {
            let lambda = config.bias_reg.unwrap_or(NonNegative::literal(0.0));
            (lambda, config.bias_damping.unwrap_or(damping))
        };
        Ok(Self {
            lambda: lambda(config),
            users: config.user_reg,
            items: config.item_reg,
            exponent: config.reg_exponent.unwrap_or(EXPONENT),
            biases: biases.then(of_biases),
        })
    }

    /// Decides an open λ by its law.
    pub(super) fn settle(&mut self, ratings: &Ratings) {
        self.lambda.settle(|| laws::lambda(ratings));
    }

    /// The λ that the law gives.
    pub(super) fn law_value(ratings: &Ratings) -> f64 {
        laws::lambda(ratings).map_or(1.0, NonNegative::get)
    }

    /// Sets the λ that a search found, or leaves λ to the law.
    pub(super) fn choose(&mut self, value: Option<f64>) {
        self.lambda = Decision::set(value.and_then(|value| NonNegative::new(value).ok()));
    }

    /// The regularisation as numbers, with 0 for an undecided λ.
    pub(super) fn regularization(&self) -> Regularization {
        let number = |value: Option<NonNegative>| value.map_or(0.0, NonNegative::get);
        let lambda = self.lambda.known();
        Regularization {
            users: number(self.users.or(lambda)),
            items: number(self.items.or(lambda)),
            biases: number(self.biases.map(|(lambda, _)| lambda)),
            damping: number(self.biases.map(|(_, damping)| damping)),
            exponent: self.exponent.get(),
        }
    }

    /// λ, or 0 while it is undecided.
    pub(super) fn lambda(&self) -> f64 {
        self.lambda.known().map_or(0.0, NonNegative::get)
    }

    pub(super) fn record(&self, settings: &mut TrainConfig) {
        record_lambda(self.lambda, settings);
        settings.reg_exponent = Some(self.exponent);
        if let Some((lambda, damping)) = self.biases {
            (settings.bias_reg, settings.bias_damping) = (Some(lambda), Some(damping));
        }
    }
}

/// Writes λ into the record of a training.
pub(super) fn record_lambda(lambda: Decision<NonNegative>, settings: &mut TrainConfig) {
    settings.regularization = match lambda {
        Decision::Known(lambda) => Some(Automatic::Value(lambda)),
        Decision::Law => None,
        Decision::Search => Some(Automatic::Auto),
    };
}

/// Describes the objective on standardised (`mean`) or raw ratings, with or without biases.
pub(super) fn objective(mean: bool, biases: bool) -> String {
    let z = if mean { "(r - mean) / scale" } else { "r" };
    let (sum, penalty) = match biases {
        true => (" - b_u - b_i", " + (bias_damping + lambda_biases * rho(n)) * bias^2"),
        false => ("", ""),
    };
    format!("sum over ratings w ({z}{sum} - p.q)^2 + lambda * rho(n) * |vector|^2{penalty}")
}

/// Describes how λ grows with a row's number of ratings.
pub(super) const WEIGHTING: &str = "lambda * mean_n * (n / mean_n)^reg_exponent";

/// Checks that biases are fitted under `--factors 0`, which fits nothing else.
pub(super) fn check_biases_alone(config: &TrainConfig) -> Result<()> {
    if config.factors.map(Rank::get) == Some(0) && (config.no_biases || config.nonnegative) {
        let flag = if config.nonnegative { "--nonnegative" } else { "--no-biases" };
        let message = format!("--factors 0 fits biases alone, so {flag} leaves nothing to fit");
        return Err(Error::Usage(message));
    }
    Ok(())
}
