//! The plan of a training, in which every choice is made and no option is left open.

use std::path::Path;

use super::algorithms::{Facts, Fit, method};
use super::criterion::Criterion;
use super::defaults::{BIAS_DAMPING, FOLD_IN_RATIO, SWEEPS, TOLERANCE};
use super::holdout::Holdout;
use super::names::AlgorithmName;
use super::options;
use super::train::TrainConfig;
use crate::error::Result;
use crate::load::LoadOptions;
use crate::load::prepare::{Duplicates, Preparation};
use crate::metric::ranking::RankingMetric;
use crate::objective::Regularization;
use crate::param::{Count, Folds};
use crate::split::Split;
use crate::train::{Als, SolverChoice};

/// The plan of a training.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub algorithm: AlgorithmName,
    /// The settings with all decisions filled in. Manifests record them, and another training with
    /// them repeats this one.
    pub record: TrainConfig,
    pub reading: Reading,
    pub fit: Box<dyn Fit>,
    /// The bias-only baseline that every model of ratings is compared with: mean and biases.
    pub baseline: Als,
    pub watch: Watch,
    pub finish: Finish,
}

/// Which ratings are read and how they are split.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub input: Vec<String>,
    pub test_file: Vec<String>,
    pub options: LoadOptions,
    pub preparation: Preparation,
    pub split: Split,
}

/// How a fit is measured.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    /// Iterations from one measurement of the holdout to the next.
    pub every: u32,
    /// Measured iterations without an improvement after which the fit ends.
    pub patience: Option<u32>,
    pub criterion: Criterion,
    /// Ranking metrics to compute on the holdout.
    pub metrics: Vec<RankingMetric>,
    /// Whether the metrics are defaults, which are measured on a sample of the users.
    pub sampled: bool,
    /// Lowest held-out rating that ranking metrics count as relevant.
    pub relevant_from: Option<f64>,
    /// Cuts the validation cells of `--patience` and of tuning off the training cells.
    pub validation: Split,
    /// Cuts the validation cells of the search for λ or α₀ off the training cells.
    pub search: Split,
}

/// What a training does in addition to one fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finish {
    /// Number of parts of a cross-validation, if one is requested.
    pub folds: Option<u32>,
    /// Whether the published factors are fitted on all ratings after the holdout is measured.
    pub refit: bool,
    /// Whether the prepared ratings are kept in the model.
    pub keep_ratings: bool,
}

impl Plan {
    /// Makes all decisions of a training.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] for options that cannot be combined.
    pub(crate) fn new(config: &TrainConfig) -> Result<Self> {
        options::check(config, config.algorithm_name())?;
        Self::of_record(config)
    }

    /// Makes the decisions of a training whose record holds them already.
    ///
    /// A record may hold settings that follow from others, such as `no_biases` from `nonnegative`.
    /// A user cannot set them for every algorithm, so they are not checked.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] for options that cannot be combined.
    pub(crate) fn of_record(config: &TrainConfig) -> Result<Self> {
        let algorithm = config.algorithm_name();
        let fit = method(algorithm).plan(config)?;
        let facts = fit.facts();
        let mut record = TrainConfig { algorithm: Some(algorithm), ..config.clone() };
        fit.record(&mut record);
        let counts = config.reads_counts();
        // Counts are summed by default, but counts with weights cannot be.
        let sum = counts && config.load.weight_col.is_none();
        let duplicates = if sum { Duplicates::Sum } else { Duplicates::Last };
        let duplicates = *record.load.duplicates.get_or_insert(duplicates);
        if !facts.rates && record.metrics.is_empty() {
            record.metrics = default_metrics();
        }
        if record.holdout == Holdout::User {
            record.fold_in_ratio.get_or_insert(FOLD_IN_RATIO);
        }
        let criterion = config.criterion_for(facts.rates);
        if record.patience.is_some() {
            record.criterion.get_or_insert(criterion);
        }
        let split = record.split();
        let options = LoadOptions { counts, ..record.load.options(record.time_use()) };
        let preparation = Preparation {
            duplicates,
            minimum: record.load.minimum(),
            boundary: match split {
                Split::Time { at } => Some(at),
                _ => None,
            },
            counts,
            least: record.positive_from,
        };
        let reading = Reading {
            input: record.input.clone(),
            test_file: record.test_file.clone(),
            options,
            preparation,
            split,
        };
        let sampled = record.metrics.is_empty();
        let salted = |use_of: &str| Split::Hash {
            ratio: record.test_ratio.get(),
            salt: format!("{}/{use_of}", record.holdout_salt),
        };
        let watch = Watch {
            every: record.eval_every.get(),
            patience: record.patience.map(Count::get),
            criterion,
            metrics: if sampled { default_metrics() } else { record.metrics.clone() },
            sampled,
            relevant_from: record.relevant_from,
            validation: salted("validation"),
            search: salted("regularization"),
        };
        let finish = Finish {
            folds: record.folds.map(Folds::get),
            refit: record.refit,
            keep_ratings: !record.discard_ratings,
        };
        let baseline = baseline(record.seed);
        Ok(Self { algorithm, record, reading, fit, baseline, watch, finish })
    }

