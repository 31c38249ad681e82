//! Finds the nearest neighbours of a row among the rows of its own side.

use rayon::prelude::*;

use super::{Embedding, Ranker, Scratch, USERS_PER_BLOCK, Wanted};
use crate::linalg::simd::Kernels;
use crate::linalg::{Scored, norm};

/// The measure of similarity between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Similarity {
    /// Cosine of the angle between the vectors, from -1 to 1: the same taste, whatever the
    /// popularity.
    #[default]
    Cosine,
    /// Dot product of the vectors: long vectors (popular items) come first.
    Dot,
}

/// Finds the rows most similar to others; biases are ignored.
#[derive(Debug, Clone)]
pub struct Neighbours {
    /// The compared vectors. For cosines they have unit length; zero vectors stay zero.
    side: Embedding,
    ranker: Ranker,
    /// The candidate of a row, if it is one.
    candidate_of: Vec<Option<u32>>,
    kernels: Kernels,
}

impl Neighbours {
    /// Searches among the rows of one side. For cosines, rows with a zero vector are left out: they
    /// are no row's neighbours and have no neighbours themselves.
    #[must_use]
    pub fn new(side: &Embedding, similarity: Similarity) -> Self {
        let mut side =
            Embedding { vectors: side.vectors.clone(), biases: vec![0.0; side.biases.len()] };
        let rows = side.vectors.rows();
        let mut candidates: Vec<u32> = (0..rows as u32).collect();
        if similarity == Similarity::Cosine {
            candidates.retain(|&row| normalise(side.vectors.row_mut(row as usize)));
        }
        let mut candidate_of = vec![None; rows];
        for (candidate, &row) in candidates.iter().enumerate() {
            candidate_of[row as usize] = Some(candidate as u32);
        }
        let ranker = Ranker::new(&side, candidates, 1.0);
        Self { side, ranker, candidate_of, kernels: Kernels::detect() }
    }

    /// At most `n` neighbours of each row, best first and equal scores by position, without the row
    /// itself. Runs in parallel on the current thread pool; `2 rank` flops per pair.
    ///
    /// # Panics
    /// If a row does not exist.
    #[must_use]
    pub fn of(&self, rows: &[u32], n: usize) -> Vec<Vec<Scored>> {
        let block = |scratch: &mut Scratch, rows: &[u32]| {
            let own: Vec<Vec<u32>> =
                rows.iter().map(|&r| self.candidate_of[r as usize].into_iter().collect()).collect();
            let wanted = rows.iter().zip(&own);
            let wanted: Vec<Wanted<'_>> =
                wanted.map(|(&row, own)| Wanted { row, excluded: own, placed: &[] }).collect();
            let ranked = self.ranker.rank(self.kernels, &self.side.vectors, &wanted, n, scratch);
            let mut found = Vec::with_capacity(rows.len());
            for (ranked, own) in ranked.into_iter().zip(&own) {
                let position = |s: Scored| Scored { item: self.ranker.position(s.item), ..s };
                found.push(match own.is_empty() {
                    true => Vec::new(),
                    false => ranked.best.into_iter().map(position).collect(),
                });
            }
            found
        };
        rows.par_chunks(USERS_PER_BLOCK).map_init(Scratch::default, block).flatten().collect()
    }
}

/// Scales a vector to unit length; false for a zero vector.
pub(super) fn normalise(vector: &mut [f32]) -> bool {
    let factor = norm(vector).recip();
    if !factor.is_finite() {
        return false;
    }
    for value in vector {
        *value = (f64::from(*value) * factor) as f32;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::Matrix;

    #[test]
    fn neighbours_equal_a_brute_force_search() {
        let (rows, rank) = (300, 4);
        let number = |i: usize| (i * 7919 % 9) as f32 - 4.0;
        let mut values: Vec<f32> = (0..rows * rank).map(number).collect();
        values[40 * rank..41 * rank].fill(0.0);
        let side =
            Embedding { vectors: Matrix::from_rows(rows, rank, &values), biases: vec![9.0; rows] };
        let asked: Vec<u32> = vec![0, 40, 299, 3];
        for similarity in [Similarity::Dot, Similarity::Cosine] {
            let found = Neighbours::new(&side, similarity).of(&asked, 10);
            for (&row, found) in asked.iter().zip(found) {
                let vector = |r: u32| &values[r as usize * rank..][..rank];
                let dot = |a: &[f32], b: &[f32]| -> f64 {
                    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
                };
                let alike = |r: u32| match similarity {
                    Similarity::Dot => dot(vector(row), vector(r)),
                    Similarity::Cosine => {
                        let norms = dot(vector(row), vector(row)) * dot(vector(r), vector(r));
                        dot(vector(row), vector(r)) / norms.sqrt()
                    }
                };
                let mut all: Vec<f64> = (0..rows as u32)
                    .filter(|&r| r != row)
                    .map(alike)
                    .filter(|s| !s.is_nan())
                    .collect();
                all.sort_by(|a, b| b.total_cmp(a));
                all.truncate(10);
                assert_eq!(found.len(), all.len());
                for (found, best) in found.iter().zip(all) {
                    // Two roundings to single precision in each of four products.
                    assert!((f64::from(found.score) - best).abs() < 1e-6);
                    assert!((alike(found.item) - best).abs() < 1e-6 && found.item != row);
                }
            }
        }
    }
}
