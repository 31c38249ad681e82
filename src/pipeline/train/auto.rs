//! `--regularization auto`: λ by the errors on ratings set aside.

use std::ops::ControlFlow;
use std::time::Instant;

use super::super::Event;
use super::{Sets, Training};
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::metric::{holdout_errors, rmse};
use crate::model::Factors;
use crate::objective::Regularization;
use crate::param::NonNegative;
use crate::ratings::{Cell, Ratings};
use crate::split::{Parts, Split};
use crate::train::{Algorithm, Als, Problem, Start};

/// Where λ is looked for, on standardised ratings.
const RANGE: (f64, f64) = (0.01, 1.0);

/// λ is tried this many times: the bracket then spans a sixth of its logarithm's unit.
const TRIALS: usize = 8;

/// Sweeps of the first trial, and of the others, which begin where the one before ended.
const SWEEPS: (u32, u32) = (10, 5);

/// The most factors of a trial: the best λ hardly depends on their number.
const RANK: usize = 32;

impl Training<'_> {
    /// Golden-section search on the logarithm of λ (Kiefer 1953) for the least RMSE on a part of the
    /// training ratings that is set aside by a salt of its own.
    pub(super) fn choose_regularization(
        &mut self,
        training: &[Cell],
        users: &Ids,
        items: &Ids,
    ) -> Result<NonNegative> {
        let since = Instant::now();
        (self.observer)(&Event::Phase("choosing the regularisation"));
        let split = Split::Hash {
            ratio: self.config.test_ratio.get(),
            salt: format!("{}/regularization", self.config.holdout_salt),
        };
        let Parts { training, holdout: aside, .. } = split.apply(training.to_vec(), users, items);
        if training.is_empty() || aside.is_empty() {
            let message = "--regularization auto: too few ratings to set some aside; give a number";
            return Err(Error::Usage(message.into()));
        }
        let ratings = Ratings::from_sorted(users.len(), items.len(), &training);
        drop(training);
        let moments = ratings.moments();
        let sets = Sets {
            start: None,
            ratings: &ratings,
            moments: &moments,
            holdout: &[],
            fold_in: None,
            validation: &aside,
            looked_at: None,
            user_keys: &users.keys("user"),
            item_keys: &items.keys("item"),
        };
        let given = self.config.als();
        let mut warm: Option<Factors> = None;
        let mut error = |lambda: f64| -> Result<f64> {
            let regularization =
                Regularization { users: lambda, items: lambda, ..given.regularization };
            let als = Als {
                rank: given.rank.min(RANK),
                iterations: if warm.is_some() { SWEEPS.1 } else { SWEEPS.0 },
                tolerance: 0.0,
                regularization,
                ..given.clone()
            };
            let problem = Problem {
                start: warm.as_ref().map_or(Start::Random, Start::Factors),
                ..self.problem(&sets)
            };
            let fit = als.fit(&problem, &mut |_| ControlFlow::Continue(()))?;
            let errors = holdout_errors(&fit.scorer(), sets.ratings.known(), sets.validation);
            warm = Some(fit.factors);
            Ok(rmse(&errors.clipped).unwrap_or(f64::INFINITY))
        };
        let best = golden_section((RANGE.0.ln(), RANGE.1.ln()), |at| error(at.exp()))?;
        self.durations.train += since.elapsed().as_secs_f64();
        // Two digits: more would only look exact.
        let scale = 10_f64.powi(1 - best.exp().log10().floor() as i32);
        let lambda = NonNegative::new((best.exp() * scale).round() / scale);
        lambda.map_err(|e| Error::Internal(e.to_string()))
    }
}

/// The tried position of the least value.
fn golden_section(
    (mut low, mut high): (f64, f64),
    mut value: impl FnMut(f64) -> Result<f64>,
) -> Result<f64> {
    let share = (5.0_f64.sqrt() - 1.0) / 2.0;
    let mut inner = [high - share * (high - low), low + share * (high - low)];
    let mut values = [value(inner[0])?, value(inner[1])?];
    for _ in 2..TRIALS {
        if values[0] <= values[1] {
            high = inner[1];
            (inner[1], values[1]) = (inner[0], values[0]);
            inner[0] = high - share * (high - low);
            values[0] = value(inner[0])?;
        } else {
            low = inner[0];
            (inner[0], values[0]) = (inner[1], values[1]);
            inner[1] = low + share * (high - low);
            values[1] = value(inner[1])?;
        }
    }
    Ok(if values[0] <= values[1] { inner[0] } else { inner[1] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_is_bracketed() {
        for least in [-4.0, -2.0, -0.3] {
            let mut calls = 0;
            let found = golden_section((RANGE.0.ln(), RANGE.1.ln()), |at| {
                calls += 1;
                Ok((at - least).powi(2))
            });
            let found = found.expect("no error");
            assert!(calls == TRIALS && (found - least).abs() < 0.17, "{least}: {found}");
        }
    }
}
