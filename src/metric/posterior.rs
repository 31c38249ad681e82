//! Averages predictions over samples of the posterior, and compares them with held-out ratings.

use std::borrow::Cow;

use rayon::prelude::*;

use super::HoldoutErrors;
use super::holdout::errors_of;
use crate::linalg::simd::Kernels;
use crate::model::Scorer;
use crate::ratings::{Cell, Known};

/// Half-width of the central interval that holds 50 % (`HALF`) or 90 % (`NINE_TENTHS`) of a normal
/// distribution, in standard deviations.
const HALF: f64 = 0.674_489_750_196_082;
const NINE_TENTHS: f64 = 1.644_853_626_951_472;

/// Running means of the predictions of held-out cells.
#[derive(Debug, Clone)]
pub struct PosteriorMean<'a> {
    training: Known<'a>,
    cells: Cow<'a, [Cell]>,
    /// Sum and sum of squares of the predictions of each cell.
    sums: Vec<(f64, f64)>,
    /// Sum of the squared standard deviations of the noise.
    noise: f64,
    samples: f64,
}

/// The calibration of predictive intervals.
///
/// It holds the shares of held-out ratings that lie inside the central predictive intervals of 50 %
/// and 90 %. Only ratings whose user and item both have training ratings count. Ratings are
/// discrete and bounded but the intervals are normal, so the shares need not be exact.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Coverage {
    /// Share inside the 50 % interval.
    pub half: f64,
    /// Share inside the 90 % interval.
    pub nine_tenths: f64,
}

impl<'a> PosteriorMean<'a> {
    /// Creates a mean without samples.
    #[must_use]
    pub fn new(training: Known<'a>, cells: &'a [Cell]) -> Self {
        let sums = vec![(0.0, 0.0); cells.len()];
        Self { training, cells: Cow::Borrowed(cells), sums, noise: 0.0, samples: 0.0 }
    }

    /// Removes all samples and keeps at most `most` cells, evenly spread.
    pub fn thin(&mut self, most: usize) {
        if self.cells.len() > most {
            let step = self.cells.len().div_ceil(most);
            self.cells = self.cells.iter().step_by(step).copied().collect();
        }
        self.sums = vec![(0.0, 0.0); self.cells.len()];
        (self.noise, self.samples) = (0.0, 0.0);
    }

    /// Adds the predictions of one sample whose noise has the standard deviation `noise`.
    pub fn add(&mut self, scorer: &Scorer<'_>, noise: f64) {
        let (kernels, training) = (Kernels::detect(), self.training);
        self.sums.par_iter_mut().zip(&*self.cells).for_each(|((sum, squares), cell)| {
            let (user, item) = training.rows(cell);
            let score = scorer.score(kernels, user, item);
            *sum += score;
            *squares += score * score;
        });
        self.noise += noise * noise;
        self.samples += 1.0;
    }

    /// Replaces all samples by known means and variances, on the rating scale. A pair whose user or
    /// item is unknown has no variance.
    pub fn set(
        &mut self,
        scorer: &Scorer<'_>,
        variance: impl Fn(usize, usize) -> f64 + Sync,
        noise: f64,
    ) {
        let (kernels, training) = (Kernels::detect(), self.training);
        self.sums.par_iter_mut().zip(&*self.cells).for_each(|(sums, cell)| {
            let (user, item) = training.rows(cell);
            let mean = scorer.score(kernels, user, item);
            let spread = user.zip(item).map_or(0.0, |(user, item)| variance(user, item));
            *sums = (mean, mean * mean + spread);
        });
        (self.noise, self.samples) = (noise * noise, 1.0);
    }

    /// The sums so far, as numbers for [`PosteriorMean::restore`]; `None` before the first sample.
    #[must_use]
    pub fn numbers(&self) -> Option<Vec<f64>> {
        let numbers = || {
            let sums = self.sums.iter().flat_map(|&(sum, squares)| [sum, squares]);
            [self.noise, self.samples].into_iter().chain(sums).collect()
        };
        (self.samples > 0.0).then(numbers)
    }

