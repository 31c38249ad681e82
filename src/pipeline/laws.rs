//! Defaults that follow from the training ratings: laws that hold from ten thousand ratings to a billion.

use super::TrainConfig;
use super::names::{AlgorithmName, ConfidenceName, InferenceName};
use crate::param::{Automatic, Exponent, NonNegative, Rank};
use crate::ratings::Ratings;

/// `λ √n̄` of als and sgd, with `n̄` the geometric mean of both sides' mean numbers of ratings. With
/// `--reg-exponent 0.5` a row of `n` ratings then has the penalty `1.2 √n |vector|²`, whatever the
/// density of the rest.
const LAMBDA: f64 = 1.2;

/// Weight of all unobserved pairs of ials together, in observed cells: where the search for it begins.
pub(super) const RATIO: f64 = 15.0;

/// Weight of an unobserved pair beside confidences (Hu, Koren, Volinsky 2008).
const UNOBSERVED_BESIDE_CONFIDENCES: f64 = 1.0;

/// Penalty of a row of ials, per observed cell. Rows are regularised by `λ (n + α₀ N)`, with all unobserved
/// pairs `1 + ratio` times `n` on average: `λ` then is this share of it, whatever the density and `α₀`.
const IMPLICIT_PENALTY: f64 = 0.16;

/// The improvement of an iteration below which variational inference ends: this share, where there is an unknown
/// for every rating or more; in proportion less, where there are fewer unknowns. Further iterations would fit the
/// noise, the sooner the more unknowns there are.
const SETTLED: f64 = 0.02;

/// The rank of bayes follows the mean number of ratings, in steps of 8 between these.
const FEWEST_FACTORS: usize = 16;
/// See [`FEWEST_FACTORS`].
pub(super) const MOST_FACTORS: usize = 32;

/// What was not set and depends on the ratings.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Laws {
    /// `λ` of the vectors; none for algorithms without one.
    pub lambda: Option<NonNegative>,
    /// `α₀` of ials.
    pub unobserved: Option<NonNegative>,
    /// Rank of bayes.
    pub rank: Option<Rank>,
    /// `--tol` of bayes by variational inference.
    pub tolerance: Option<NonNegative>,
}

impl Laws {
    /// For a set of training ratings.
    pub(super) fn new(config: &TrainConfig, ratings: &Ratings) -> Self {
        let number = |value: f64| NonNegative::new(significant(value)).ok();
        let (users, items) = (&ratings.by_user, &ratings.by_item);
        let mean_count = (users.mean_count() * items.mean_count()).sqrt().max(1.0);
        match config.algorithm_name() {
            AlgorithmName::Als | AlgorithmName::Sgd => {
                let lambda = number(LAMBDA / mean_count.sqrt());
                Self { lambda, ..Self::default() }
            }
            AlgorithmName::Ials => {
                let unit = config.confidence.is_none_or(|form| form == ConfidenceName::Unit);
                let weight = match (config.unobserved_weight, unit) {
                    (Some(given), _) => given.get(),
                    (None, true) => unobserved(RATIO, ratings),
                    (None, false) => UNOBSERVED_BESIDE_CONFIDENCES,
                };
                let all = mean_count * (1.0 + weight / unobserved(1.0, ratings).max(1e-12));
                let exponent = config.reg_exponent.map_or(1.0, Exponent::get);
                let lambda = IMPLICIT_PENALTY * mean_count / all.powf(exponent);
                let unobserved = NonNegative::new(weight).ok();
                Self { lambda: number(lambda), unobserved, ..Self::default() }
            }
            AlgorithmName::Bayes => {
                let rank = config.factors.map_or_else(|| rank(mean_count), |k| k.get() as usize);
                let rows = (users.rows_with_cells() + items.rows_with_cells()) as f64;
                let unknowns = rows * rank as f64 / ratings.len().max(1) as f64;
                let settles = config.resolved().inference == Some(InferenceName::Vb);
                let tolerance = settles.then(|| number(SETTLED * unknowns.min(1.0))).flatten();
                Self { rank: Rank::new(rank as u32).ok(), tolerance, ..Self::default() }
            }
            AlgorithmName::Gd => Self::default(),
        }
    }
}

