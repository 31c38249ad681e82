//! The mean-field posterior of a row, with covariances that rows of one class share.
//!
//! ```text
//! A = Σ w (ỹỹᵀ + [T_c 0; 0 0]) + Λ/α,   x̃ = A⁻¹ (Σ t ỹ − Σ w [t_c; 0] + Λm/α),   S = A⁻¹ / α
//! ```
//!
//! This is the system of [`super::Variational`], but the covariance `T_c` of the class `c` takes
//! the place of each row's own covariance ([`crate::model::covariance_class`]). A share of `T_c`
//! counts ([`covariance_share`]). The sum over the cells of a row becomes a sum over the few
//! classes: `C k²` flops for `C` classes instead of `n k²`. `S` is computed for a sample of the
//! rows only. The covariances of the classes are the means over this sample.

use std::sync::OnceLock;

use super::{RowProblem, Solver};
use crate::linalg::simd::{Kernels, Shifted};
use crate::linalg::{Matrix, NormalEquations, NotPositiveDefinite, Solution, invert_symmetric};
use crate::model::{class_count, covariance_class, covariance_share};
use crate::ratings::Side;

/// At most this many rows of a class have their covariances computed.
const SAMPLED: usize = 64;

/// The place of a row that is not in the sample.
const NONE: u32 = u32::MAX;

/// The class of each row of a side, and the rows in the sample.
#[derive(Debug, Clone)]
pub(crate) struct Classes {
    /// The class of each row; 255 for rows without cells.
    of: Vec<u8>,
    /// Number of rows per class.
    pub rows: Vec<usize>,
    /// The place of each row in the sample, or [`NONE`].
    place: Vec<u32>,
    /// The class of each sampled row.
    sampled: Vec<u8>,
}

impl Classes {
    /// Classifies the rows of a side by their numbers of cells. The sample is spread evenly over
    /// each class.
    #[must_use]
    pub(crate) fn new(side: &Side) -> Self {
        Self::by_counts((0..side.rows()).map(|row| side.count(row)))
    }

    /// Classifies rows with these numbers of cells.
    #[must_use]
    pub(crate) fn by_counts(counts: impl Iterator<Item = usize>) -> Self {
        let class = |count| if count == 0 { u8::MAX } else { covariance_class(count) as u8 };
        let of: Vec<u8> = counts.map(class).collect();
        let classes = of.iter().filter(|&&c| c != u8::MAX).max().map_or(0, |&c| c as usize + 1);
        let mut rows = vec![0; classes];
        of.iter().filter(|&&c| c != u8::MAX).for_each(|&c| rows[c as usize] += 1);
        let (mut seen, mut place, mut sampled) = (vec![0; classes], vec![NONE; of.len()], vec![]);
        for (row, &class) in of.iter().enumerate().filter(|(_, c)| **c != u8::MAX) {
            let (c, all) = (class as usize, rows[class as usize]);
            let wanted = all.min(SAMPLED);
            // Picks `wanted` rows out of `all`, evenly spaced.
            if (seen[c] + 1) * wanted / all > seen[c] * wanted / all {
                place[row] = sampled.len() as u32;
                sampled.push(class);
            }
            seen[c] += 1;
        }
        Self { of, rows, place, sampled }
    }

    /// Creates the slots for the covariances of the sample.
    #[must_use]
    pub(crate) fn sample(&self) -> Vec<OnceLock<Vec<f64>>> {
        self.sampled.iter().map(|_| OnceLock::new()).collect()
    }

