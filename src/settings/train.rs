//! The settings: one definition each, from which the command line, the configuration file, the
//! environment and the manifest derive.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::criterion::Criterion;
use super::defaults::{FOLD_IN_RATIO, SEED, TEST_RATIO};
use super::names::{
    AlgorithmName, ConfidenceName, CovarianceName, InferenceName, ScheduleName, SolverName,
};
use super::reading::LoadConfig;
use crate::error::{Error, Result};
use crate::load::TimeUse;
use crate::load::time::Date;
use crate::metric::ranking::RankingMetric;
use crate::param::{
    Automatic, Count, Exponent, Folds, Fraction, Natural, NonNegative, Positive, Rank, Threads,
};
use crate::split::{Last, Split};
use crate::store::json;

/// Settings that do not affect the factors: where a training reads and writes, and how it runs.
pub(crate) const LOCAL_KEYS: [&str; 6] =
    ["input", "output", "force", "threads", "folds", "drop_ratings"];

/// How the holdout is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Whole users, folded in from --fold-in-ratio of their ratings (strong generalisation).
    User,
    /// Nothing is held out.
    None,
}

/// Everything that train can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct TrainConfig {
    /// Rating files: CSV, TSV, ::-separated .dat, Parquet; .gz, .zst and MovieLens .zip of them;
    /// directories, patterns ("logs/2024-*.csv"), - for standard input; s3://, gs://, az:// (feature cloud).
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

    /// Which ratings are held out to measure the model on. Errors are of predictions clipped to the range of
    /// the training ratings.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "RULE", default_value = "hash", help_heading = "Holdout")
    )]
    pub holdout: Holdout,
    /// Share of the ratings held out by hash, random and last, of the users by user.
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
    /// Share of a held-out user's ratings that it is folded in from (with --holdout user). [default: 0.8]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE", help_heading = "Holdout"))]
    pub fold_in_ratio: Option<Fraction>,
    /// Ranking metrics to compute on the holdout at the end, for all users: precision@K, recall@K,
    /// recall-min@K, ndcg@K, map@K, mrr@K, hit-rate@K, auc, coverage@K, popularity-rank@K, gini@K.
    /// By default ndcg@10 and recall@20, with models of ratings for at most 10000 users.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Holdout")
    )]
    pub metrics: Vec<RankingMetric>,
    /// Held-out ratings below this are not relevant to ranking metrics; all are by default.
    #[cfg_attr(feature = "cli", arg(long, value_name = "R", help_heading = "Holdout"))]
    pub relevant_from: Option<f64>,
    /// Measure the holdout, and the validation part of --patience, after every N-th iteration.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "N", default_value_t = Self::default().eval_every, help_heading = "Holdout")
    )]
    pub eval_every: Count,
    /// Cross-validation before the training: K times, one of K parts of all ratings is held out of a
    /// fit of its own; mean and standard deviation go into the report. The published model follows
    /// --holdout.
    #[cfg_attr(feature = "cli", arg(long, value_name = "K", help_heading = "Holdout"))]
    pub folds: Option<Folds>,
    /// Files of test ratings, instead of a split; cells also in training are removed from training.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", help_heading = "Holdout"))]
    pub test_file: Vec<String>,
    /// After the holdout is measured, fit the published factors on all ratings.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Holdout"))]
    pub refit: bool,

    /// What is fitted, and how. [default: bayes; als where a setting is given that bayes has not; ials where
    /// the files have no rating column]
    #[cfg_attr(feature = "cli", arg(short, long, value_name = "NAME", help_heading = "Training"))]
    pub algorithm: Option<AlgorithmName>,
    /// Ratings of R and more are events, the others are left out: trains ials.
    #[cfg_attr(feature = "cli", arg(long, value_name = "R", help_heading = "Training"))]
    pub positive_from: Option<f64>,
    /// Number of factors (the rank): 1 to 4096; for als and sgd also 0, biases alone.
    #[cfg_attr(
        feature = "cli",
        arg(short = 'k', long, alias = "rank", value_name = "K", help_heading = "Training")
    )]
    pub factors: Option<Rank>,
    /// Most iterations: sweeps over users and items, epochs of sgd.
    #[cfg_attr(
        feature = "cli",
        arg(short, long, alias = "max-iter", value_name = "N", help_heading = "Training")
    )]
    pub iterations: Option<Count>,
    /// Regularisation λ of the vectors. als, on standardised ratings: λ ρ(n) |p|² with ρ(n) = n̄
    /// (n/n̄)^e for a row of n ratings. ials: λ (n + α₀ N)^e |p|², N the rows of the other side. A
    /// larger λ draws predictions to the mean: less noise, less detail. auto: chosen on ratings set
    /// aside from the training ones, which then count again.
    #[cfg_attr(
        feature = "cli",
        arg(short, long, alias = "lambda", value_name = "L", help_heading = "Training")
    )]
    pub regularization: Option<Automatic>,
    /// Exponent e: 0 plain ridge, 1 weighted by the number of ratings (ALS-WR).
    #[cfg_attr(feature = "cli", arg(long, value_name = "E", help_heading = "Training"))]
    pub reg_exponent: Option<Exponent>,
    /// Damping of the biases of als and sgd: every user and item counts as if it had so many
    /// ratings of the mean more.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Training"))]
    pub bias_damping: Option<NonNegative>,
    /// λ of the biases, scaled with the number of ratings as λ of the vectors is.
    #[cfg_attr(feature = "cli", arg(long, value_name = "L", help_heading = "Training"))]
    pub bias_reg: Option<NonNegative>,
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
    /// How als and ials solve a row: exactly, by steps of conjugate gradients, or block by block.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", help_heading = "Training"))]
    pub solver: Option<SolverName>,
    /// Steps of --solver cg per row and half-sweep.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Training"))]
    pub cg_steps: Option<Count>,
    /// Unknowns per block of --solver subspace.
    #[cfg_attr(feature = "cli", arg(long, value_name = "B", help_heading = "Training"))]
    pub block: Option<Count>,
    /// No negative factors, with als and ials; implies --no-mean and --no-biases.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Training"))]
    pub nonnegative: bool,
    /// Stop when the objective improves by less than this share; 0 never stops early.
    #[cfg_attr(feature = "cli", arg(long, value_name = "TOL", help_heading = "Training"))]
    pub tol: Option<NonNegative>,
    /// Stop after N measured iterations without a better --criterion on a validation part cut from the
    /// training ratings (a share of --test-ratio), and keep the best iteration. Off by default.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Training"))]
    pub patience: Option<Count>,
    /// What --patience watches: rmse, or a ranking metric (over at most 10000 users). By
    /// default rmse, with ials ndcg@10.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", help_heading = "Training"))]
    pub criterion: Option<Criterion>,

    /// Rate of the first steps of sgd, and of all steps of gd; above 0.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "ETA", help_heading = "Gradient descent (sgd, gd)")
    )]
    pub learning_rate: Option<Positive>,
    /// How the rate of sgd shrinks.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "NAME", help_heading = "Gradient descent (sgd, gd)")
    )]
    pub schedule: Option<ScheduleName>,

    /// How bayes approaches the posterior: by variational inference, or by sampling.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", help_heading = "Bayesian (bayes)"))]
    pub inference: Option<InferenceName>,
    /// Which users and items of vb have which covariance.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", help_heading = "Bayesian (bayes)"))]
    pub covariance: Option<CovarianceName>,
    /// Iterations of gibbs before its first sample.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Bayesian (bayes)"))]
    pub burn_in: Option<Natural>,
    /// Samples that gibbs averages over.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Bayesian (bayes)"))]
    pub samples: Option<Count>,
    /// Samples to keep in the model, evenly spread, for predict --interval.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Bayesian (bayes)"))]
    pub keep_samples: Option<Natural>,

    /// Confidence c of a count r: unit 1 (and α₀ for every pair); linear 1 + α r; log 1 + α ln(1 +
    /// r/ε); raw α r.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "FORM", help_heading = "Implicit feedback (ials)")
    )]
    pub confidence: Option<ConfidenceName>,
    /// α of the confidence.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "A", help_heading = "Implicit feedback (ials)")
    )]
    pub alpha: Option<NonNegative>,
    /// ε of the confidence log, above 0.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "E", help_heading = "Implicit feedback (ials)")
    )]
    pub epsilon: Option<NonNegative>,
    /// Weight α₀ of every pair that is not observed. A larger one draws scores to 0 and favours
    /// what is popular.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "A", help_heading = "Implicit feedback (ials)")
    )]
    pub unobserved_weight: Option<NonNegative>,

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
    /// Do not keep the prepared ratings in the model: recommend, evaluate and update then read the rating
    /// files again, which must still be the same ones.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Training"))]
    pub drop_ratings: bool,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            input: Vec::new(),
            output: None,
            force: false,
            drop_ratings: false,
            load: LoadConfig::default(),
            holdout: Holdout::Hash,
            test_ratio: TEST_RATIO,
            holdout_salt: "lacuna".to_owned(),
            leave_out: None,
            split_time: None,
            fold_in_ratio: None,
            metrics: Vec::new(),
            relevant_from: None,
            eval_every: Count::literal(1),
            folds: None,
            test_file: Vec::new(),
            refit: false,
            algorithm: None,
            positive_from: None,
            factors: None,
            iterations: None,
            regularization: None,
            reg_exponent: None,
            bias_damping: None,
            bias_reg: None,
            user_reg: None,
            item_reg: None,
            no_biases: false,
            no_mean: false,
            solver: None,
            cg_steps: None,
            block: None,
            nonnegative: false,
            tol: None,
            patience: None,
            criterion: None,
            learning_rate: None,
            schedule: None,
            inference: None,
            covariance: None,
            burn_in: None,
            samples: None,
            keep_samples: None,
            confidence: None,
            alpha: None,
            epsilon: None,
            unobserved_weight: None,
            seed: SEED,
            threads: None,
        }
    }
}

