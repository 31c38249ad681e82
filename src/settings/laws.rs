//! Laws that derive defaults from the training ratings, from ten thousand ratings to a billion. Laws of
//! one algorithm stand with it.

use crate::param::NonNegative;
use crate::ratings::Ratings;

/// `λ √n̄` of als and sgd, with `n̄` the geometric mean of both sides' mean numbers of ratings. With
/// `--reg-exponent 0.5` a row of `n` ratings then has the penalty `1.2 √n |vector|²`, whatever the
/// density of the rest.
const LAMBDA: f64 = 1.2;

/// The law of [`lambda`] in words.
pub(super) const LAMBDA_IN_WORDS: &str =
    "1.2 over the fourth root of mean ratings per user times mean ratings per item";

/// Geometric mean of both sides' mean numbers of ratings, at least 1.
pub(super) fn mean_count(ratings: &Ratings) -> f64 {
    (ratings.by_user.mean_count() * ratings.by_item.mean_count()).sqrt().max(1.0)
}

/// λ of als and sgd.
pub(super) fn lambda(ratings: &Ratings) -> Option<NonNegative> {
    number(LAMBDA / mean_count(ratings).sqrt())
}

/// A number as the laws give it: to three digits.
pub(super) fn number(value: f64) -> Option<NonNegative> {
    NonNegative::new(significant(value)).ok()
}

/// Three digits: more would pretend to an accuracy that the laws do not have.
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
