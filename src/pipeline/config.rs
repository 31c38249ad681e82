//! The settings: one definition each, from which the command line, the configuration file, the
//! environment and the manifest derive.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::load::prepare::{Duplicates, MinimumCounts};
use crate::load::time::{Date, TimeUnit};
use crate::load::{BadRows, Columns, IdType, LoadOptions, TimeUse};
use crate::objective::Regularization;
use crate::param::{Count, Exponent, Fraction, NonNegative, Rank, Threads};
use crate::split::{Last, Split};

/// How the holdout is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Holdout {
    /// By a stable hash of user, item and salt: the same cells every night.
    Hash,
    /// At random, an exact share.
    Random,
    /// Each user's latest ratings.
    Last,
    /// Everything from --split-time on.
    Time,
    /// Nothing is held out.
    None,
}

/// How rating files are read and which ratings count.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Reading"))]
pub struct LoadConfig {
    /// Column of the user ids: its name, or its number from 1 in a file without header. Recognised
    /// by common names (userId, user_id, user ...) where not given.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub user_col: Option<String>,
    /// Column of the item ids (movieId, item_id, item ...).
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub item_col: Option<String>,
    /// Column of the ratings (rating, score, stars ...).
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub rating_col: Option<String>,
    /// Column of the times (timestamp, time, date ...): numbers, ISO 8601, Parquet timestamps.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub time_col: Option<String>,
    /// Column of the weights: at least 0, rows of weight 0 are left out. None is read by default.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub weight_col: Option<String>,
    /// Field separator of text files: one character, "::" or "tab". Recognised where not given.
    #[cfg_attr(feature = "cli", arg(long, value_name = "SEP"))]
    pub separator: Option<String>,
    /// The first line of text files is data even if it looks like a header.
    #[cfg_attr(feature = "cli", arg(long))]
    pub no_header: bool,
    /// Unit of numeric times since 1970.
    #[cfg_attr(feature = "cli", arg(long, value_name = "UNIT", default_value = "s"))]
    pub time_unit: TimeUnit,
    /// Type of the ids. auto: integers if every id of every file is a canonical 64-bit integer
    /// ("007" is not), else text.
    #[cfg_attr(feature = "cli", arg(long, value_name = "TYPE", default_value = "auto"))]
    pub id_type: IdType,
    /// What to do with a row that cannot be used: stop, or set it aside in rejected_rows.csv.
    #[cfg_attr(feature = "cli", arg(long, value_name = "POLICY", default_value = "error"))]
    pub bad_rows: BadRows,
    /// Most rows to set aside; one more is an error.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = Self::default().max_bad_rows))]
    pub max_bad_rows: u64,
    /// Several ratings of one item by one user: the last (by time, else in file order), the first,
    /// their mean, sum or maximum, or an error.
    #[cfg_attr(feature = "cli", arg(long, value_name = "POLICY", default_value = "last"))]
    pub duplicates: Duplicates,
    /// Leave out ratings before this date (2019-01-31, 2019-01-31T12:00:00Z, @SECONDS).
    #[cfg_attr(feature = "cli", arg(long, value_name = "DATE"))]
    pub since: Option<Date>,
    /// Leave out ratings at or after this date.
    #[cfg_attr(feature = "cli", arg(long, value_name = "DATE"))]
    pub until: Option<Date>,
    /// Leave out users with fewer ratings (and items, until both minimums hold).
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = 0))]
    pub min_user_ratings: u32,
    /// Leave out items with fewer ratings.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", default_value_t = 0))]
    pub min_item_ratings: u32,
}

impl Default for LoadConfig {
    fn default() -> Self {
        Self {
            user_col: None,
            item_col: None,
            rating_col: None,
            time_col: None,
            weight_col: None,
            separator: None,
            no_header: false,
            time_unit: TimeUnit::default(),
            id_type: IdType::default(),
            bad_rows: BadRows::default(),
            max_bad_rows: 1000,
            duplicates: Duplicates::default(),
            since: None,
            until: None,
            min_user_ratings: 0,
            min_item_ratings: 0,
        }
    }
}

impl LoadConfig {
    /// The reader's options; time says what the caller needs times for.
    #[must_use]
    pub fn options(&self, time: TimeUse) -> LoadOptions {
        let by_time = matches!(self.duplicates, Duplicates::Last | Duplicates::First);
        let time = match time {
            _ if self.since.is_some() || self.until.is_some() => TimeUse::Required,
            TimeUse::Ignore if by_time || self.time_col.is_some() => TimeUse::IfPresent,
            time => time,
        };
        LoadOptions {
            columns: Columns {
                user: self.user_col.clone(),
                item: self.item_col.clone(),
                rating: self.rating_col.clone(),
                time: self.time_col.clone(),
                weight: self.weight_col.clone(),
            },
            separator: self.separator.clone(),
            no_header: self.no_header,
            time_unit: self.time_unit,
            id_type: self.id_type,
            bad_rows: self.bad_rows,
            max_bad_rows: self.max_bad_rows,
            since: self.since.map(|d| d.0),
            until: self.until.map(|d| d.0),
            time,
        }
    }

