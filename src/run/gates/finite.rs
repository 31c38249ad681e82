//! Gate `finite`: the number of vectors that are not finite or are zero.

use super::entries::{Finding, limit};
use super::look::ModelLook;
use crate::store::Severity;

pub(super) fn check(look: &ModelLook<'_>) -> Option<Finding> {
    // With `nonnegative`, a zero vector is a valid result.
    let zeros = !look.config.train.nonnegative && look.model.factors.rank() > 0;
    let (mut strange, mut empty) = (0, 0);
    for side in [&look.model.factors.users, &look.model.factors.items] {
        for row in 0..side.vectors.rows() {
            let vector = side.vectors.row(row);
            if !vector.iter().chain([&side.biases[row]]).all(|v| v.is_finite()) {
                strange += 1;
            } else if zeros && vector.iter().all(|&v| v == 0.0) {
                empty += 1;
            }
        }
    }
    let message = format!("vectors that are not finite: {strange}; zero vectors: {empty}");
    let found = f64::from(strange + empty);
    let limits = vec![limit(Severity::Error, 0.0, found == 0.0)];
    Some(Finding { observed: Some(found), message, limits })
}