/// The rank of bayes for this geometric mean of both sides' mean numbers of ratings: a vector should not have
/// more entries than that, or sparse ratings end in noise.
fn rank(mean_count: f64) -> usize {
    let entries = 8 * (mean_count / 8.0).ceil().min(64.0) as usize;
    entries.clamp(FEWEST_FACTORS, MOST_FACTORS)
}

/// The warning for a kept rank that is not the one that these ratings would get.
pub(super) fn other_rank(config: &TrainConfig, ratings: &Ratings) -> Option<String> {
    let free = TrainConfig { factors: None, ..config.clone() };
    let (kept, own) = (config.factors?.get(), Laws::new(&free, ratings).rank?.get());
    (kept != own).then(|| {
        format!(
            "the rank stays {kept}, as in the run before, so that vectors keep their width; by default these \
             ratings would get {own}: -k {own} changes it, -k {kept} keeps it without this warning"
        )
    })
}

/// `α₀` where all unobserved pairs together weigh `ratio` times the observed cells.
pub(super) fn unobserved(ratio: f64, ratings: &Ratings) -> f64 {
    let (users, items) = (&ratings.by_user, &ratings.by_item);
    let pairs = users.rows_with_cells() as f64 * items.rows_with_cells() as f64;
    significant(ratio * ratings.len() as f64 / pairs.max(1.0))
}

/// Three digits: more would pretend to an accuracy that the laws do not have.
pub(super) fn significant(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10.0_f64.powi(2 - value.log10().floor() as i32);
    (value * scale).round() / scale
}

impl TrainConfig {
    /// The same settings with the laws' values in place of what was not set.
    pub(super) fn settled(&self, ratings: &Ratings) -> Self {
        let mut config = self.clone();
        let laws = Laws::new(self, ratings);
        if let (None, Some(lambda)) = (config.regularization, laws.lambda) {
            config.regularization = Some(Automatic::Value(lambda));
        }
        config.unobserved_weight = config.unobserved_weight.or(laws.unobserved);
        config.factors = config.factors.or(laws.rank);
        config.tol = config.tol.or(laws.tolerance);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ratings::Cell;

    #[test]
    fn numbers_keep_three_digits() {
        let cases = [(0.0, 0.0), (0.012_345, 0.0123), (123_456.0, 123_000.0), (0.999_9, 1.0)];
        assert!(cases.iter().all(|&(value, want)| (significant(value) - want).abs() < 1e-12));
        assert_eq!(significant(f64::NAN), 0.0);
    }

    #[test]
    fn laws_follow_the_density() {
        // 8 users with 4 ratings each, 16 items with 2 each.
        let cells: Vec<Cell> = (0..32)
            .map(|at| Cell { user: at / 4, item: at % 16, value: 1.0, weight: 1.0, time: 0 })
            .collect();
        let ratings = Ratings::from_sorted(8, 16, &cells);
        let of = |algorithm| TrainConfig { algorithm: Some(algorithm), ..TrainConfig::default() };
        let als = of(AlgorithmName::Als).settled(&ratings);
        let lambda = als.regularization.and_then(Automatic::value).map(NonNegative::get);
        assert_eq!(lambda, Some(significant(1.2 / 8.0_f64.powf(0.25))));
        let ials = of(AlgorithmName::Ials).settled(&ratings);
        assert_eq!(ials.unobserved_weight.map(NonNegative::get), Some(3.75));
        let linear =
            TrainConfig { confidence: Some(ConfidenceName::Linear), ..of(AlgorithmName::Ials) };
        let weight = linear.settled(&ratings).unobserved_weight.map(NonNegative::get);
        assert_eq!(weight, Some(1.0));
        let given = TrainConfig {
            regularization: Some(Automatic::Value(NonNegative::literal(0.5))),
            ..of(AlgorithmName::Als)
        };
        assert_eq!(given.settled(&ratings), given, "what was set stays");
        // 24 rows of 16 unknowns for 32 ratings.
        let bayes = of(AlgorithmName::Bayes).settled(&ratings);
        assert_eq!(bayes.tol.map(NonNegative::get), Some(0.02));
        assert_eq!(bayes.factors.map(Rank::get), Some(16));
        let ranks = [0.0, 8.0, 14.3, 17.0, 21.6, 28.5, 38.0, 1e9].map(rank);
        assert_eq!(ranks, [16, 16, 16, 24, 24, 32, 32, 32]);
        assert_eq!(of(AlgorithmName::Gd).settled(&ratings), of(AlgorithmName::Gd));
    }
}
