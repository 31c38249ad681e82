//! Laws that derive defaults from the training ratings.
//!
//! They are meant for ten thousand to a billion ratings. A law of a single algorithm is in that
//! algorithm's file.

use crate::param::NonNegative;
use crate::ratings::Ratings;

/// The value of `λ √n̄` for als and sgd.
///
/// `n̄` is the geometric mean of the mean numbers of ratings per user and per item. With
/// `--reg-exponent 0.5`, a row of `n` ratings then has the penalty `1.2 √n |vector|²` at any
/// density of the other rows.
const LAMBDA: f64 = 1.2;

/// The law of [`lambda`] in words.
pub(super) const LAMBDA_IN_WORDS: &str =
    "1.2 / fourth root of (mean ratings per user × mean ratings per item)";

/// Geometric mean of the mean numbers of ratings per user and per item, at least 1.
pub(super) fn mean_count(ratings: &Ratings) -> f64 {
    (ratings.by_user.mean_count() * ratings.by_item.mean_count()).sqrt().max(1.0)
}

/// The λ of als and sgd by their law.
pub(super) fn lambda(ratings: &Ratings) -> Option<NonNegative> {
    number(LAMBDA / mean_count(ratings).sqrt())
}

/// A value of a law, rounded to three significant digits.
pub(super) fn number(value: f64) -> Option<NonNegative> {
    NonNegative::new(significant(value)).ok()
}

/// Rounds to three significant digits; more would suggest an accuracy that the laws lack.
///
/// Returns 0 for values that are not positive or not finite.
pub(crate) fn significant(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10.0_f64.powi(2 - value.log10().floor() as i32);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let cases = [(0.0, 0.0), (0.012_345, 0.0123), (123_456.0, 123_000.0), (0.999_9, 1.0)];
        assert!(cases.iter().all(|&(value, want)| (significant(value) - want).abs() < 1e-12));
        assert_eq!(significant(f64::NAN), 0.0);
    }
}
