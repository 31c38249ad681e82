//! Bayesian matrix factorisation by Gibbs sampling.
//!
//! ```text
//! z_ui ~ N(p_u·q_i + b_u + b_i, 1/α),   [p_u, b_u] ~ N(m_U, Λ_U⁻¹),   [q_i, b_i] ~ N(m_V, Λ_V⁻¹)
//! ```
//!
//! The pairs `(m, Λ)` have Normal–Wishart priors and `α` has a Gamma prior, so that nothing is left
//! to tune (Salakhutdinov and Mnih 2008; here the precision of the noise and the biases are drawn
//! too). One iteration draws each side's prior, then its rows, each from its own posterior. A row's
//! draw takes the system and the Cholesky factor of an exact ALS sweep and adds random noise. Every
//! iteration after `burn_in` is a sample; predictions are means over the samples.
//!
//! The mean of `p_u·q_i` over `S` samples is `[U_1 … U_S][V_1 … V_S]ᵀ / S`, a product of two tall
//! matrices. It is kept as a product of bounded width ([`ProductSum`]) and published as vectors of
//! the model's rank. Biases are means over the samples.

use rand_distr::{Distribution, Gamma};
use rayon::prelude::*;

use super::alternate::start_items;
use super::course::{self, Limits, Process, Step};
use super::hyper::Prior;
use super::sums::Sums;
use super::sweep::{HalfSweep, Partitions};
use super::{Algorithm, Averaged, Fit, Observer, Problem, Sample, SolverChoice, State};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::linalg::{NormalEquations, ProductSum};
use crate::model::{Embedding, Factors, Scale, Scorer};
use crate::objective::{Explicit, Posterior, Regularization, RowLoss, Standardisation};
use crate::ratings::Side;
use crate::rng::{Stream, generator};
use crate::solver::Gibbs;

/// Singular values to keep while samples accumulate, per published one.
const KEPT: usize = 2;

/// The algorithm's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Bayes {
    /// Entries of a vector, at least 1.
    pub rank: usize,
    /// Iterations before the first sample.
    pub burn_in: u32,
    /// Number of samples, at least 1.
    pub samples: u32,
    /// Samples to keep in full, evenly spread, for predictive standard deviations.
    pub keep: u32,
    /// Fit a bias per user and item.
    pub biases: bool,
    /// Seed of all random numbers.
    pub seed: u64,
}

impl Algorithm for Bayes {
    fn name(&self) -> &'static str {
        "bayes"
    }

    fn fit(&self, problem: &Problem<'_>, observer: &mut Observer<'_>) -> Result<Fit> {
        let mut sampler =
            Sampler { chain: Chain::new(self, problem)?, average: Average::new(self, problem)? };
        let iterations = self.burn_in.saturating_add(self.samples);
        let limits = Limits { iterations, tolerance: 0.0 };
        let (iterations, stop_reason) = course::run(&mut sampler, problem, limits, observer)?;
        let Sampler { chain, average } = sampler;
        let scale = chain.scale;
        let (factors, averaged) = average.finish(chain.factors, self.rank, &scale);
        Ok(Fit { factors, scale, iterations, stop_reason, dense_rows: 0, averaged })
    }
}

/// The sampler and the averages over its samples.
struct Sampler<'a> {
    chain: Chain<'a>,
    average: Average,
}

impl Process for Sampler<'_> {
    fn step(&mut self, number: u32) -> Result<Step> {
        let Self { chain, average } = self;
        let loss = chain.step(number)?;
        let deviation = 1.0 / chain.precision.sqrt();
        let burn_in = chain.settings.burn_in;
        let sample = (number > burn_in)
            .then(|| Sample { number: number - burn_in, noise: deviation * chain.scale.deviation });
        if let Some(Sample { number, .. }) = sample {
            average.add(&chain.factors, deviation, number);
        }
        let ratings = chain.problem.ratings;
        let cells = ratings.len() as f64;
        let known = cells > 0.0 && ratings.by_user.weights.is_none();
        let rmse = || (loss.objective / cells).sqrt() * chain.scale.deviation;
        Ok(Step {
            total: loss.objective,
            train_rmse_raw: known.then(rmse),
            sample,
            comparable: true,
        })
    }

    fn scorer(&self) -> Scorer<'_> {
        Scorer { factors: &self.chain.factors, scale: self.chain.scale }
    }

    fn save(&self, state: &mut State) {
        state.put_factors("factors", &self.chain.factors);
        state.put_numbers("precision", vec![self.chain.precision]);
        self.average.save(state);
    }
}

