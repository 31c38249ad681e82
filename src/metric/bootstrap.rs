//! Confidence interval of an RMSE, by a bootstrap over users.

use rand::RngExt;
use rayon::prelude::*;
use serde::Serialize;

use super::RatingErrors;
use crate::rng::{Stream, generator};

/// Number of resamples.
const RESAMPLES: u32 = 1000;

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The 95 % percentile interval of the RMSE over the cells of all users.
///
/// Each of the 1000 resamples draws as many users as there are, with replacement and with all their
/// cells (Efron 1979). It draws users because the cells of one user are not independent (Field,
/// Welsh 2007). `None` with fewer than two users.
#[must_use]
pub fn bootstrap_rmse(per_user: &[RatingErrors], seed: u64) -> Option<Interval> {
    if per_user.len() < 2 {
        return None;
    }
    let resample = |number: u32| {
        let mut rng = generator(seed, Stream::Bootstrap(number));
        let mut total = RatingErrors::default();
        for _ in 0..per_user.len() {
            total.add(&per_user[rng.random_range(0..per_user.len())]);
        }
        total.rmse().unwrap_or(0.0)
    };
    let mut found: Vec<f64> = (0..RESAMPLES).into_par_iter().map(resample).collect();
    found.sort_unstable_by(f64::total_cmp);
    // The 25th smallest and the 25th largest.
    let tail = RESAMPLES as usize / 40;
    Some(Interval { low: found[tail - 1], high: found[found.len() - tail] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_normal_approximation() {
        // Half of the users have a mean squared error of 1 and half of 3, so the RMSE is sqrt(2).
        let user = |n: u32| {
            let squared: f64 = if n.is_multiple_of(2) { 1.0 } else { 3.0 };
            let mut errors = RatingErrors::default();
            (0..10).for_each(|_| errors.push(squared.sqrt()));
            errors
        };
        let users: Vec<RatingErrors> = (0..1000).map(user).collect();
        let found = bootstrap_rmse(&users, 1).expect("enough users");
        // The mean of 1000 values of deviation 1 has deviation 0.0316; 1.96 times that is 0.062.
        let (low, high) = ((2.0_f64 - 0.062).sqrt(), (2.0_f64 + 0.062).sqrt());
        assert!((found.low - low).abs() < 0.004 && (found.high - high).abs() < 0.004, "{found:?}");
        assert_eq!(found, bootstrap_rmse(&users, 1).expect("the same"));
        assert!(bootstrap_rmse(&users[..1], 1).is_none());
    }
}
