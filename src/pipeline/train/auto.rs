//! `--regularization auto`, and what `ials` chooses by default: settings by what they are worth on ratings
//! set aside.

use std::ops::ControlFlow;
use std::time::Instant;

use super::super::checkpoint::Checkpoints;
use super::super::laws::{RATIO, significant, unobserved};
use super::super::names::{AlgorithmName, ConfidenceName};
use super::super::{Criterion, TrainConfig};
use super::{Sets, Training};
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::job::Event;
use crate::metric::ranking::RankingMetric;
use crate::model::Factors;
use crate::param::{Automatic, Count, NonNegative, Rank};
use crate::ratings::{Cell, Ratings};
use crate::split::{Parts, Split};
use crate::train::{Problem, Start};

/// Trials at most.
const TRIALS: usize = 5;

/// The most factors of a trial: the best settings hardly depend on their number.
const RANK: u32 = 32;

/// What is looked for, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sought {
    /// λ of als, sgd, or of ials where its α₀ is given.
    Lambda,
    /// The weight of all unobserved pairs of ials, in observed cells; λ follows it.
    Ratio,
}

impl Sought {
    fn of(config: &TrainConfig) -> Option<Self> {
        let free = config.unobserved_weight.is_none()
            && config.confidence.is_none_or(|form| form == ConfidenceName::Unit);
        let overridden = config.user_reg.is_some() || config.item_reg.is_some();
        match (config.algorithm_name(), config.regularization) {
            (AlgorithmName::Ials, Some(Automatic::Auto)) if !free => Some(Self::Lambda),
            (AlgorithmName::Ials, Some(Automatic::Auto)) => Some(Self::Ratio),
            (AlgorithmName::Ials, None) if free && !overridden => Some(Self::Ratio),
            (_, Some(Automatic::Auto)) => Some(Self::Lambda),
            _ => None,
        }
    }

    /// From one trial to the next.
    const fn step(self) -> f64 {
        match self {
            Self::Lambda => 1.6,
            Self::Ratio => 4.0,
        }
    }

    /// A neighbour must be better by this share to be taken. Rankings are noisier than errors.
    const fn margin(self) -> f64 {
        match self {
            Self::Lambda => 0.0,
            Self::Ratio => 0.01,
        }
    }
}

impl Training<'_> {
    /// Chooses what the settings leave to the ratings and a law does not give, and puts it in place.
    pub(super) fn choose(&mut self, training: &[Cell], users: &Ids, items: &Ids) -> Result<()> {
        let Some(sought) = Sought::of(&self.config) else { return Ok(()) };
        let kept = self.setup.checkpoints.as_ref().and_then(Checkpoints::chosen);
        let chosen = match kept {
            Some(kept) => Some(kept),
            None => self.search(sought, training, users, items)?,
        };
        if let (Some(checkpoints), Some(chosen)) = (&self.setup.checkpoints, chosen) {
            checkpoints.choose(chosen);
        }
        let ratings = Ratings::from_sorted(users.len(), items.len(), training);
        self.config = with(&self.config, sought, chosen, &ratings)?;
        Ok(())
    }

    /// Climbs from the law's value to the best one on a part of the training ratings that is set aside by a
    /// salt of its own; none where there are too few ratings and the law's value has to do.
    fn search(
        &mut self,
        sought: Sought,
        training: &[Cell],
        users: &Ids,
        items: &Ids,
    ) -> Result<Option<f64>> {
        let since = Instant::now();
        let asked = self.config.regularization == Some(Automatic::Auto);
        (self.observer)(&Event::Phase("choosing the regularisation"));
        let split = Split::Hash {
            ratio: self.config.test_ratio.get(),
            salt: format!("{}/regularization", self.config.holdout_salt),
        };
        let Parts { training, holdout: aside, .. } = split.apply(training.to_vec(), users, items);
        if training.is_empty() || aside.is_empty() {
            if !asked {
                return Ok(None);
            }
            let message = "--regularization auto: too few ratings to set some aside; give a number";
            return Err(Error::Usage(message.into()));
        }
        let ratings = Ratings::from_sorted(users.len(), items.len(), &training);
        drop(training);
        let moments = ratings.moments();
        let sets = Sets {
            start: Start::Random,
            ratings: &ratings,
            moments: &moments,
            holdout: &[],
            fold_in: None,
            validation: &aside,
            looked_at: None,
            user_keys: &users.keys("user"),
            item_keys: &items.keys("item"),
        };
        let silent = |_: &Event| {};
        let mut base = self.config.clone();
        base.factors = base.factors.map(|k| Rank::literal(k.get().min(RANK)));
        let implicit = base.algorithm_name() == AlgorithmName::Ials;
        let criterion = match implicit {
            true => Criterion::Ranking(RankingMetric::ndcg(10)),
            false => Criterion::Rmse,
        };
        base.criterion = Some(criterion);
        let sweeps = match base.algorithm_name() {
            AlgorithmName::Ials => (5, 5),
            _ => (8, 4),
        };
        let mut warm: Option<Factors> = None;
        let value = |at: f64| -> Result<f64> {
            let mut config = with(&base, sought, Some(at), &ratings)?;
            let iterations = if warm.is_some() { sweeps.1 } else { sweeps.0 };
            config.iterations = Some(Count::literal(iterations));
            let algorithm = config.algorithm(Some(iterations));
            let trial = Training::new(config, self.stop, &silent);
            let start = match warm.as_ref().filter(|_| !implicit) {
                Some(factors) => Start::Factors(factors),
                None => Start::Random,
            };
            let problem = Problem { start, ..trial.problem(&sets) };
            let fit = algorithm.fit(&problem, &mut |_| ControlFlow::Continue(()))?;
            let found = trial.validate(&sets, &fit.scorer())?.filter(|value| value.is_finite());
            warm = Some(fit.factors);
            let worst = if implicit { 0.0 } else { f64::INFINITY };
            let found = found.unwrap_or(worst);
            // Less is better.
            Ok(if implicit { -found } else { found })
        };
        let law = match sought {
            Sought::Ratio => RATIO,
            Sought::Lambda => {
                let free = TrainConfig { regularization: None, ..base.clone() };
                let lambda = free.settled(&ratings).regularization.and_then(Automatic::value);
                lambda.map_or(1.0, NonNegative::get)
            }
        };
        let best = climb(law, sought, value)?;
        self.durations.train += since.elapsed().as_secs_f64();
        Ok(Some(significant(best)))
    }
}