/// The state of the sampler.
struct Chain<'a> {
    settings: &'a Bayes,
    problem: &'a Problem<'a>,
    scale: Scale,
    explicit: Explicit,
    partitions: (Partitions, Partitions),
    factors: Factors,
    /// Precision `α` of the noise.
    precision: f64,
}

impl<'a> Chain<'a> {
    fn new(settings: &'a Bayes, problem: &'a Problem<'a>) -> Result<Self> {
        let ratings = problem.ratings;
        let scale = Scale::ratings(problem.moments, true, settings.biases);
        // `Posterior` ignores this regularisation: the prior replaces it.
        let none =
            Regularization { users: 0.0, items: 0.0, biases: 0.0, damping: 0.0, exponent: 0.0 };
        let explicit = Explicit::new(
            ratings,
            Standardisation { mean: scale.mean, deviation: scale.deviation },
            none,
            scale.biases,
        );
        let partitions = (
            Partitions::new(&ratings.by_user, settings.rank),
            Partitions::new(&ratings.by_item, settings.rank),
        );
        let factors = start_items(problem, settings.seed, settings.rank, SolverChoice::Cholesky)?;
        let [precision] = problem.start.state().map_or(Ok([1.0]), |s| s.some("precision"))?;
        Ok(Self { settings, problem, scale, explicit, partitions, factors, precision })
    }

    /// Does one iteration: draws both sides, then the noise.
    ///
    /// Returns the losses of the drawn factors; `objective` is their weighted sum of squared
    /// errors.
    fn step(&mut self, iteration: u32) -> Result<RowLoss> {
        self.half(iteration, Axis::User)?;
        let loss = self.half(iteration, Axis::Item)?;
        let mut rng = generator(self.settings.seed, Stream::Precision(iteration));
        let cells = self.problem.ratings.len() as f64;
        let gamma = Gamma::new(1.0 + cells / 2.0, 1.0 / (1.0 + loss.objective / 2.0));
        let gamma = gamma.map_err(|e| failed(Axis::Item, &e))?;
        self.precision = gamma.sample(&mut rng);
        Ok(loss)
    }

    /// Draws one side's prior, then its rows.
    ///
    /// For the items, `objective` of the returned losses is the data term alone. For the users it
    /// is not computed.
    fn half(&mut self, iteration: u32, axis: Axis) -> Result<RowLoss> {
        let Self { settings, problem, factors, .. } = self;
        let (kernels, seed, ratings) = (problem.kernels, settings.seed, problem.ratings);
        let (side, partitions, keys, fixed, own): (&Side, _, _, _, &mut Embedding) = match axis {
            Axis::User => (
                &ratings.by_user,
                &self.partitions.0,
                problem.user_keys,
                &factors.items,
                &mut factors.users,
            ),
            Axis::Item => (
                &ratings.by_item,
                &self.partitions.1,
                problem.item_keys,
                &factors.users,
                &mut factors.items,
            ),
        };
        let biases = settings.biases;
        let rows = side.rows_with_cells();
        let prior = if iteration == 1 {
            // No row has been drawn yet.
            Prior::isotropic(settings.rank + usize::from(biases), settings.rank as f64)
        } else {
            let sums = Sums::new(kernels, own, rows, biases);
            let mut rng = generator(seed, Stream::Hyper(axis, iteration));
            let drawn = Prior::draw(&sums, &mut rng);
            drawn.ok_or_else(|| failed(axis, &"the factors are not finite"))?
        };
        let (matrix, rhs) = prior.over(self.precision);
        let posterior =
            Posterior::new(&self.explicit, NormalEquations::from_dense(&matrix, &rhs, biases));
        let deviation = 1.0 / self.precision.sqrt();
        let half = HalfSweep {
            axis,
            side,
            partitions,
            objective: &posterior,
            solver: &Gibbs { kernels, deviation, seed, iteration, axis, keys },
            kernels,
            stop: problem.stop,
            losses: axis == Axis::Item,
        };
        let mut loss = half.run(fixed, own)?;
        if axis == Axis::Item {
            // The rows' objectives include the prior's term.
            loss.objective -= Sums::new(kernels, own, rows, biases).value(&matrix, &rhs);
            loss.objective = loss.objective.max(0.0);
        }
        Ok(loss)
    }
}

