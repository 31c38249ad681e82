//! Random starting vectors.

use rand_distr::{Distribution, Normal};
use rayon::prelude::*;

use crate::ids::Axis;
use crate::linalg::Matrix;
use crate::rng::{Stream, generator};

/// Vectors with independent entries N(0, 0.1² / rank), each row drawn from its own stream.
///
/// The stream depends only on the seed, the side and the row's key. New rows therefore do not
/// change the starting vectors of the others.
#[must_use]
pub fn start(seed: u64, axis: Axis, keys: &[u64], rank: usize) -> Matrix {
    let mut vectors = Matrix::zeros(keys.len(), rank);
    // Without factors there is nothing to draw.
    let Ok(normal) = Normal::new(0.0_f32, 0.1 / (rank as f32).sqrt()) else { return vectors };
    let stride = vectors.stride().max(1);
    if rank > 0 {
        vectors.padded_rows_mut().par_chunks_mut(stride).zip(keys).for_each(|(row, &key)| {
            let mut rng = generator(seed, Stream::Start(axis, key));
            row[..rank].iter_mut().for_each(|v| *v = normal.sample(&mut rng));
        });
    }
    vectors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_depends_on_its_key_alone() {
        let some = start(7, Axis::Item, &[11, 5, 99], 10);
        let more = start(7, Axis::Item, &[5, 1, 2, 99, 11], 10);
        assert_eq!(some.row(0), more.row(4));
        assert_eq!(some.row(2), more.row(3));
        assert_ne!(some.row(0), start(8, Axis::Item, &[11], 10).row(0));
        assert_ne!(some.row(0), start(7, Axis::User, &[11], 10).row(0));
        assert_eq!(start(7, Axis::User, &[1, 2], 0).cols(), 0);
    }

    #[test]
    fn entries_have_the_documented_spread() {
        let keys: Vec<u64> = (0..2000).collect();
        let vectors = start(1, Axis::User, &keys, 16);
        let sum: f64 = (0..2000).map(|r| vectors.row_norm_squared(r)).sum();
        // Mean of 32000 squares of N(0, 0.1²/16): 0.000625 with a standard deviation of 0.8 %.
        let variance = sum / 32_000.0;
        assert!((variance / 0.000_625 - 1.0).abs() < 0.03, "{variance}");
    }
}
