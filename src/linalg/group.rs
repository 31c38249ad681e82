//! Small systems solved 16 at a time, one in each lane of a vector.
//!
//! A small system that is solved alone spends most of the time waiting for its own pivots.

use super::cholesky::CANCELLED;
use super::simd::{Buffer, Kernels, LANES};
use super::{NormalEquations, NotPositiveDefinite, Solution};

/// Above this rank, a single system keeps the vector registers busy.
const LARGEST_RANK: usize = 16;

/// Receives the solution of a system: its position, its vector, and its bias and objective or the
/// error.
pub type Done<'d> = dyn FnMut(usize, &[f32], Result<Solution, NotPositiveDefinite>) + 'd;

/// A batch of systems of the same rank, which are solved together.
#[derive(Debug, Clone)]
pub struct Group {
    rank: usize,
    systems: Vec<NormalEquations>,
    len: usize,
    /// `rank x rank` vectors of 16 lanes. `rhs` and `sums` hold the right-hand sides in the same
    /// layout.
    matrix: Buffer,
    rhs: Buffer,
    sums: Buffer,
}

impl Group {
    /// Allocates room for 16 systems of `rank` unknowns.
    #[must_use]
    pub fn new(rank: usize) -> Self {
        let lanes = if Self::applies(rank) { LANES } else { 0 };
        Self {
            rank,
            systems: vec![NormalEquations::new(rank); lanes],
            len: 0,
            matrix: Buffer::zeros(rank * rank * lanes),
            rhs: Buffer::zeros(rank * lanes),
            sums: Buffer::zeros(rank * lanes),
        }
    }

    /// Whether systems of this rank are solved faster together.
    #[must_use]
    pub const fn applies(rank: usize) -> bool {
        0 < rank && rank <= LARGEST_RANK
    }