pub(super) fn failed(axis: Axis, why: &dyn std::fmt::Display) -> Error {
    Error::Diverged(format!(
        "the prior of the {}s: {why}; are weights or ratings extreme?",
        axis.name()
    ))
}

/// Names of the sample sums in a state.
const BIASES: [&str; 2] = ["average.biases.users", "average.biases.items"];
const PRODUCTS: [&str; 2] = ["average.products.left", "average.products.right"];

/// Sums over the samples, from which their means follow.
struct Average {
    products: ProductSum,
    biases: [Vec<f64>; 2],
    noise: f64,
    count: u32,
    keep: u32,
    of: u32,
    kept: Vec<Factors>,
}

impl Average {
    fn new(settings: &Bayes, problem: &Problem<'_>) -> Result<Self> {
        let shape = problem.shape();
        // No sum of products has more singular values than the shorter side has rows.
        let rank = settings.rank;
        let kept = (KEPT * rank).min(shape.users.min(shape.items).max(1));
        let mut new = Self {
            products: ProductSum::new(problem.kernels, shape.users, shape.items, rank, kept),
            biases: [vec![0.0; shape.users], vec![0.0; shape.items]],
            noise: 0.0,
            count: 0,
            keep: settings.keep.min(settings.samples),
            of: settings.samples,
            kept: Vec::new(),
        };
        let Some(state) = problem.start.state() else { return Ok(new) };
        let [noise, count, kept, used] = state.some("average")?;
        (new.noise, new.count) = (noise, count as u32);
        for (sums, name) in new.biases.iter_mut().zip(BIASES) {
            let saved = state.numbers(name)?;
            if saved.len() != sums.len() {
                return Err(Error::Checkpoint(format!("it is of another fit: \"{name}\"")));
            }
            sums.copy_from_slice(saved);
        }
        let used = used as usize;
        let left = state.matrix(PRODUCTS[0], shape.users, used)?;
        let right = state.matrix(PRODUCTS[1], shape.items, used)?;
        if !new.products.restore(&left, &right) {
            return Err(Error::Checkpoint("it is of another fit: the sums of its samples".into()));
        }
        let sample = |number: usize| state.factors(&format!("kept.{number}"), shape, rank);
        new.kept = (0..kept as usize).map(sample).collect::<Result<_>>()?;
        Ok(new)
    }

    fn save(&self, state: &mut State) {
        let (left, right) = self.products.parts();
        let kept = self.kept.len() as f64;
        let counts = vec![self.noise, f64::from(self.count), kept, left.cols() as f64];
        state.put_numbers("average", counts);
        for (sums, name) in self.biases.iter().zip(BIASES) {
            state.put_numbers(name, sums.clone());
        }
        for (part, name) in [left, right].iter().zip(PRODUCTS) {
            state.put_matrix(name, part);
        }
        for (number, factors) in self.kept.iter().enumerate() {
            state.put_factors(&format!("kept.{number}"), factors);
        }
    }

    fn add(&mut self, factors: &Factors, deviation: f64, number: u32) {
        self.products.add(&factors.users.vectors, &factors.items.vectors);
        for (sums, side) in self.biases.iter_mut().zip([&factors.users, &factors.items]) {
            sums.par_iter_mut().zip(&side.biases).for_each(|(sum, &b)| *sum += f64::from(b));
        }
        self.noise += deviation * deviation;
        self.count += 1;
        // The kept samples are evenly spread and always include the last one.
        let due = |n: u32| u64::from(n) * u64::from(self.keep) / u64::from(self.of.max(1));
        if due(number) > due(number - 1) {
            self.kept.push(factors.clone());
        }
    }

    /// Returns the averaged factors and the other results of the samples.
    ///
    /// Without samples, it returns the chain's last factors.
    fn finish(self, last: Factors, rank: usize, scale: &Scale) -> (Factors, Option<Averaged>) {
        if self.count == 0 {
            return (last, None);
        }
        let count = f64::from(self.count);
        let [users, items] =
            self.biases.map(|sums| sums.iter().map(|sum| (sum / count) as f32).collect());
        let (left, right) = self.products.finish(rank, 1.0 / count);
        let factors = Factors {
            users: Embedding { vectors: left, biases: users },
            items: Embedding { vectors: right, biases: items },
        };
        let averaged = Averaged {
            samples: self.count,
            noise: (self.noise / count).sqrt() * scale.deviation,
            kept: self.kept,
            spread: None,
            uncertainty: None,
        };
        (factors, Some(averaged))
    }
}

#[cfg(test)]
mod tests;