    /// The minimum counts.
    #[must_use]
    pub const fn minimum(&self) -> MinimumCounts {
        MinimumCounts { user: self.min_user_ratings, item: self.min_item_ratings }
    }
}

/// Everything that train can be told.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct TrainConfig {
    /// Rating files: CSV, TSV, ::-separated .dat, Parquet; .gz, .zst and MovieLens .zip of them;
    /// directories, patterns ("logs/2024-*.csv"), - for standard input.
    #[cfg_attr(feature = "cli", arg(value_name = "RATINGS"))]
    pub input: Vec<String>,
    /// Model directory to write: user_factors.parquet, item_factors.parquet, manifest.json,
    /// metrics.json.
    #[cfg_attr(feature = "cli", arg(short, long, value_name = "DIR"))]
    pub output: Option<PathBuf>,
    /// Replace the model that --output names.
    #[cfg_attr(feature = "cli", arg(long))]
    pub force: bool,

    /// How to read.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub load: LoadConfig,

    /// Which ratings are held out to measure the model on.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "RULE", default_value = "hash", help_heading = "Holdout")
    )]
    pub holdout: Holdout,
    /// Share of the ratings held out by hash, random and last.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "SHARE", default_value_t = Self::default().test_ratio, help_heading = "Holdout")
    )]
    pub test_ratio: Fraction,
    /// Salt of the hash: another salt, another holdout.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "TEXT", default_value_t = Self::default().holdout_salt, help_heading = "Holdout")
    )]
    pub holdout_salt: String,
    /// Hold out this many of each user's latest ratings (with --holdout last, instead of a share).
    #[cfg_attr(feature = "cli", arg(long, value_name = "K", help_heading = "Holdout"))]
    pub leave_out: Option<Count>,
    /// Hold out everything from this date on (with --holdout time).
    #[cfg_attr(feature = "cli", arg(long, value_name = "DATE", help_heading = "Holdout"))]
    pub split_time: Option<Date>,
    /// Files of test ratings, instead of a split; cells also in training are removed from training.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", help_heading = "Holdout"))]
    pub test_file: Vec<String>,
    /// After the holdout is measured, fit the published factors on all ratings.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Holdout"))]
    pub refit: bool,

    /// Number of factors (the rank): 0, biases alone, to 4096.
    #[cfg_attr(
        feature = "cli",
        arg(short = 'k', long, alias = "rank", value_name = "K", default_value_t = Self::default().factors, help_heading = "Training")
    )]
    pub factors: Rank,
    /// Most iterations (sweeps over users and items).
    #[cfg_attr(
        feature = "cli",
        arg(short, long, alias = "max-iter", value_name = "N", default_value_t = Self::default().iterations, help_heading = "Training")
    )]
    pub iterations: Count,
    /// Regularisation λ of the vectors, on standardised ratings:
    /// λ ρ(n) |p|² with ρ(n) = n̄ (n/n̄)^e for a row of n ratings.
    #[cfg_attr(
        feature = "cli",
        arg(short, long, alias = "lambda", value_name = "L", default_value_t = Self::default().regularization, help_heading = "Training")
    )]
    pub regularization: NonNegative,
    /// Exponent e: 0 plain ridge, 1 weighted by the number of ratings (ALS-WR).
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "E", default_value_t = Self::default().reg_exponent, help_heading = "Training")
    )]
    pub reg_exponent: Exponent,
    /// λ of the biases.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "L", default_value_t = Self::default().bias_reg, help_heading = "Training")
    )]
    pub bias_reg: NonNegative,
    /// λ of the user vectors, if another than --regularization.
    #[cfg_attr(feature = "cli", arg(long, value_name = "L", help_heading = "Training"))]
    pub user_reg: Option<NonNegative>,
    /// λ of the item vectors, if another than --regularization.
    #[cfg_attr(feature = "cli", arg(long, value_name = "L", help_heading = "Training"))]
    pub item_reg: Option<NonNegative>,
    /// Fit no biases.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Training"))]
    pub no_biases: bool,
    /// Fit raw ratings: no mean, no standardisation (λ is then on the scale of the ratings).
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Training"))]
    pub no_mean: bool,
    /// Stop when the objective improves by less than this share; 0 never stops early.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "TOL", default_value_t = Self::default().tol, help_heading = "Training")
    )]
    pub tol: NonNegative,
    /// Stop after N iterations without a better RMSE on a validation part cut from the training
    /// ratings (a share of --test-ratio), and keep the best iteration. Off by default.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Training"))]
    pub patience: Option<Count>,
    /// Seed of the starting vectors and of --holdout random.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "SEED", default_value_t = Self::default().seed, help_heading = "Training")
    )]
    pub seed: u64,
    /// Threads; all cores by default. The result does not depend on it.
    #[cfg_attr(
        feature = "cli",
        arg(short = 'j', long, value_name = "N", help_heading = "Training")
    )]
    pub threads: Option<Threads>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            input: Vec::new(),
            output: None,
            force: false,
            load: LoadConfig::default(),
            holdout: Holdout::Hash,
            test_ratio: Fraction::literal(0.1),
            holdout_salt: "lacuna".to_owned(),
            leave_out: None,
            split_time: None,
            test_file: Vec::new(),
            refit: false,
            factors: Rank::literal(64),
            iterations: Count::literal(15),
            regularization: NonNegative::literal(0.15),
            reg_exponent: Exponent::literal(0.5),
            bias_reg: NonNegative::literal(0.1),
            user_reg: None,
            item_reg: None,
            no_biases: false,
            no_mean: false,
            tol: NonNegative::literal(1e-4),
            patience: None,
            seed: 42,
            threads: None,
        }
    }
}