    /// The slot for the covariance of a row, if the row is sampled.
    #[must_use]
    pub(crate) fn slot<'s>(
        &self,
        sample: &'s [OnceLock<Vec<f64>>],
        row: usize,
    ) -> Option<&'s OnceLock<Vec<f64>>> {
        sample.get(self.place[row] as usize)
    }

    /// The mean covariance of each class. A class without rows gets the mean of the nearest class
    /// with rows.
    #[must_use]
    pub(crate) fn means(&self, sample: &[OnceLock<Vec<f64>>]) -> Vec<Vec<f64>> {
        let order = sample.iter().find_map(OnceLock::get).map_or(0, Vec::len);
        let mut means = vec![vec![0.0; order]; self.rows.len()];
        let mut counts = vec![0_usize; self.rows.len()];
        for (covariance, &class) in sample.iter().zip(&self.sampled) {
            let Some(covariance) = covariance.get() else { continue };
            means[class as usize].iter_mut().zip(covariance).for_each(|(sum, v)| *sum += v);
            counts[class as usize] += 1;
        }
        for (mean, &count) in means.iter_mut().zip(&counts).filter(|(_, count)| **count > 0) {
            for sum in mean.iter_mut() {
                *sum /= count as f64;
            }
        }
        let filled: Vec<usize> = (0..counts.len()).filter(|&c| counts[c] > 0).collect();
        let empty = (0..counts.len()).filter(|&c| counts[c] == 0);
        for class in empty.collect::<Vec<_>>() {
            let nearest = filled.iter().min_by_key(|&&c| c.abs_diff(class));
            if let Some(&nearest) = nearest {
                let mean = means[nearest].clone();
                means[class] = mean;
            }
        }
        means
    }

    /// The sum of the covariances of all rows, each taken as the mean of its class.
    #[must_use]
    pub(crate) fn total(&self, means: &[Vec<f64>]) -> Vec<f64> {
        let mut total = vec![0.0; means.first().map_or(0, Vec::len)];
        for (mean, &rows) in means.iter().zip(&self.rows) {
            total.iter_mut().zip(mean).for_each(|(sum, v)| *sum += rows as f64 * v);
        }
        total
    }
}

/// The terms that the covariances of each class add to the system of a row of the other side.
#[derive(Debug, Clone)]
pub(crate) struct Expected<'a> {
    of: &'a [u8],
    /// One row per class: the packed system, then the variance of the bias.
    table: Matrix,
}

impl<'a> Expected<'a> {
    /// Builds the table from the classes of a side and their covariances (`order x order`, the bias
    /// last). Only a share of each covariance counts ([`covariance_share`]).
    #[must_use]
    pub(crate) fn new(
        classes: &'a Classes,
        covariances: &[Vec<f64>],
        rank: usize,
        biases: bool,
    ) -> Self {
        let order = rank + usize::from(biases);
        let width = NormalEquations::new(rank).packed_len();
        // A class without a covariance of its own uses that of the last class.
        let rows = classes.rows.len().max(covariances.len());
        let mut table = Matrix::zeros(rows, width + 1);
        let last = covariances.len().saturating_sub(1);
        for class in 0..if covariances.is_empty() { 0 } else { rows } {
            let share = covariance_share(class_count(class));
            let covariance: Vec<f64> =
                covariances[class.min(last)].iter().map(|v| share * v).collect();
            let vector = |at: usize| covariance[at / rank * order + at % rank];
            let matrix: Vec<f64> = (0..rank * rank).map(vector).collect();
            let cross = |i: usize| if biases { -covariance[i * order + rank] } else { 0.0 };
            let cross: Vec<f64> = (0..rank).map(cross).collect();
            let row = table.row_mut(class);
            NormalEquations::from_dense(&matrix, &cross, false).pack(&mut row[..width]);
            row[width] = if biases { covariance[order * order - 1] as f32 } else { 0.0 };
        }
        Self { of: &classes.of, table }
    }
}

/// The solver of one half-sweep.
///
/// The minimum in a solution is the objective of the row. It includes the constant `mᵀΛm/α` of the
/// prior, so it is never negative.
#[derive(Debug)]
pub(crate) struct SharedCovariance<'a> {
    /// The instruction set.
    pub kernels: Kernels,
    /// The terms of the other side's covariances; `None` if these are zero.
    pub expected: Option<&'a Expected<'a>>,
    /// Precision `α` of the noise.
    pub precision: f64,
    /// `mᵀΛm/α`.
    pub constant: f64,
    /// The classes of the rows to solve, and the slots for the covariances of the sample; `None` if
    /// no covariances are needed.
    pub sample: Option<(&'a Classes, &'a [OnceLock<Vec<f64>>])>,
}

/// Memory of one worker.
#[derive(Debug, Clone)]
pub(crate) struct Scratch {
    system: NormalEquations,
    /// Sums of weights per class, and the classes with a nonzero sum.
    sums: Vec<f32>,
    present: Vec<u32>,
    weights: Vec<f32>,
    zeros: Vec<f32>,
    dots: Vec<f32>,
    part: Vec<f32>,
}

