//! Cross-validation.

use std::collections::BTreeMap;
use std::time::Instant;

use super::super::dataset::{Dataset, all_cells};
use super::super::report::{FoldMetrics, Metrics, Spread};
use super::{Sets, Training, looked_at, name_row, set_aside};
use crate::error::{Error, Result};
use crate::job::Event;
use crate::ratings::Ratings;
use crate::split::{Parts, Split};
use crate::train::Start;

impl Training<'_> {
    /// Fits once per fold on the other folds, as the published model is fitted, and measures on it; it only
    /// reports.
    pub(super) fn cross_validate(&mut self, data: &Dataset, folds: u32) -> Result<FoldMetrics> {
        let cells = all_cells(&data.parts, self.config.load.duplicates());
        let (users, items) = (&data.users, &data.items);
        let (user_keys, item_keys) = (users.keys("user"), items.keys("item"));
        let (since, before) = (Instant::now(), self.durations);
        (self.observer)(&Event::Phase("cross-validating"));
        let mut found: Vec<Metrics> = Vec::new();
        for number in 0..folds {
            let salt = format!("{}/folds", self.config.holdout_salt);
            let split = Split::Fold { number, folds, salt };
            let Parts { training, holdout, .. } = split.apply(cells.clone(), users, items);
            if training.is_empty() || holdout.is_empty() {
                return Err(Error::Usage(format!(
                    "--folds {folds}: fold {} has no ratings to train on or to measure with",
                    number + 1
                )));
            }
            let named = |error| name_row(error, users, items);
            let config = self.config.clone();
            // A fold chooses for itself, whatever the model's training has chosen.
            let mut chooser = Training::new(config, self.stop, self.observer);
            chooser.choose(&training, users, items).map_err(named)?;
            let config = chooser.config;
            let (training, validation) = set_aside(&config, training, users, items);
            let ratings = Ratings::from_sorted(users.len(), items.len(), &training);
            let looked_at = looked_at(&config, &training, &validation, (users, items));
            let sets = Sets {
                start: Start::Random,
                ratings: &ratings,
                moments: &ratings.moments(),
                holdout: &holdout,
                fold_in: None,
                validation: &validation,
                looked_at: looked_at.as_ref(),
                user_keys: &user_keys,
                item_keys: &item_keys,
            };
            let config = config.settled(&ratings);
            let algorithm = config.algorithm(None);
            let silent = |_: &Event| {};
            let mut run = Training::new(config, self.stop, &silent);
            run.unasked_metrics = self.unasked_metrics;
            let fitted = run.fit(&sets, &*algorithm).map_err(named)?;
            let metrics = run.measure(&sets, &*algorithm, &fitted.fit).map_err(named)?;
            (self.observer)(&Event::Fold(number + 1, folds, metrics.holdout_rmse));
            found.push(metrics);
        }
        // What the published model took is counted apart.
        self.durations = before;
        Ok(summary(folds, &found, since.elapsed().as_secs_f64()))
    }
}

fn summary(folds: u32, found: &[Metrics], seconds: f64) -> FoldMetrics {
    let spread = |value: &dyn Fn(&Metrics) -> Option<f64>| {
        Spread::of(&found.iter().map(value).collect::<Vec<_>>())
    };
    let mut all = BTreeMap::from([
        ("holdout_rmse".to_owned(), spread(&|m| m.holdout_rmse)),
        ("holdout_mae".to_owned(), spread(&|m| m.holdout_mae)),
        ("bias_only_rmse".to_owned(), spread(&|m| m.baselines.bias_only.rmse)),
    ]);
    let names = found.iter().filter_map(|m| m.ranking.as_ref()).flat_map(|r| r.values.keys());
    for name in names.cloned().collect::<Vec<_>>() {
        let value = |m: &Metrics| m.ranking.as_ref()?.values.get(&name).copied().flatten();
        all.insert(name.clone(), spread(&value));
    }
    let holdout_rmse = found.iter().map(|m| m.holdout_rmse).collect();
    FoldMetrics { folds, holdout_rmse, spread: all, seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        let spread = Spread::of(&[Some(1.0), Some(2.0), Some(3.0)]);
        assert_eq!(spread, Some(Spread { mean: 2.0, std: 1.0 }));
        assert_eq!(Spread::of(&[Some(1.0), None]), None);
    }
}
