//! Rotates the vectors of one model onto those of another. A rotation changes no score.
//!
//! `R = argmin |X R − Y|_F` over orthogonal `R`, where the rows of `X` and `Y` belong to the same
//! ids. With `Xᵀ Y = U Σ Vᵀ`, the solution is `R = U Vᵀ` (Schönemann 1966, eq. 1.12). Biases take
//! no part in it.

use nalgebra::DMatrix;
use rayon::prelude::*;

use super::{Embedding, Factors, Neighbours, Similarity};
use crate::linalg::{Matrix, Scored, norm};

/// Rows per sum. The number is fixed so that the result does not depend on the number of threads.
const ROWS: usize = 1024;

/// At most this many rows have their neighbours compared.
const COMPARED: usize = 1000;

/// Number of neighbours compared per row.
const NEIGHBOURS: usize = 10;

/// Positions of the same ids in the vectors of two models.
pub type Shared = [(u32, u32)];

/// An orthogonal matrix that rotates vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    matrix: DMatrix<f64>,
}

impl Rotation {
    /// The rotation that brings `new` nearest to `old` on the shared rows,
    /// `(row of new, row of old)`. `None` without shared rows, at rank 0, if the ranks differ, or
    /// if a number is not finite.
    #[must_use]
    pub fn procrustes(new: &Matrix, old: &Matrix, shared: &Shared) -> Option<Self> {
        let rank = new.cols();
        if shared.is_empty() || rank == 0 || old.cols() != rank {
            return None;
        }
        let sums: Vec<DMatrix<f64>> = shared
            .par_chunks(ROWS)
            .map(|shared| {
                let wide = |matrix: &Matrix, row: &dyn Fn(&(u32, u32)) -> u32| {
                    DMatrix::from_fn(shared.len(), rank, |at, column| {
                        f64::from(matrix.row(row(&shared[at]) as usize)[column])
                    })
                };
                wide(new, &|pair| pair.0).tr_mul(&wide(old, &|pair| pair.1))
            })
            .collect();
        let mut cross = DMatrix::zeros(rank, rank);
        for sum in &sums {
            cross += sum;
        }
        if !cross.iter().all(|v: &f64| v.is_finite()) {
            return None;
        }
        let svd = cross.try_svd(true, true, f64::EPSILON, 0)?;
        Some(Self { matrix: svd.u? * svd.v_t? })
    }

    /// Rotates the vectors of one side.
    pub fn rotate(&self, vectors: &mut Matrix) {
        let rank = vectors.cols();
        let stride = vectors.stride().max(1);
        vectors.padded_rows_mut().par_chunks_mut(stride).for_each(|row| {
            let wide: Vec<f64> = row[..rank].iter().map(|&v| f64::from(v)).collect();
            for (column, value) in row[..rank].iter_mut().enumerate() {
                // Columns are contiguous.
                let turned = self.matrix.column(column);
                *value = wide.iter().zip(turned.iter()).map(|(x, r)| x * r).sum::<f64>() as f32;
            }
        });
    }

    /// Rotates one vector in double precision.
    pub(crate) fn rotate_vector(&self, vector: &mut [f64]) {
        let before = vector.to_vec();
        for (value, turned) in vector.iter_mut().zip(self.matrix.column_iter()) {
            *value = before.iter().zip(turned.iter()).map(|(x, r)| x * r).sum();
        }
    }

    /// Rotates users and items alike, so no dot product changes.
    pub fn rotate_factors(&self, factors: &mut Factors) {
        self.rotate(&mut factors.users.vectors);
        self.rotate(&mut factors.items.vectors);
    }
}

/// The median cosine between the vectors of shared rows. Rows with a zero vector are left out.
#[must_use]
pub fn median_cosine(new: &Matrix, old: &Matrix, shared: &Shared) -> Option<f64> {
    let cosine = |&(a, b): &(u32, u32)| {
        let (x, y) = (new.row(a as usize), old.row(b as usize));
        let dot: f64 = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
        let norms = norm(x) * norm(y);
        (norms > 0.0).then(|| dot / norms)
    };
    let mut cosines: Vec<f64> = shared.par_iter().filter_map(cosine).collect();
    let middle = cosines.len() / 2;
    if cosines.is_empty() {
        return None;
    }
    let (_, median, _) = cosines.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}

