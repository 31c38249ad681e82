//! The settings of `train`, one definition each.
//!
//! The command line, the configuration file, the environment and the manifest derive from them.

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

/// Keys of the settings that do not affect the factors, such as paths and threads.
pub(crate) const LOCAL_KEYS: [&str; 6] =
    ["input", "output", "force", "threads", "folds", "drop_ratings"];

/// How the holdout is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Holdout {
    /// A share of the ratings by a stable hash of user, item and salt: the same ones every night.
    Hash,
    /// An exact share of the ratings, drawn at random.
    Random,
    /// Each user's latest ratings.
    Last,
    /// All ratings from --split-time on.
    Time,
    /// Whole users (strong generalisation), folded in from the --fold-in-ratio of their ratings.
    User,
    /// Nothing is held out.
    None,
}

/// All settings of `train`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct TrainConfig {
    /// Rating files: CSV, TSV, ::-separated .dat or Parquet, also as .gz, .zst or MovieLens .zip.
    /// Directories, patterns ("logs/2024-*.csv"), - for standard input, and URLs (s3://, gs://,
    /// az:// with the feature cloud) work too.
    #[cfg_attr(feature = "cli", arg(value_name = "RATINGS"))]
    pub input: Vec<String>,
    /// Model directory to write. It holds user_factors.parquet, item_factors.parquet,
    /// manifest.json, metrics.json and more.
    #[cfg_attr(feature = "cli", arg(short, long, value_name = "DIR"))]
    pub output: Option<PathBuf>,
    /// Replace the model that --output names.
    #[cfg_attr(feature = "cli", arg(long))]
    pub force: bool,

    /// How rating files are read.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub load: LoadConfig,

    /// Which ratings are held out to measure the model. Predictions are clipped to the range of the
    /// training ratings before errors are computed.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "RULE", default_value = "hash", help_heading = "Holdout")
    )]
    pub holdout: Holdout,
    /// Share of the ratings (hash, random, last) or of the users (user) to hold out, between 0 and
    /// 1.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SHARE",
            default_value_t = Self::default().test_ratio,
            help_heading = "Holdout"
        )
    )]
    pub test_ratio: Fraction,
    /// Salt of the hash: another salt gives another holdout.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "TEXT",
            default_value_t = Self::default().holdout_salt,
            help_heading = "Holdout"
        )
    )]
    pub holdout_salt: String,
    /// Hold out the K latest ratings of each user instead of a share (with --holdout last).
    #[cfg_attr(feature = "cli", arg(long, value_name = "K", help_heading = "Holdout"))]
    pub leave_out: Option<Count>,
    /// Hold out all ratings from this date on (with --holdout time).
    #[cfg_attr(feature = "cli", arg(long, value_name = "DATE", help_heading = "Holdout"))]
    pub split_time: Option<Date>,
    /// Share of a held-out user's ratings that fold the user in; the others are predicted (with
    /// --holdout user). [default: 0.8]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE", help_heading = "Holdout"))]
    pub fold_in_ratio: Option<Fraction>,
    /// Ranking metrics to compute on the holdout at the end, for all users: precision@K, recall@K,
    /// recall-min@K, ndcg@K, map@K, mrr@K, hit-rate@K, auc, coverage@K, popularity-rank@K, gini@K.
    /// By default ndcg@10 and recall@20, which models of ratings compute for at most 10000 users.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Holdout")
    )]
    pub metrics: Vec<RankingMetric>,
    /// Lowest held-out rating that counts as relevant in ranking metrics. By default all count.
    #[cfg_attr(feature = "cli", arg(long, value_name = "R", help_heading = "Holdout"))]
    pub relevant_from: Option<f64>,
    /// Measure the holdout, and the validation ratings of --patience, after every N-th iteration.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "N",
            default_value_t = Self::default().eval_every,
            help_heading = "Holdout"
        )
    )]
    pub eval_every: Count,
    /// Cross-validate before the training, with 2 to 100 parts: each of K parts of all ratings is
    /// held out of a fit of its own, and the report has the mean and standard deviation. The
    /// published model follows --holdout.
    #[cfg_attr(feature = "cli", arg(long, value_name = "K", help_heading = "Holdout"))]
    pub folds: Option<Folds>,
    /// Files of test ratings, used as the holdout instead of a split. Cells that also occur in the
    /// training ratings are removed from those.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", help_heading = "Holdout"))]
    pub test_file: Vec<String>,
    /// Fit the published factors again on all ratings after the holdout is measured.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Holdout"))]
    pub refit: bool,

    /// Algorithm to train. [default: bayes; als if a setting is specified that als has and bayes
    /// has not; ials with --positive-from or for files without a rating column]
    #[cfg_attr(feature = "cli", arg(short, long, value_name = "NAME", help_heading = "Training"))]
    pub algorithm: Option<AlgorithmName>,
    /// Train ials on the ratings of at least R, as events; lower ratings are left out. R is at
    /// least 0.
    #[cfg_attr(feature = "cli", arg(long, value_name = "R", help_heading = "Training"))]
    pub positive_from: Option<f64>,
    /// Number of factors (the rank), 1 to 4096. als and sgd also take 0, which fits biases alone.
    #[cfg_attr(
        feature = "cli",
        arg(short = 'k', long, alias = "rank", value_name = "K", help_heading = "Training")
    )]
    pub factors: Option<Rank>,
    /// Maximum number of iterations: sweeps over users and items, epochs of sgd, or steps of gd.
    #[cfg_attr(
        feature = "cli",
        arg(short, long, alias = "max-iter", value_name = "N", help_heading = "Training")
    )]
    pub iterations: Option<Count>,
    /// Regularisation λ of the vectors, at least 0. A larger λ draws predictions to the mean:
    /// less noise, less detail. auto searches for λ on validation ratings cut from the training
    /// ratings; the fit itself then uses all training ratings. als and sgd add λ n̄ (n/n̄)^e
    /// |p|² for a row of n ratings, on standardised ratings, where n̄ is the mean of n. ials adds
    /// λ (n + α₀ N)^e |p|², where N is the number of rows of the other side.
    #[cfg_attr(
        feature = "cli",
        arg(short, long, alias = "lambda", value_name = "L", help_heading = "Training")
    )]
    pub regularization: Option<Automatic>,
    /// Exponent e of the number of ratings in the regularisation, 0 to 2: 0 is plain ridge, 1
    /// weights λ by the number of ratings (ALS-WR).
    #[cfg_attr(feature = "cli", arg(long, value_name = "E", help_heading = "Training"))]
    pub reg_exponent: Option<Exponent>,
    /// Damping of the biases of als and sgd, at least 0: every user and item counts as if it had N
    /// more ratings equal to the mean.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Training"))]
    pub bias_damping: Option<NonNegative>,
    /// Regularisation λ of the biases, at least 0. It scales with the number of ratings as the λ
    /// of the vectors does.
    #[cfg_attr(feature = "cli", arg(long, value_name = "L", help_heading = "Training"))]
    pub bias_reg: Option<NonNegative>,
    /// Regularisation λ of the user vectors, if it differs from --regularization.
    #[cfg_attr(feature = "cli", arg(long, value_name = "L", help_heading = "Training"))]
    pub user_reg: Option<NonNegative>,
    /// Regularisation λ of the item vectors, if it differs from --regularization.
    #[cfg_attr(feature = "cli", arg(long, value_name = "L", help_heading = "Training"))]
    pub item_reg: Option<NonNegative>,
    /// Fit no biases.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Training"))]
    pub no_biases: bool,
    /// Fit raw ratings, without subtracting a mean or standardising. λ is then on the scale of the
    /// ratings.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Training"))]
    pub no_mean: bool,
    /// How als and ials solve a row: exactly (cholesky), by steps of conjugate gradients (cg), or
    /// block by block (subspace).
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", help_heading = "Training"))]
    pub solver: Option<SolverName>,
    /// Number of conjugate gradient steps per row and half-sweep (with --solver cg).
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Training"))]
    pub cg_steps: Option<Count>,
    /// Number of unknowns per block (with --solver subspace).
    #[cfg_attr(feature = "cli", arg(long, value_name = "B", help_heading = "Training"))]
    pub block: Option<Count>,
    /// Keep all factors of als or ials at 0 or above. Implies --no-mean and --no-biases.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Training"))]
    pub nonnegative: bool,
    /// Stop when an iteration improves the objective by less than this share; 0 never stops early.
    #[cfg_attr(feature = "cli", arg(long, value_name = "TOL", help_heading = "Training"))]
    pub tol: Option<NonNegative>,
    /// Stop after N measured iterations without a better --criterion, and keep the best iteration.
    /// Measured on validation ratings, which are cut from the training ratings (a share of
    /// --test-ratio). Off by default.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Training"))]
    pub patience: Option<Count>,
    /// Measure that --patience and lacuna tune compare by: rmse, or a ranking metric (over at most
    /// 10000 users). By default rmse, or ndcg@10 for ials.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", help_heading = "Training"))]
    pub criterion: Option<Criterion>,

    /// Learning rate, above 0: of the first steps of sgd, or of all steps of gd.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "ETA", help_heading = "Gradient descent (sgd, gd)")
    )]
    pub learning_rate: Option<Positive>,
    /// How the learning rate of sgd shrinks.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "NAME", help_heading = "Gradient descent (sgd, gd)")
    )]
    pub schedule: Option<ScheduleName>,

    /// How bayes approximates the posterior: by variational inference (vb) or by sampling (gibbs).
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", help_heading = "Bayesian (bayes)"))]
    pub inference: Option<InferenceName>,
    /// Whether users and items share covariances (with --inference vb).
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", help_heading = "Bayesian (bayes)"))]
    pub covariance: Option<CovarianceName>,
    /// Number of iterations of gibbs before its first sample.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Bayesian (bayes)"))]
    pub burn_in: Option<Natural>,
    /// Number of samples that gibbs averages over.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Bayesian (bayes)"))]
    pub samples: Option<Count>,
    /// Number of samples, evenly spread, to keep in the model for predict --interval: 0, or 2 or
    /// more.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Bayesian (bayes)"))]
    pub keep_samples: Option<Natural>,

    /// Confidence of an observed pair with count r. unit: 1, with α₀ added for every pair;
    /// linear: 1 + α r; log: 1 + α ln(1 + r/ε); raw: α r.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "FORM", help_heading = "Implicit feedback (ials)")
    )]
    pub confidence: Option<ConfidenceName>,
    /// Factor α of the confidence, above 0 (with --confidence linear, log or raw).
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "A", help_heading = "Implicit feedback (ials)")
    )]
    pub alpha: Option<NonNegative>,
    /// Unit ε of the counts, above 0 (with --confidence log).
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "E", help_heading = "Implicit feedback (ials)")
    )]
    pub epsilon: Option<NonNegative>,
    /// Weight α₀ of every unobserved pair, at least 0. A larger weight draws scores to 0 and
    /// favours popular items.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "A", help_heading = "Implicit feedback (ials)")
    )]
    pub unobserved_weight: Option<NonNegative>,

    /// Seed of the starting vectors and of --holdout random.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SEED",
            default_value_t = Self::default().seed,
            help_heading = "Training"
        )
    )]
    pub seed: u64,
    /// Number of threads, 1 to 1024; all cores by default. The result does not depend on it.
    #[cfg_attr(
        feature = "cli",
        arg(short = 'j', long, value_name = "N", help_heading = "Training")
    )]
    pub threads: Option<Threads>,
    /// Do not keep the prepared ratings in the model. recommend, evaluate and update then read the
    /// rating files again, which must be unchanged.
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
    /// Checks inputs, output and holdout, and returns the output directory.
    pub(super) fn check_files(&self) -> Result<&Path> {
        let wrong = |message: &str| Err(Error::Usage(message.to_owned()));
        if self.input.is_empty() {
            return wrong(
                "no input: pass rating files, or set input = [...] in the configuration file",
            );
        }
        let Some(output) = &self.output else {
            return wrong(
                "no output: pass -o DIR, or set output = \"DIR\" in the configuration file",
            );
        };
        if self.holdout == Holdout::Time && self.split_time.is_none() {
            return wrong("--holdout time needs --split-time DATE");
        }
        if self.holdout != Holdout::Time && self.split_time.is_some() {
            return wrong("--split-time needs --holdout time");
        }
        if self.holdout != Holdout::Last && self.leave_out.is_some() {
            return wrong("--leave-out needs --holdout last");
        }
        if !self.test_file.is_empty()
            && matches!(self.holdout, Holdout::Last | Holdout::Time | Holdout::User)
        {
            return wrong(
                "--test-file is the holdout, so it cannot be combined with --holdout last, time or \
                 user",
            );
        }
        if self.holdout != Holdout::User && self.fold_in_ratio.is_some() {
            return wrong("--fold-in-ratio needs --holdout user");
        }
        if self.relevant_from.is_some_and(|from| !from.is_finite()) {
            return wrong("--relevant-from needs a number");
        }
        if self.criterion.is_some() && self.patience.is_none() {
            return wrong("--criterion needs --patience N, which compares by it");
        }
        Ok(output)
    }

    /// The rule that splits the ratings; [`Split::None`] with test files.
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

    /// Whether the holdout needs the times of the ratings.
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