    /// Returns this plan with another fit and writes the decisions of that fit into the record.
    pub(crate) fn with_fit(&self, fit: Box<dyn Fit>) -> Self {
        let mut plan = Self { fit, ..self.clone() };
        plan.fit.record(&mut plan.record);
        plan
    }

    /// The properties of the fit that the rest of the program uses.
    pub(crate) fn facts(&self) -> Facts {
        self.fit.facts()
    }

    /// Approximate number of bytes that a fit holds per user and item.
    ///
    /// It covers three copies of the factors, one of them for the best iteration under patience,
    /// and the algorithm's own numbers.
    pub(crate) fn bytes_per_row(&self) -> usize {
        let facts = self.facts();
        4 * (3 * ((facts.rank as usize).next_multiple_of(16) + 1) + facts.numbers_per_row)
    }

    /// Approximate number of bytes per user and item in the saved state of a fit.
    pub(crate) fn state_bytes_per_row(&self) -> usize {
        let facts = self.facts();
        let factors = facts.rank as usize + 1;
        let best = if self.watch.patience.is_some() { factors } else { 0 };
        4 * (factors + facts.state_per_row + best)
    }
}

/// The ranking metrics that are measured by default.
fn default_metrics() -> Vec<RankingMetric> {
    vec![RankingMetric::ndcg(10), RankingMetric::recall(20)]
}

/// The bias-only baseline, which is the same for all algorithms and settings.
pub(crate) fn baseline(seed: u64) -> Als {
    Als {
        rank: 0,
        iterations: SWEEPS.get(),
        tolerance: TOLERANCE.get(),
        regularization: Regularization {
            users: 0.0,
            items: 0.0,
            biases: 0.0,
            damping: BIAS_DAMPING.get(),
            exponent: 0.0,
        },
        biases: true,
        mean: true,
        solver: SolverChoice::Cholesky,
        seed,
    }
}

impl TrainConfig {
    /// Checks combinations of settings and returns the output directory.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] with the conflict and what to do about it.
    pub fn check(&self) -> Result<&Path> {
        let output = self.check_files()?;
        self.plan()?;
        Ok(output)
    }

    /// Makes all decisions of a training.
    pub(crate) fn plan(&self) -> Result<Plan> {
        Plan::new(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::time::Date;
    use crate::param::Rank;

    #[test]
    fn combinations_that_make_no_sense_are_refused() {
        let good = TrainConfig {
            input: vec!["r.csv".into()],
            output: Some("m".into()),
            ..TrainConfig::default()
        };
        assert!(good.check().is_ok());
        for (bad, part) in [
            (TrainConfig { input: vec![], ..good.clone() }, "no input"),
            (TrainConfig { output: None, ..good.clone() }, "no output"),
            (TrainConfig { holdout: Holdout::Time, ..good.clone() }, "--split-time"),
            (TrainConfig { split_time: Some(Date(0)), ..good.clone() }, "--holdout time"),
            (TrainConfig { leave_out: Some(Count::literal(1)), ..good.clone() }, "--holdout last"),
            (
                TrainConfig { factors: Some(Rank::literal(0)), no_biases: true, ..good.clone() },
                "--no-biases",
            ),
        ] {
            let message = bad.check().map_err(|e| e.to_string());
            assert!(message.as_ref().is_err_and(|m| m.contains(part)), "{message:?}");
        }
    }
}