/// The mean share of a row's 10 nearest neighbours that both models have in common.
///
/// Neighbours are shared rows, compared by cosine. The mean is over at most 1000 rows, evenly
/// spread. No rotation changes it. `None` with fewer than 11 shared rows.
#[must_use]
pub fn neighbour_overlap(new: &Matrix, old: &Matrix, shared: &Shared) -> Option<f64> {
    if shared.len() <= NEIGHBOURS {
        return None;
    }
    let select = |matrix: &Matrix, row: &dyn Fn(&(u32, u32)) -> u32| {
        let mut some = Matrix::zeros(shared.len(), matrix.cols());
        for (to, pair) in shared.iter().enumerate() {
            some.row_mut(to).copy_from_slice(matrix.row(row(pair) as usize));
        }
        Neighbours::new(
            &Embedding { biases: vec![0.0; shared.len()], vectors: some },
            Similarity::Cosine,
        )
    };
    let compared = shared.len().min(COMPARED);
    let rows: Vec<u32> = (0..compared).map(|at| (at * shared.len() / compared) as u32).collect();
    let new = select(new, &|pair| pair.0).of(&rows, NEIGHBOURS);
    let old = select(old, &|pair| pair.1).of(&rows, NEIGHBOURS);
    let overlap = |(new, old): (&Vec<Scored>, &Vec<Scored>)| {
        new.iter().filter(|s| old.iter().any(|o| o.item == s.item)).count()
    };
    let common: usize = new.iter().zip(&old).map(overlap).sum();
    Some(common as f64 / (compared * NEIGHBOURS) as f64)
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::rng::{Stream, generator};

    /// A matrix of independent normal entries.
    fn normal(rows: usize, rank: usize, number: u64) -> Matrix {
        let mut rng = generator(7, Stream::Synthetic(number));
        let values: Vec<f32> = (0..rows * rank).map(|_| StandardNormal.sample(&mut rng)).collect();
        Matrix::from_rows(rows, rank, &values)
    }

    /// A rotation, or a rotation with a reflection if its determinant is -1.
    fn orthogonal(rank: usize, number: u64) -> Rotation {
        let random = normal(rank, rank, number);
        let matrix = DMatrix::from_fn(rank, rank, |i, j| f64::from(random.row(i)[j]));
        Rotation { matrix: matrix.qr().q() }
    }

    #[test]
    fn turned_vectors_are_turned_back_and_no_dot_product_changes() {
        for number in 0..6 {
            let (rank, rows) = (5 + number as usize, 3000);
            let old = normal(rows, rank, number);
            // The same items in another order, with some new ones.
            let shared: Vec<(u32, u32)> =
                (0..rows as u32 - 100).map(|row| (rows as u32 - 1 - row, row)).collect();
            let mut new = normal(rows, rank, 100 + number);
            for &(to, from) in &shared {
                new.row_mut(to as usize).copy_from_slice(old.row(from as usize));
            }
            orthogonal(rank, 200 + number).rotate(&mut new);
            let mut factors = Factors {
                users: Embedding { vectors: normal(50, rank, 300 + number), biases: vec![0.5; 50] },
                items: Embedding { vectors: new.clone(), biases: vec![0.25; rows] },
            };
            let before = factors.clone();
            assert!(median_cosine(&new, &old, &shared).is_some_and(|c| c.abs() < 0.9));
            let rotation = Rotation::procrustes(&new, &old, &shared).expect("shared rows");
            rotation.rotate_factors(&mut factors);
            assert!(
                median_cosine(&factors.items.vectors, &old, &shared).is_some_and(|c| c > 0.999_999)
            );
            let dot = |f: &Factors, u: usize, i: usize| -> f32 {
                f.users.vectors.row(u).iter().zip(f.items.vectors.row(i)).map(|(p, q)| p * q).sum()
            };
            for user in 0..50 {
                let item = user * 50;
                let change = dot(&factors, user, item) - dot(&before, user, item);
                assert!(change.abs() < 1e-4, "{change}");
            }
            assert_eq!(factors.items.biases, before.items.biases);
            // A rotation does not change neighbours.
            let overlap = neighbour_overlap(&new, &old, &shared);
            assert!(overlap.is_some_and(|o| o > 0.995), "{overlap:?}");
        }
    }

    #[test]
    fn unrelated_vectors_share_no_neighbours() {
        let (new, old) = (normal(3000, 16, 1), normal(3000, 16, 2));
        let shared: Vec<(u32, u32)> = (0..3000).map(|row| (row, row)).collect();
        assert!(neighbour_overlap(&new, &old, &shared).is_some_and(|o| o < 0.05));
        assert!(median_cosine(&new, &old, &shared).is_some_and(|c| c.abs() < 0.05));
    }

    #[test]
    fn nothing_shared_is_no_rotation() {
        let matrix = normal(20, 3, 1);
        assert!(Rotation::procrustes(&matrix, &matrix, &[]).is_none());
        assert!(Rotation::procrustes(&normal(20, 0, 1), &normal(20, 0, 1), &[(0, 0)]).is_none());
        assert!(Rotation::procrustes(&matrix, &normal(20, 4, 1), &[(0, 0)]).is_none());
        let mut nan = matrix.clone();
        nan.row_mut(0)[0] = f32::NAN;
        assert!(Rotation::procrustes(&nan, &matrix, &[(0, 0)]).is_none());
        assert!(median_cosine(&matrix, &Matrix::zeros(20, 3), &[(0, 0)]).is_none());
        assert!(neighbour_overlap(&matrix, &matrix, &[(0, 0)]).is_none());
    }
}