/// The settings with a chosen value in place.
fn with(
    config: &TrainConfig,
    sought: Sought,
    chosen: Option<f64>,
    ratings: &Ratings,
) -> Result<TrainConfig> {
    let number = |value: f64| NonNegative::new(value).map_err(|e| Error::Internal(e.to_string()));
    let mut config = config.clone();
    if config.regularization == Some(Automatic::Auto) {
        config.regularization = None;
    }
    match (sought, chosen) {
        (Sought::Lambda, Some(lambda)) => {
            config.regularization = Some(Automatic::Value(number(lambda)?));
        }
        (Sought::Ratio, Some(ratio)) => {
            config.unobserved_weight = Some(number(unobserved(ratio, ratings))?);
        }
        (_, None) => {}
    }
    Ok(config.settled(ratings))
}

/// The best of a value and its neighbours, each `step` times the one before, as long as they are better by
/// the margin: the vertex of the parabola through the last three (in logarithms), or the best one where
/// that does not lie between them.
fn climb(start: f64, sought: Sought, mut value: impl FnMut(f64) -> Result<f64>) -> Result<f64> {
    let (step, margin) = (sought.step(), sought.margin());
    let mut known = std::collections::BTreeMap::from([(0_i32, value(start)?)]);
    let at = |n: i32| start * step.powi(n);
    let mut best = 0;
    while known.len() < TRIALS {
        // Upwards first.
        let next = [best + 1, best - 1].into_iter().find(|n| !known.contains_key(n));
        let Some(next) = next else { break };
        let found = value(at(next))?;
        known.insert(next, found);
        if found < known[&best] - margin * known[&best].abs() {
            best = next;
        }
    }
    let around = [best - 1, best, best + 1].map(|n| known.get(&n).copied());
    if let [Some(low), Some(middle), Some(high)] = around {
        let curvature = low - 2.0 * middle + high;
        let shift = (low - high) / (2.0 * curvature);
        if curvature > 0.0 && shift.abs() <= 1.0 {
            return Ok(at(best) * step.powf(shift));
        }
    }
    Ok(at(best))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_is_found_within_the_trials() {
        for least in [0.4, 0.9, 1.0, 1.7, 2.5] {
            let mut calls = 0;
            let found = climb(1.0, Sought::Lambda, |at| {
                calls += 1;
                Ok(1.0 + (at.ln() - f64::ln(least)).powi(2))
            });
            let found = found.expect("no error");
            assert!(calls <= TRIALS && (found / least).ln().abs() < 0.01, "{least}: {found}");
        }
        // Noise moves nothing far.
        let flat = climb(1.0, Sought::Ratio, |at| Ok(1.0 - 1e-4 * at.min(1.0))).expect("no error");
        assert!((0.25..=4.0).contains(&flat));
    }
}