    /// Restores the numbers of [`PosteriorMean::numbers`]. Returns false and changes nothing if
    /// they belong to another number of cells.
    #[must_use]
    pub fn restore(&mut self, numbers: &[f64]) -> bool {
        let Some((&[noise, samples], sums)) = numbers.split_first_chunk::<2>() else {
            return false;
        };
        if sums.len() != 2 * self.sums.len() {
            return false;
        }
        (self.noise, self.samples) = (noise, samples);
        self.sums = sums.as_chunks::<2>().0.iter().map(|&[sum, squares]| (sum, squares)).collect();
        true
    }

    /// Errors of the mean predictions, clipped by `scorer`. All zero before the first sample.
    #[must_use]
    pub fn errors(&self, scorer: &Scorer<'_>) -> HoldoutErrors {
        if self.samples == 0.0 {
            return HoldoutErrors::default();
        }
        let mean = |at: usize, _, _| self.sums[at].0 / self.samples;
        errors_of(scorer, self.training, &self.cells, mean)
    }

    /// Coverage of the predictive intervals, from the mean and variance of the samples' predictions
    /// and the noise. `None` without warm cells or without samples.
    #[must_use]
    pub fn coverage(&self) -> Option<Coverage> {
        let warm = |cell: &Cell| matches!(self.training.rows(cell), (Some(_), Some(_)));
        let count = self.cells.iter().filter(|cell| warm(cell)).count();
        if count == 0 || self.samples == 0.0 {
            return None;
        }
        let inside = |width: f64| {
            let hit = |((sum, squares), cell): (&(f64, f64), &Cell)| {
                let mean = sum / self.samples;
                let variance = (squares / self.samples - mean * mean).max(0.0);
                let deviation = (variance + self.noise / self.samples).sqrt();
                (f64::from(cell.value) - mean).abs() <= width * deviation
            };
            let pairs = self.sums.iter().zip(&*self.cells).filter(|(_, cell)| warm(cell));
            pairs.filter(|pair| hit(*pair)).count() as f64 / count as f64
        };
        Some(Coverage { half: inside(HALF), nine_tenths: inside(NINE_TENTHS) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::Matrix;
    use crate::model::{Embedding, Factors, Scale};
    use crate::ratings::Ratings;

    #[test]
    fn means_and_intervals_are_those_of_the_samples() {
        let cell = |user, item, value| Cell { user, item, value, weight: 1.0, time: 0 };
        let training = Ratings::from_sorted(1, 2, &[cell(0, 0, 3.0), cell(0, 1, 3.0)]);
        let held = [cell(0, 0, 4.0), cell(0, 1, 3.0)];
        let mut mean = PosteriorMean::new(training.known(), &held);
        let scale =
            Scale { mean: 3.0, deviation: 1.0, biases: true, fallback: 3.0, range: (1.0, 5.0) };
        let embedding =
            |biases: Vec<f32>| Embedding { vectors: Matrix::zeros(biases.len(), 1), biases };
        // Predictions of the first cell: 3 and 4; of the second: 3 and 9.
        for biases in [vec![0.0, 0.0], vec![1.0, 6.0]] {
            let factors = Factors { users: embedding(vec![0.0]), items: embedding(biases) };
            let scorer = Scorer { factors: &factors, scale };
            assert!(mean.samples > 0.0 || mean.coverage().is_none());
            mean.add(&scorer, 0.5);
        }
        let factors = Factors { users: embedding(vec![0.0]), items: embedding(vec![0.0; 2]) };
        let errors = mean.errors(&Scorer { factors: &factors, scale });
        // Means 3.5 and 6, the latter clipped to 5.
        assert_eq!(errors.raw.rmse(), Some(f64::midpoint(0.25, 9.0).sqrt()));
        assert_eq!(errors.clipped.rmse(), Some(f64::midpoint(0.25, 4.0).sqrt()));
        // The deviations are √(0.25 + 0.25) and √(9 + 0.25). The second rating lies 0.99 deviations
        // away.
        let coverage = mean.coverage().expect("samples");
        assert_eq!((coverage.half, coverage.nine_tenths), (0.0, 1.0));
    }
}
