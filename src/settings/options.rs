//! The options of a fit, one row each.
//!
//! Checks, help, the implied algorithm and `lacuna tune` all use these rows. Each algorithm lists
//! the options that it takes.

use super::algorithms::{method, takers};
use super::holdout::Holdout;
use super::names::{AlgorithmName, ConfidenceName, InferenceName, SolverName};
use super::train::TrainConfig;
use crate::error::{Error, Result};
use crate::param::Rank;

/// One option of a fit.
pub(crate) struct FitOption {
    /// Its key: the long flag with `_` instead of `-`.
    pub key: &'static str,
    /// Its name in messages.
    pub flag: &'static str,
    /// Whether the caller has set it.
    is_set: fn(&TrainConfig) -> bool,
    /// Whether `lacuna tune` can tune it.
    pub tuned: bool,
    /// Sets other settings without which it has no default.
    pub needs: Option<fn(&mut TrainConfig)>,
    /// Text that the help appends to its default.
    pub note: &'static str,
}

macro_rules! option {
    ($key:ident, $flag:literal $(, $more:ident: $value:expr)*) => {
        FitOption { $($more: $value,)* ..row(stringify!($key), $flag, |c| c.$key.is_some()) }
    };
}

const fn row(key: &'static str, flag: &'static str, is_set: fn(&TrainConfig) -> bool) -> FitOption {
    FitOption { key, flag, is_set, tuned: true, needs: None, note: "" }
}

/// All options of a fit, in the order in which messages list them.
pub(crate) const OPTIONS: &[FitOption] = &[
    option!(factors, "--factors"),
    FitOption {
        tuned: false,
        ..row("factors_0", "--factors 0", |c| c.factors.map(Rank::get) == Some(0))
    },
    option!(iterations, "--iterations"),
    option!(regularization, "--regularization"),
    option!(reg_exponent, "--reg-exponent"),
    option!(bias_damping, "--bias-damping", note: "; 0 with --bias-reg"),
    option!(bias_reg, "--bias-reg"),
    option!(user_reg, "--user-reg"),
    option!(item_reg, "--item-reg"),
    row("no_biases", "--no-biases", |c| c.no_biases),
    row("no_mean", "--no-mean", |c| c.no_mean),
    row("nonnegative", "--nonnegative", |c| c.nonnegative),
    option!(solver, "--solver"),
    option!(cg_steps, "--cg-steps", needs: Some(|c| c.solver = Some(SolverName::Cg))),
    option!(block, "--block", needs: Some(|c| c.solver = Some(SolverName::Subspace))),
    option!(tol, "--tol"),
    option!(learning_rate, "--learning-rate"),
    option!(schedule, "--schedule"),
    option!(confidence, "--confidence"),
    option!(alpha, "--alpha", needs: Some(|c| c.confidence = Some(ConfidenceName::Linear))),
    option!(epsilon, "--epsilon", needs: Some(|c| c.confidence = Some(ConfidenceName::Log))),
    option!(unobserved_weight, "--unobserved-weight"),
    option!(inference, "--inference", note: "; gibbs with --burn-in or --samples"),
    option!(covariance, "--covariance"),
    option!(burn_in, "--burn-in", needs: Some(|c| c.inference = Some(InferenceName::Gibbs))),
    option!(samples, "--samples", needs: Some(|c| c.inference = Some(InferenceName::Gibbs))),
    option!(positive_from, "--positive-from", tuned: false),
    option!(patience, "--patience", tuned: false),
    option!(keep_samples, "--keep-samples", tuned: false),
    FitOption {
        tuned: false,
        ..row("holdout_user", "--holdout user", |c| c.holdout == Holdout::User)
    },
];

/// Settings that `lacuna tune` can tune in addition to the options of a fit.
const TUNED: [&str; 2] = ["algorithm", "seed"];

/// The keys that `lacuna tune` can tune.
pub(crate) fn tunable() -> Vec<&'static str> {
    let options = OPTIONS.iter().filter(|option| option.tuned).map(|option| option.key);
    TUNED.into_iter().chain(options).collect()
}

/// Checks that the algorithm takes every option that is set.
pub(super) fn check(config: &TrainConfig, name: AlgorithmName) -> Result<()> {
    let foreign = |option: &&FitOption| {
        (option.is_set)(config) && !method(name).takes().contains(&option.key)
    };
    let Some(option) = OPTIONS.iter().find(foreign) else { return Ok(()) };
    let names: Vec<&str> = takers(option.key).into_iter().map(AlgorithmName::name).collect();
    Err(Error::Usage(format!("{} needs --algorithm {}", option.flag, names.join(" or "))))
}

/// The first option that is set and that `one` takes but `other` does not.
pub(super) fn distinguishing(
    config: &TrainConfig,
    one: AlgorithmName,
    other: AlgorithmName,
) -> Option<&'static FitOption> {
    let takes = |name: AlgorithmName, key| method(name).takes().contains(&key);
    let tells = |option: &&FitOption| {
        (option.is_set)(config) && takes(one, option.key) && !takes(other, option.key)
    };
    OPTIONS.iter().find(tells)
}
