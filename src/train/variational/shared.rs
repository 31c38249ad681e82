//! Variational inference where rows with similar numbers of cells share a covariance.

use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::settings::{
    Progress, Variational, counted, noise_precision, start_prior, unregularised,
};
use crate::error::Result;
use crate::ids::Axis;
use crate::linalg::NormalEquations;
use crate::model::{Beliefs, Embedding, Factors, Scale, Scorer, Uncertainty};
use crate::objective::{Explicit, Posterior};
use crate::ratings::Side;
use crate::rng::{Stream, generator};
use crate::solver::{Classes, Expected, SharedCovariance};
use crate::train::alternate::start_items;
use crate::train::bayes::failed;
use crate::train::course::{Process, Step};
use crate::train::hyper::Prior;
use crate::train::sums::Sums;
use crate::train::sweep::{HalfSweep, Partitions};
use crate::train::{Problem, SolverChoice, Start, State};

/// The current distributions.
pub(super) struct SharedRows<'a> {
    settings: &'a Variational,
    problem: &'a Problem<'a>,
    pub scale: Scale,
    explicit: Explicit,
    /// The means of the rows.
    pub factors: Factors,
    users: OneSide,
    items: OneSide,
    /// Precision `α` of the noise.
    pub precision: f64,
    progress: Progress,
}

/// The data of one side in addition to its means.
struct OneSide {
    partitions: Partitions,
    classes: Classes,
    prior: Prior,
    /// The covariance of each class; empty before the side is first solved.
    covariances: Vec<Vec<f64>>,
}

impl OneSide {
    fn save(&self, state: &mut State, name: &str) {
        self.prior.save(state, &format!("prior.{name}"));
        state.put_numbers(&format!("covariances.{name}"), self.covariances.concat());
    }
}

impl<'a> SharedRows<'a> {
    pub(super) fn new(settings: &'a Variational, problem: &'a Problem<'a>) -> Result<Self> {
        let ratings = problem.ratings;
        let scale = Scale::ratings(problem.moments, true, settings.biases);
        let explicit = unregularised(ratings, &scale);
        let factors = start_items(problem, settings.seed, settings.rank, SolverChoice::Cholesky)?;
        let order = settings.rank + usize::from(settings.biases);
        let one = |axis: Axis, side: &Side, own: &Embedding| -> Result<OneSide> {
            let (prior, covariances) = match problem.start {
                Start::State(state) => {
                    let numbers = state.numbers(&format!("covariances.{}", axis.name()))?;
                    let covariances = numbers.chunks(order * order).map(<[f64]>::to_vec).collect();
                    let name = format!("prior.{}", axis.name());
                    (Prior::restored(state, &name, order)?, covariances)
                }
                Start::Posterior(_, known) => {
                    let beliefs = match axis {
                        Axis::User => &known.users,
                        Axis::Item => &known.items,
                    };
                    let prior = Prior::from_numbers(&beliefs.precision, &beliefs.mean);
                    (prior, beliefs.covariances.clone())
                }
                _ => (start_prior(problem, side, own, settings), Vec::new()),
            };
            let partitions = Partitions::new(side, settings.rank);
            Ok(OneSide { partitions, classes: Classes::new(side), prior, covariances })
        };
        let users = one(Axis::User, &ratings.by_user, &factors.users)?;
        let items = one(Axis::Item, &ratings.by_item, &factors.items)?;
        let [precision] = match problem.start {
            Start::State(state) => state.some("precision")?,
            Start::Posterior(_, known) => [known.precision],
            Start::Random | Start::Factors(_) => [1.0],
        };
        let progress = Progress::of(problem)?;
        Ok(Self { settings, problem, scale, explicit, factors, users, items, precision, progress })
    }