impl TrainConfig {
    /// Checks what single values cannot: combinations. Returns the output.
    ///
    /// # Errors
    /// [`Error::Usage`] with what does not fit and what to do.
    pub fn check(&self) -> Result<&Path> {
        let wrong = |message: &str| Err(Error::Usage(message.to_owned()));
        if self.input.is_empty() {
            return wrong(
                "no input: give rating files, or input = [...] in the configuration file",
            );
        }
        let Some(output) = &self.output else {
            return wrong("no output: give -o DIR, or output = \"DIR\" in the configuration file");
        };
        if self.holdout == Holdout::Time && self.split_time.is_none() {
            return wrong("--holdout time needs --split-time DATE");
        }
        if self.holdout != Holdout::Time && self.split_time.is_some() {
            return wrong("--split-time goes with --holdout time");
        }
        if self.holdout != Holdout::Last && self.leave_out.is_some() {
            return wrong("--leave-out goes with --holdout last");
        }
        if !self.test_file.is_empty() && matches!(self.holdout, Holdout::Last | Holdout::Time) {
            return wrong("--test-file is the holdout: it does not go with --holdout last or time");
        }
        if self.no_biases && self.factors.get() == 0 {
            return wrong("--factors 0 fits biases alone, so --no-biases leaves nothing to fit");
        }
        Ok(output)
    }

    /// The rule of the split (test files are no split).
    #[must_use]
    pub fn split(&self) -> Split {
        let ratio = self.test_ratio.get();
        if !self.test_file.is_empty() {
            return Split::None;
        }
        match (self.holdout, self.split_time) {
            (Holdout::Hash, _) => Split::Hash { ratio, salt: self.holdout_salt.clone() },
            (Holdout::Random, _) => Split::Random { ratio, seed: self.seed },
            (Holdout::Last, _) => {
                Split::Last(self.leave_out.map_or(Last::Ratio(ratio), |k| Last::Count(k.get())))
            }
            (Holdout::Time, Some(at)) => Split::Time { at: at.0 },
            (Holdout::Time | Holdout::None, _) => Split::None,
        }
    }

    /// What the times are needed for.
    #[must_use]
    pub const fn time_use(&self) -> TimeUse {
        match self.holdout {
            Holdout::Last | Holdout::Time => TimeUse::Required,
            _ => TimeUse::Ignore,
        }
    }

    /// The regularisation with its overrides.
    #[must_use]
    pub fn regularization(&self) -> Regularization {
        let side = |given: Option<NonNegative>| given.unwrap_or(self.regularization).get();
        Regularization {
            users: side(self.user_reg),
            items: side(self.item_reg),
            biases: self.bias_reg.get(),
            exponent: self.reg_exponent.get(),
        }
    }

    /// The settings that affect the factors, for the model's identity.
    #[must_use]
    pub fn identity(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            for key in ["input", "output", "force", "threads"] {
                map.remove(key);
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range_and_as_documented() {
        let config = TrainConfig::default();
        let text = |v: &dyn std::fmt::Display| v.to_string();
        for (value, want, valid) in [
            (text(&config.factors), "64", Rank::new(config.factors.get()).is_ok()),
            (text(&config.iterations), "15", Count::new(config.iterations.get()).is_ok()),
            (
                text(&config.regularization),
                "0.15",
                NonNegative::new(config.regularization.get()).is_ok(),
            ),
            (text(&config.bias_reg), "0.1", NonNegative::new(config.bias_reg.get()).is_ok()),
            (text(&config.reg_exponent), "0.5", Exponent::new(config.reg_exponent.get()).is_ok()),
            (text(&config.test_ratio), "0.1", Fraction::new(config.test_ratio.get()).is_ok()),
            (text(&config.tol), "0.0001", NonNegative::new(config.tol.get()).is_ok()),
        ] {
            assert!(value == want && valid, "{value} {want}");
        }
    }

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
                TrainConfig { factors: Rank::literal(0), no_biases: true, ..good.clone() },
                "--no-biases",
            ),
        ] {
            let message = bad.check().map_err(|e| e.to_string());
            assert!(message.as_ref().is_err_and(|m| m.contains(part)), "{message:?}");
        }
    }
}
