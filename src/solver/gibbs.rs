//! Draws from the posterior of a row instead of solving for its minimum.
//!
//! `x = A⁻¹ g + σ U⁻¹ z` with `A = UᵀU` and standard normal `z`. The factor `U` is the one that the
//! exact solution needs anyway (Salakhutdinov and Mnih 2008). `σ² = 1 / α` where the system is
//! divided by `α`.

use rand_distr::{Distribution, StandardNormal};

use super::{RowProblem, Solver};
use crate::ids::Axis;
use crate::linalg::simd::Kernels;
use crate::linalg::{NormalEquations, NotPositiveDefinite, Solution};
use crate::rng::{Stream, generator};

/// The sampling solver of one half-sweep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gibbs<'a> {
    /// The instruction set.
    pub kernels: Kernels,
    /// Standard deviation of the noise of one rating.
    pub deviation: f64,
    /// Seed of the draws.
    pub seed: u64,
    /// Number of the iteration.
    pub iteration: u32,
    /// The side of the rows.
    pub axis: Axis,
    /// The rows' keys, on which their random numbers depend.
    pub keys: &'a [u64],
}

/// Memory of one worker.
#[derive(Debug, Clone)]
pub(crate) struct Scratch {
    system: NormalEquations,
    noise: Vec<f32>,
}

impl Solver for Gibbs<'_> {
    type Scratch = Scratch;

    fn scratch(&self, rank: usize) -> Scratch {
        Scratch { system: NormalEquations::new(rank), noise: vec![0.0; rank + 1] }
    }

    fn solve(
        &self,
        problem: &RowProblem<'_>,
        Scratch { system, noise }: &mut Scratch,
        x: &mut [f32],
    ) -> Result<Option<Solution>, NotPositiveDefinite> {
        let with_bias = problem.with_bias();
        let stream = Stream::Row(self.axis, self.iteration, self.keys[problem.row]);
        let mut rng = generator(self.seed, stream);
        for z in noise.iter_mut() {
            let standard: f32 = StandardNormal.sample(&mut rng);
            *z = standard * self.deviation as f32;
        }
        let noise = &noise[..x.len() + usize::from(with_bias)];
        problem.assemble(self.kernels, system);
        let drawn = system.draw(self.kernels, with_bias, noise, x).or_else(|_| {
            problem.assemble(self.kernels, system);
            system.draw_f64(with_bias, noise, x)
        });
        drawn.map(Some)
    }
}
