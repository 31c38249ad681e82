//! Nonnegative solution of the normal equations of a row.
//!
//! The optimality conditions (Karush, Kuhn, Tucker) on `∇ = A x − g` are `∇ᵢ = 0` where `xᵢ > 0`
//! and `∇ᵢ ≥ 0` where `xᵢ = 0`. A few passes of coordinate descent from the previous value,
//! `xᵢ ← max(0, xᵢ − ∇ᵢ / Aᵢᵢ)` (Franc, Hlaváč, Navara 2005), guess which entries are positive. An
//! active-set method (Lawson, Hanson 1974, chapter 23) then solves for these entries exactly, and
//! adds or drops entries until the conditions hold.
//!
//! The Gram matrix of `n` cells at rank `k` costs `n k (k + 1)` flops, each pass `2 k²`, each exact
//! solution up to `k³ / 3`. Biases are not supported.

use super::{RowProblem, Solver};
use crate::linalg::simd::Kernels;
use crate::linalg::{Matrix, NormalEquations, NotPositiveDefinite, Solution};

/// The gradient of a zero entry counts as negative below minus this share of the largest absolute
/// right-hand side.
const TOLERANCE: f32 = 1e-5;

/// Number of passes of coordinate descent.
const PASSES: usize = 4;

/// The nonnegative solver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nonnegative {
    kernels: Kernels,
}

impl Nonnegative {
    /// Creates the solver with `kernels`.
    #[must_use]
    pub(crate) const fn new(kernels: Kernels) -> Self {
        Self { kernels }
    }
}

/// Memory of one worker.
#[derive(Debug, Clone)]
pub(crate) struct Scratch {
    system: NormalEquations,
    matrix: Matrix,
    gradient: Vec<f32>,
    /// Positions of the entries that may be positive, ascending.
    free: Vec<usize>,
    /// The system and the solution of the free entries.
    part: Vec<f32>,
    solved: Vec<f32>,
}

impl Solver for Nonnegative {
    type Scratch = Scratch;

    fn scratch(&self, rank: usize) -> Scratch {
        let n = rank.next_multiple_of(8);
        Scratch {
            system: NormalEquations::new(rank),
            matrix: Matrix::zeros(rank, rank),
            gradient: vec![0.0; rank],
            free: Vec::with_capacity(rank),
            part: vec![0.0; n * n],
            solved: vec![0.0; n],
        }
    }

    fn solve(
        &self,
        problem: &RowProblem<'_>,
        scratch: &mut Scratch,
        x: &mut [f32],
    ) -> Result<Option<Solution>, NotPositiveDefinite> {
        problem.assemble(self.kernels, &mut scratch.system);
        scratch.system.write_symmetric(&mut scratch.matrix);
        for value in x.iter_mut() {
            *value = if value.is_finite() { value.max(0.0) } else { 0.0 };
        }
        self.descend(scratch, x);
        self.settle(scratch, x)?;
        let value = scratch.system.value(x, 0.0);
        Ok(Some(Solution::new(0.0, problem.at_zero, -value)))
    }
}

impl Nonnegative {
    /// Computes `∇ = A x − g`.
    fn gradient(&self, scratch: &mut Scratch, x: &[f32]) {
        let Scratch { system, matrix, gradient, .. } = scratch;
        for (i, (gradient, &g)) in gradient.iter_mut().zip(system.right()).enumerate() {
            *gradient = self.kernels.dot(matrix.row(i), x) - g;
        }
    }

    /// Runs the passes of coordinate descent.
    fn descend(&self, scratch: &mut Scratch, x: &mut [f32]) {
        self.gradient(scratch, x);
        let Scratch { matrix, gradient, .. } = scratch;
        for i in (0..PASSES * x.len()).map(|step| step % matrix.rows()) {
            let row = matrix.row(i);
            // An entry without curvature has no effect, so it becomes zero.
            let target = if row[i] > 0.0 { (x[i] - gradient[i] / row[i]).max(0.0) } else { 0.0 };
            let step = target - x[i];
            if step != 0.0 && step.is_finite() {
                x[i] = target;
                for (gradient, &a) in gradient.iter_mut().zip(row) {
                    *gradient += step * a;
                }
            }
        }
    }