impl Solver for SharedCovariance<'_> {
    type Scratch = Scratch;

    fn scratch(&self, rank: usize) -> Scratch {
        let (classes, stride) =
            self.expected.map_or((0, 0), |e| (e.table.rows(), e.table.stride()));
        Scratch {
            system: NormalEquations::new(rank),
            sums: vec![0.0; classes],
            present: Vec::with_capacity(classes),
            weights: Vec::with_capacity(classes),
            zeros: vec![0.0; stride],
            dots: vec![0.0; classes],
            part: vec![0.0; stride],
        }
    }

    fn solve(
        &self,
        problem: &RowProblem<'_>,
        scratch: &mut Scratch,
        x: &mut [f32],
    ) -> Result<Option<Solution>, NotPositiveDefinite> {
        let with_bias = problem.with_bias();
        let at_zero = problem.at_zero + self.constant + self.sum_classes(problem, scratch);
        self.assemble(problem, at_zero, scratch);
        self.keep(problem, with_bias, &scratch.system)?;
        let solved = scratch.system.solve(self.kernels, with_bias, x).or_else(|_| {
            self.assemble(problem, at_zero, scratch);
            scratch.system.solve_f64(with_bias, x)
        });
        let Solution { bias, minimum } = solved?;
        let minimum = minimum.unwrap_or_else(|| {
            // Cancellation has lost the minimum, so it is evaluated from the system itself.
            self.assemble(problem, at_zero, scratch);
            (at_zero + scratch.system.value(x, bias)).max(0.0)
        });
        Ok(Some(Solution { bias, minimum: Some(minimum) }))
    }
}

impl SharedCovariance<'_> {
    /// Sums the other side's covariances over the cells of the row, into `part`. Returns the
    /// weighted sum of the bias variances, which no solution explains.
    fn sum_classes(&self, problem: &RowProblem<'_>, scratch: &mut Scratch) -> f64 {
        let Some(Expected { of, table }) = self.expected else { return 0.0 };
        let Scratch { sums, present, weights, zeros, dots, part, .. } = scratch;
        match problem.weights {
            None => problem.indices.iter().for_each(|&i| sums[of[i as usize] as usize] += 1.0),
            Some(weights) => {
                for (&i, &weight) in problem.indices.iter().zip(weights) {
                    sums[of[i as usize] as usize] += weight;
                }
            }
        }
        present.clear();
        weights.clear();
        for (class, sum) in sums.iter_mut().enumerate().filter(|(_, sum)| **sum != 0.0) {
            present.push(class as u32);
            weights.push(std::mem::take(sum));
        }
        part.fill(0.0);
        // A zero vector and a shift of one make this the weighted sum of the rows.
        let from = Shifted { x: zeros, shift: 1.0 };
        self.kernels.combine(from, table, present, Some(weights), None, dots, part);
        f64::from(part[table.cols() - 1])
    }

    fn assemble(&self, problem: &RowProblem<'_>, at_zero: f64, scratch: &mut Scratch) {
        problem.assemble(self.kernels, &mut scratch.system);
        if self.expected.is_some() {
            scratch.system.add_packed(&scratch.part);
        }
        scratch.system.set_at_zero(at_zero);
    }

    /// Stores the covariance of a row of the sample.
    fn keep(
        &self,
        problem: &RowProblem<'_>,
        with_bias: bool,
        system: &NormalEquations,
    ) -> Result<(), NotPositiveDefinite> {
        let Some((classes, sample)) = self.sample else { return Ok(()) };
        let Some(slot) = classes.slot(sample, problem.row) else { return Ok(()) };
        let (mut matrix, right) = system.to_dense(with_bias);
        invert_symmetric(&mut matrix, right.len(), &mut vec![0.0; right.len()])?;
        for value in &mut matrix {
            *value /= self.precision;
        }
        let _ = slot.set(matrix);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread_over_a_class_and_means_fill_the_gaps() {
        // Class 0 has 200 rows and class 2 has 3. Class 1 has none; the last rows have no cells.
        let counts = (0..210).map(|row| match row {
            0..200 => 1,
            200..203 => 3,
            _ => 0,
        });
        let classes = Classes::by_counts(counts);
        assert_eq!(classes.rows, [200, 0, 3]);
        assert_eq!(classes.sampled.len(), SAMPLED + 3);
        let sampled = |row: &usize| classes.place[*row] != NONE;
        let gaps: Vec<usize> = (0..200).filter(sampled).collect();
        assert!(gaps.windows(2).all(|pair| (3..=4).contains(&(pair[1] - pair[0]))));
        assert!((203..210).all(|row| !sampled(&row)));
        let sample = classes.sample();
        for (slot, &class) in sample.iter().zip(&classes.sampled) {
            let _ = slot.set(vec![f64::from(class) + 1.0]);
        }
        let means = classes.means(&sample);
        assert_eq!(means, [[1.0], [1.0], [3.0]]);
        assert_eq!(classes.total(&means), [209.0]);
    }
}
