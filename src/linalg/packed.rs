//! Systems packed into one row of numbers, so that a sum of systems is a sum of rows.

use super::NormalEquations;
use super::simd::BLOCK;

impl NormalEquations {
    /// Number of values that [`NormalEquations::pack`] writes.
    #[must_use]
    pub const fn packed_len(&self) -> usize {
        // Every row is stored from the first column of its diagonal block on. The right-hand side
        // follows.
        let blocks = self.n / BLOCK;
        BLOCK * BLOCK * blocks * (blocks + 1) / 2 + self.n
    }

    /// Writes the upper blocks of the matrix and the right-hand side, without the bias's sums.
    ///
    /// # Panics
    /// If `packed` is shorter than [`NormalEquations::packed_len`].
    pub fn pack(&self, packed: &mut [f32]) {
        let mut at = 0;
        let mut put = |values: &[f32]| {
            packed[at..at + values.len()].copy_from_slice(values);
            at += values.len();
        };
        for i in 0..self.n {
            put(&self.gram[i * self.n + i / BLOCK * BLOCK..(i + 1) * self.n]);
        }
        put(&self.rhs[..self.n]);
    }

    /// Adds values that [`NormalEquations::pack`] wrote, or a sum of such values.
    ///
    /// # Panics
    /// If `packed` is shorter than [`NormalEquations::packed_len`].
    pub fn add_packed(&mut self, packed: &[f32]) {
        let mut rest = packed;
        let mut add = |to: &mut [f32]| {
            let (values, behind) = rest.split_at(to.len());
            to.iter_mut().zip(values).for_each(|(sum, v)| *sum += v);
            rest = behind;
        };
        for i in 0..self.n {
            add(&mut self.gram[i * self.n + i / BLOCK * BLOCK..(i + 1) * self.n]);
        }
        add(&mut self.rhs[..self.n]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_once_per_addition() {
        for rank in [1, 7, 8, 13] {
            let entry = |i: usize, j: usize| ((i.min(j) * 7 + i.max(j) * 3) % 11) as f64;
            let matrix: Vec<f64> = (0..rank * rank).map(|at| entry(at / rank, at % rank)).collect();
            let right: Vec<f64> = (0..rank).map(|i| i as f64 + 0.5).collect();
            let system = NormalEquations::from_dense(&matrix, &right, false);
            let mut packed = vec![f32::NAN; system.packed_len()];
            system.pack(&mut packed);
            let mut sum = NormalEquations::new(rank);
            (0..3).for_each(|_| sum.add_packed(&packed));
            let (found, found_right) = sum.to_dense(false);
            assert!(found.iter().zip(&matrix).all(|(got, want)| *got == 3.0 * want), "{rank}");
            assert!(found_right.iter().zip(&right).all(|(got, want)| *got == 3.0 * want));
        }
    }
}
