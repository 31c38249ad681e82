//! The settings of `train`, one definition each.
//!
//! The command line, the configuration file, the environment and the manifest derive from them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::criterion::Criterion;
use super::defaults::{SEED, TEST_RATIO};
use super::holdout::Holdout;
use super::names::{
    AlgorithmName, ConfidenceName, CovarianceName, InferenceName, ScheduleName, SolverName,
};
use super::reading::LoadConfig;
use crate::load::time::Date;
use crate::metric::ranking::RankingMetric;
use crate::param::{
    Automatic, Count, Exponent, Folds, Fraction, Natural, NonNegative, Positive, Rank, Threads,
};
use crate::store::json;

/// Keys of the settings that do not affect the factors, such as paths and threads.
pub(crate) const LOCAL_KEYS: [&str; 6] =
    ["input", "output", "force", "threads", "folds", "discard_ratings"];

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

    /// Rule that chooses the ratings to hold out. The model is measured on these ratings, with
    /// predictions clipped to the range of the training ratings.
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
    /// Share of a held-out user's ratings from which the user's vector is solved; the other ratings
    /// are predicted (with --holdout user). [default: 0.8]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SHARE", help_heading = "Holdout"))]
    pub fold_in_ratio: Option<Fraction>,
    /// Ranking metrics to compute on the holdout at the end, for all users, separated by commas:
    /// precision@K, recall@K, recall-min@K, ndcg@K, map@K, mrr@K, hit-rate@K, auc, coverage@K,
    /// popularity-rank@K, gini@K. By default ndcg@10 and recall@20; for models of ratings, these
    /// defaults are computed for at most 10000 users.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Holdout")
    )]
    pub metrics: Vec<RankingMetric>,
    /// Lowest held-out rating that counts as relevant in ranking metrics. By default all count.
    #[cfg_attr(feature = "cli", arg(long, value_name = "R", help_heading = "Holdout"))]
    pub relevant_from: Option<f64>,
    /// Measure the model on the holdout, and on the validation ratings of --patience, after every
    /// N-th iteration.
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
    /// Cross-validate before the training: split all ratings into K parts, 2 to 100, and hold each
    /// part out of one fit. The report has the mean and standard deviation of the metrics over the
    /// parts. The final model still uses --holdout.
    #[cfg_attr(feature = "cli", arg(long, value_name = "K", help_heading = "Holdout"))]
    pub folds: Option<Folds>,
    /// File of test ratings, which become the holdout instead of a split; may be repeated. Training
    /// ratings of the same user and item are left out.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", help_heading = "Holdout"))]
    pub test_file: Vec<String>,
    /// Measure a model that is fitted without the holdout, then fit the final factors on all
    /// ratings.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Holdout"))]
    pub refit: bool,

    /// Algorithm to train. [default: bayes; als if an option is specified that als takes but bayes
    /// does not; ials with --positive-from or for files without a rating column]
    #[cfg_attr(feature = "cli", arg(short, long, value_name = "NAME", help_heading = "Training"))]
    pub algorithm: Option<AlgorithmName>,
    /// Train ials on events: a rating of at least R is an event, and lower ratings are left out. R
    /// is at least 0.
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
    /// Regularisation λ of the vectors, at least 0, or auto. A larger λ draws predictions to the
    /// mean: less noise, less detail. auto searches for λ on validation ratings that are cut from
    /// the training ratings, and then fits on all training ratings. For the vector p of a user or
    /// item with n ratings, als and sgd add λ n̄ (n/n̄)^e |p|² to the objective, on standardised
    /// ratings; n̄ is the mean of n, and e is --reg-exponent. ials adds λ (n + α₀ N)^e |p|²; α₀ is
    /// --unobserved-weight, and N is the number of items (for users) or of users (for items).
    #[cfg_attr(
        feature = "cli",
        arg(short, long, alias = "lambda", value_name = "L", help_heading = "Training")
    )]
    pub regularization: Option<Automatic>,
    /// Exponent e of the number of ratings in the regularisation, 0 to 2: 0 regularises all vectors
    /// equally (plain ridge), 1 in proportion to the number of their ratings (ALS-WR).
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
    /// Iterations are measured on validation ratings, a share of --test-ratio that is cut from the
    /// training ratings. Off by default.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Training"))]
    pub patience: Option<Count>,
    /// Measure by which --patience and lacuna tune compare models: rmse, or a ranking metric (over
    /// at most 10000 users). By default rmse, or ndcg@10 for ials.
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
    /// Whether users share posterior covariances, and items likewise (with --inference vb).
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", help_heading = "Bayesian (bayes)"))]
    pub covariance: Option<CovarianceName>,
    /// Number of iterations of gibbs before its first sample.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Bayesian (bayes)"))]
    pub burn_in: Option<Natural>,
    /// Number of samples that gibbs averages over.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Bayesian (bayes)"))]
    pub samples: Option<Count>,
    /// Number of samples of gibbs to keep in the model for predict --interval, evenly spread over
    /// all samples: 0, or 2 or more.
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", help_heading = "Bayesian (bayes)"))]
    pub keep_samples: Option<Natural>,

    /// Confidence of an observed pair with count r. unit: 1, in addition to the weight α₀, which
    /// every pair then has; linear: 1 + α r; log: 1 + α ln(1 + r/ε); raw: α r.
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
    /// Do not keep the prepared ratings in the model. recommend, evaluate and update then need the
    /// unchanged rating files and read them again.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Training"))]
    #[serde(alias = "drop_ratings")]
    pub discard_ratings: bool,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            input: Vec::new(),
            output: None,
            force: false,
            discard_ratings: false,
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