impl TrainConfig {
    /// Checks inputs, output and holdout. Returns the output.
    pub(super) fn check_files(&self) -> Result<&Path> {
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
        if !self.test_file.is_empty()
            && matches!(self.holdout, Holdout::Last | Holdout::Time | Holdout::User)
        {
            return wrong(
                "--test-file is the holdout: it does not go with --holdout last, time or user",
            );
        }
        if self.holdout != Holdout::User && self.fold_in_ratio.is_some() {
            return wrong("--fold-in-ratio goes with --holdout user");
        }
        if self.relevant_from.is_some_and(|from| !from.is_finite()) {
            return wrong("--relevant-from needs a number");
        }
        if self.criterion.is_some() && self.patience.is_none() {
            return wrong("--criterion says what --patience watches: give --patience N");
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
            (Holdout::User, _) => Split::User {
                ratio,
                fold_in_ratio: self.fold_in_ratio.unwrap_or(FOLD_IN_RATIO).get(),
                salt: self.holdout_salt.clone(),
            },
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

    /// The settings that affect the factors, for the model's identity.
    #[must_use]
    pub fn identity(&self) -> serde_json::Value {
        let mut value = json::value(self);
        if let Some(map) = value.as_object_mut() {
            for key in LOCAL_KEYS {
                map.remove(key);
            }
        }
        value
    }
}