    /// Updates one side's distributions, then its prior.
    ///
    /// For the items, returns the expected squared error of all cells. For the users, the value has
    /// no meaning.
    fn half(&mut self, axis: Axis, iteration: u32) -> Result<f64> {
        let Self {
            problem, settings, factors, precision, explicit, users, items, progress, ..
        } = self;
        let (kernels, biases, rank) = (problem.kernels, settings.biases, settings.rank);
        let (side, own, other, fixed, vectors) = match axis {
            Axis::User => {
                (&problem.ratings.by_user, users, &*items, &factors.items, &mut factors.users)
            }
            Axis::Item => {
                (&problem.ratings.by_item, items, &*users, &factors.users, &mut factors.items)
            }
        };
        let (matrix, rhs) = own.prior.over(*precision);
        let constant = own.prior.constant() / *precision;
        let expected = (!other.covariances.is_empty() && counted(progress.cold, iteration))
            .then(|| Expected::new(&other.classes, &other.covariances, rank, biases));
        let sample = own.classes.sample();
        let half = HalfSweep {
            axis,
            side,
            partitions: &own.partitions,
            objective: &Posterior::new(
                explicit,
                NormalEquations::from_dense(&matrix, &rhs, biases),
            ),
            solver: &SharedCovariance {
                kernels,
                expected: expected.as_ref(),
                precision: *precision,
                constant,
                sample: Some((&own.classes, &sample)),
            },
            kernels,
            stop: problem.stop,
            losses: axis == Axis::Item,
        };
        let loss = half.run(fixed, vectors)?;
        let rows = side.rows_with_cells();
        let sums = Sums::new(kernels, vectors, rows, biases);
        own.covariances = own.classes.means(&sample);
        let total = own.classes.total(&own.covariances);
        // Σ E[(t − x̃·ỹ)²] = its value at the means + Σ tr(D S), where α D + Λ = S⁻¹.
        let explained: f64 = matrix.iter().zip(&total).map(|(prior, s)| prior * s).sum();
        let spread = (rows * rhs.len()) as f64 / *precision - explained;
        let of_means = loss.objective - sums.value(&matrix, &rhs) - rows as f64 * constant;
        let fitted = Prior::fitted(&sums, &total);
        own.prior = fitted.ok_or_else(|| failed(axis, &"the factors are not finite"))?;
        Ok((of_means + spread).max(0.0))
    }

    /// The noise, and the priors and covariances of both sides.
    pub(super) fn uncertainty(&self) -> Uncertainty {
        let beliefs = |side: &OneSide| {
            let (precision, mean) = side.prior.numbers();
            Beliefs { mean, precision, covariances: side.covariances.clone() }
        };
        Uncertainty {
            biases: self.settings.biases,
            precision: self.precision,
            users: beliefs(&self.users),
            items: beliefs(&self.items),
        }
    }

    /// Draws one sample of all rows.
    pub(super) fn draw(&self, number: u32) -> Factors {
        let Problem { ratings, user_keys, item_keys, .. } = *self.problem;
        let draw = |axis, side: &Side, own: &OneSide, mean: &Embedding, keys: &[u64]| {
            self.draw_side(axis, number, side, own, mean, keys)
        };
        let Factors { users, items } = &self.factors;
        Factors {
            users: draw(Axis::User, &ratings.by_user, &self.users, users, user_keys),
            items: draw(Axis::Item, &ratings.by_item, &self.items, items, item_keys),
        }
    }

    fn draw_side(
        &self,
        axis: Axis,
        number: u32,
        side: &Side,
        own: &OneSide,
        mean: &Embedding,
        keys: &[u64],
    ) -> Embedding {
        let rank = self.settings.rank;
        let order = rank + usize::from(self.settings.biases);
        // Rounding can leave a class without a Cholesky factor: its rows then stay at their means.
        let factor = |covariance: &Vec<f64>| {
            let matrix = nalgebra::DMatrix::from_row_slice(order, order, covariance);
            nalgebra::Cholesky::new(matrix).map(|factor| factor.l())
        };
        let factors: Vec<_> = own.covariances.iter().map(factor).collect();
        let mut drawn = mean.clone();
        let stride = drawn.vectors.stride();
        let rows = drawn.vectors.padded_rows_mut().par_chunks_mut(stride);
        rows.zip(&mut drawn.biases).enumerate().for_each(|(row, (x, bias))| {
            let count = side.count(row);
            let class = (count > 0).then(|| crate::model::covariance_class(count));
            let factor = class.and_then(|class| factors.get(class));
            let Some(factor) = factor.and_then(Option::as_ref) else { return };
            let mut rng = generator(self.settings.seed, Stream::Row(axis, number, keys[row]));
            let noise = nalgebra::DVector::from_fn(order, |_, _| StandardNormal.sample(&mut rng));
            let step = factor * noise;
            for (x, step) in x[..rank].iter_mut().zip(step.iter()) {
                *x = (f64::from(*x) + step) as f32;
            }
            if self.settings.biases {
                *bias = (f64::from(*bias) + step[rank]) as f32;
            }
        });
        drawn
    }
}

impl Process for SharedRows<'_> {
    fn step(&mut self, number: u32) -> Result<Step> {
        self.half(Axis::User, number)?;
        let error = self.half(Axis::Item, number)?;
        self.precision = noise_precision(error, self.problem.ratings.len());
        let may_end = self.progress.may_end(number, error, self.settings.tolerance);
        Ok(Step { total: error, train_rmse_raw: None, sample: None, comparable: may_end })
    }

    fn before(&self) -> f64 {
        self.progress.error
    }

    fn scorer(&self) -> Scorer<'_> {
        Scorer { factors: &self.factors, scale: self.scale }
    }

    fn save(&self, state: &mut State) {
        state.put_factors("factors", &self.factors);
        self.users.save(state, Axis::User.name());
        self.items.save(state, Axis::Item.name());
        state.put_numbers("precision", vec![self.precision]);
        self.progress.save(state);
    }
}