    /// Number of claimed systems.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no system is claimed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no further system can be claimed.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.len == self.systems.len()
    }

    /// Claims the next free system, for the caller to fill. Returns `None` if all are claimed.
    pub fn claim(&mut self) -> Option<&mut NormalEquations> {
        let system = self.systems.get_mut(self.len)?;
        self.len += 1;
        Some(system)
    }

    /// Solves the claimed systems as [`NormalEquations::solve`] does and releases them all.
    ///
    /// Passes the position, vector and solution of each system to `done`. A system that fails in
    /// single precision is solved again in double precision; one that has no solution even then is
    /// passed as an error.
    pub fn solve(&mut self, kernels: Kernels, with_bias: bool, done: &mut Done<'_>) {
        let (rank, len) = (self.rank, std::mem::take(&mut self.len));
        self.interleave(len);
        let Self { matrix, rhs, sums, systems, .. } = self;
        let dot = |x: &[f32], y: &[f32]| {
            let mut lanes = [0.0_f64; LANES];
            for (x, y) in x.chunks_exact(LANES).zip(y.chunks_exact(LANES)) {
                for ((lane, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
                    *lane += f64::from(x) * f64::from(y);
                }
            }
            lanes
        };
        kernels.cholesky_lanes(matrix, rank, [&mut rhs[..], &mut sums[..]]);
        let mut explained = dot(rhs, rhs);
        let mut biases = [0.0_f32; LANES];
        // As in a single solve, the diagonal contains the reciprocal square roots of the pivots,
        // and every pivot must be positive and finite. An infinite pivot shows up only as a
        // reciprocal of zero.
        let mut failed = [false; LANES];
        for i in 0..rank {
            let diagonal = &matrix[(i * rank + i) * LANES..][..LANES];
            for (failed, &d) in failed.iter_mut().zip(diagonal) {
                *failed |= !(d > 0.0 && d.is_finite());
            }
        }
        if with_bias {
            let (mixed, squared) = (dot(sums, rhs), dot(sums, sums));
            for (lane, system) in systems[..len].iter().enumerate() {
                let pivot = system.weight - squared[lane];
                failed[lane] |= pivot.is_nan() || pivot <= system.weight * CANCELLED;
                biases[lane] = ((system.target - mixed[lane]) / pivot) as f32;
                explained[lane] += pivot * f64::from(biases[lane]).powi(2);
            }
            for (g, a) in rhs.chunks_exact_mut(LANES).zip(sums.chunks_exact(LANES)) {
                for ((g, &a), &bias) in g.iter_mut().zip(a).zip(&biases) {
                    *g -= bias * a;
                }
            }
        }
        kernels.solve_lanes(matrix, rank, rhs);
        let mut x = [0.0; LARGEST_RANK];
        for (lane, system) in systems[..len].iter().enumerate() {
            let x = &mut x[..rank];
            for (x, values) in x.iter_mut().zip(rhs.chunks_exact(LANES)) {
                *x = values[lane];
            }
            let solution = if failed[lane] || x.iter().any(|v| !v.is_finite()) {
                system.solve_f64(with_bias, x)
            } else {
                Ok(Solution::new(biases[lane], system.at_zero, explained[lane]))
            };
            done(lane, x, solution);
        }
    }

    /// Copies the claimed systems into the lanes. A lane without a system gets the identity.
    fn interleave(&mut self, len: usize) {
        let (rank, identity) = (self.rank, NormalEquations::identity(self.rank));
        let systems: [&NormalEquations; LANES] =
            std::array::from_fn(|lane| self.systems[..len].get(lane).unwrap_or(&identity));
        let stride = identity.stride();
        for i in 0..rank {
            let rows: [&[f32]; LANES] =
                std::array::from_fn(|lane| &systems[lane].gram[i * stride..][..rank]);
            let out = &mut self.matrix[i * rank * LANES..][..rank * LANES];
            for (j, out) in out.chunks_exact_mut(LANES).enumerate().skip(i) {
                for (out, row) in out.iter_mut().zip(&rows) {
                    *out = row[j];
                }
            }
            for (lane, system) in systems.iter().enumerate() {
                self.rhs[i * LANES + lane] = system.rhs[i];
                self.sums[i * LANES + lane] = system.sums[i];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::Matrix;
    use crate::linalg::simd::{Level, RowList};

    #[test]
    fn together_they_come_out_as_alone() {
        let noise = |i: usize| (i * 7919 % 1013) as f32 / 1013.0 - 0.5;
        for rank in [1, 2, 7, 8, 15, 16] {
            let fixed = Matrix::from_rows(90, rank, &(0..90 * rank).map(noise).collect::<Vec<_>>());
            for level in Level::available() {
                let kernels = Kernels::with_level(level).expect("available");
                for (with_bias, count) in [(true, 16), (false, 16), (true, 5), (true, 1)] {
                    let mut group = Group::new(rank);
                    let mut alone = Vec::new();
                    for row in 0..count {
                        let indices: Vec<u32> = (0..40 + row as u32).collect();
                        let targets: Vec<f32> =
                            indices.iter().map(|&i| noise(i as usize * 31 + row)).collect();
                        let system = group.claim().expect("room");
                        system.set(kernels, &fixed, RowList::new(&indices), None, &targets);
                        system.add_ridge(0.3, 0.2);
                        system.set_at_zero(targets.iter().map(|&t| f64::from(t).powi(2)).sum());
                        let mut x = vec![0.0; rank];
                        let solution = system.solve_f64(with_bias, &mut x).expect("solves");
                        alone.push((x, solution));
                    }
                    assert_eq!(group.is_full(), count == LANES);
                    let mut seen = 0;
                    group.solve(kernels, with_bias, &mut |at, x, solution| {
                        let solution = solution.expect("solves");
                        let (want, exact) = &alone[at];
                        let close =
                            |a: f64, b: f64| assert!((a - b).abs() < 1e-4, "{rank}: {a} {b}");
                        x.iter().zip(want).for_each(|(&a, &b)| close(a.into(), b.into()));
                        close(solution.bias.into(), exact.bias.into());
                        if let (Some(a), Some(b)) = (solution.minimum, exact.minimum) {
                            close(a / b, 1.0);
                        }
                        seen += 1;
                    });
                    assert!(seen == count && group.is_empty());
                }
            }
        }
    }

    #[test]
    fn one_that_fails_is_named_and_harms_no_other() {
        let fill = |group: &mut Group, row: usize, bad: f32| {
            let fixed = Matrix::from_rows(4, 2, &[1., 0., 0., 1., 1., 1., 2., 1.]);
            let system = group.claim().expect("room");
            system.set(
                Kernels::detect(),
                &fixed,
                RowList::new(&[0, 1, 2, 3]),
                None,
                &[1., 2., 3., 4.],
            );
            system.add_ridge(if row == 2 { bad } else { 0.5 }, 0.0);
        };
        for bad in [-100.0, f32::NAN, f32::INFINITY] {
            let mut group = Group::new(2);
            (0..4).for_each(|row| fill(&mut group, row, bad));
            let mut seen = Vec::new();
            group.solve(Kernels::detect(), false, &mut |at, x, solution| {
                seen.push((at, x.to_vec(), solution.map(|_| ())));
            });
            let failed: Vec<usize> =
                seen.iter().filter(|(_, _, solved)| solved.is_err()).map(|(at, ..)| *at).collect();
            assert_eq!(failed, [2]);
            assert_eq!(seen[2].2, Err(NotPositiveDefinite { pivot: 0 }));
            assert!(seen[0].1 == seen[3].1 && seen[0].1[0].is_finite());
        }
    }
}