    /// Runs the active-set method, starting with the positive entries of `x` as free entries.
    fn settle(&self, scratch: &mut Scratch, x: &mut [f32]) -> Result<(), NotPositiveDefinite> {
        scratch.free.clear();
        scratch.free.extend((0..x.len()).filter(|&i| x[i] > 0.0));
        let largest = scratch.system.right().iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        // Every round lowers the objective, so no set of entries occurs twice. The limit only
        // guards against rounding.
        for _ in 0..3 * x.len() + 10 {
            self.solve_free(scratch, x)?;
            self.gradient(scratch, x);
            let Scratch { gradient, free, matrix, .. } = &mut *scratch;
            let held = (0..x.len()).filter(|&i| x[i] == 0.0 && matrix.row(i)[i] > 0.0);
            let worst = held.min_by(|&a, &b| gradient[a].total_cmp(&gradient[b]));
            match worst.filter(|&i| gradient[i] < -TOLERANCE * largest) {
                None => return Ok(()),
                Some(entry) if free.contains(&entry) => return Ok(()),
                Some(entry) => {
                    let at = free.partition_point(|&i| i < entry);
                    free.insert(at, entry);
                }
            }
        }
        Ok(())
    }

    /// Moves to the minimum over the free entries. Entries that would become negative on the way
    /// stop at zero and are no longer free.
    fn solve_free(&self, scratch: &mut Scratch, x: &mut [f32]) -> Result<(), NotPositiveDefinite> {
        let Scratch { system, matrix, free, part, solved, .. } = scratch;
        while !free.is_empty() {
            let (order, n) = (free.len(), free.len().next_multiple_of(8));
            // The factorisation expects zeros in the padding.
            part[..n * n].fill(0.0);
            for (at, &i) in free.iter().enumerate() {
                for (to, &j) in part[at * n..][..n].iter_mut().zip(free.iter()) {
                    *to = matrix.row(i)[j];
                }
                solved[at] = system.right()[i];
            }
            solved[order..n].fill(0.0);
            let single = self.kernels.cholesky(&mut part[..n * n], n, order, [&mut solved[..n]]);
            match single {
                Ok(()) => self.kernels.solve(&part[..n * n], n, order, &mut solved[..n]),
                Err(_) => solve_again(matrix, system.right(), free, &mut solved[..order])?,
            }
            if solved[..order].iter().all(|&new| new > 0.0) {
                for (&i, &new) in free.iter().zip(&*solved) {
                    x[i] = new;
                }
                break;
            }
            // The share of the way at which the first entry reaches zero.
            let blocks = free.iter().zip(&*solved).filter(|(_, new)| **new <= 0.0);
            let shares = blocks.map(|(&i, &new)| (i, x[i] / (x[i] - new).max(f32::MIN_POSITIVE)));
            let Some((first, share)) = shares.min_by(|a, b| a.1.total_cmp(&b.1)) else { break };
            for (&i, &new) in free.iter().zip(&*solved) {
                let (old, moved) = (x[i], x[i] + share * (new - x[i]));
                // Entries that reach zero up to rounding become zero as well.
                let reached = new <= 0.0 && moved <= 4.0 * f32::EPSILON * old.max(-new);
                x[i] = if i == first || reached { 0.0 } else { moved.max(0.0) };
            }
            free.retain(|&i| x[i] > 0.0);
        }
        Ok(())
    }
}

/// Solves the system of the free entries again in double precision, into `solved`.
fn solve_again(
    matrix: &Matrix,
    right: &[f32],
    free: &[usize],
    solved: &mut [f32],
) -> Result<(), NotPositiveDefinite> {
    let row = |&i: &usize| free.iter().map(move |&j| f64::from(matrix.row(i)[j]));
    let dense: Vec<f64> = free.iter().flat_map(row).collect();
    let rhs: Vec<f64> = free.iter().map(|&i| f64::from(right[i])).collect();
    NormalEquations::from_dense(&dense, &rhs, false).solve_f64(false, solved).map(|_| ())
}
