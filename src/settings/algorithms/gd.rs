//! Settings of `gd`, full-batch gradient descent on raw ratings.

use super::super::train::TrainConfig;
use super::method::{Facts, Fit, Method};
use super::sgd::RATE;
use crate::error::Result;
use crate::param::{Count, NonNegative, Positive, Rank};
use crate::ratings::Ratings;
use crate::train::{Algorithm, Gd};

/// Default number of factors.
const FACTORS: Rank = Rank::literal(10);

/// Default number of steps.
const STEPS: Count = Count::literal(700);

pub(super) struct GdMethod;

impl Method for GdMethod {
    fn takes(&self) -> &'static [&'static str] {
        &["factors", "iterations", "tol", "patience", "learning_rate"]
    }

    fn plan(&self, config: &TrainConfig) -> Result<Box<dyn Fit>> {
        Ok(Box::new(GdFit(Gd {
            rank: config.factors.unwrap_or(FACTORS).get() as usize,
            iterations: config.iterations.unwrap_or(STEPS).get(),
            tolerance: config.tol.map_or(0.0, NonNegative::get),
            rate: config.learning_rate.unwrap_or(RATE).get(),
            seed: config.seed,
        })))
    }

    fn space(&self) -> &'static str {
        "trials = 20
[space]
learning_rate = { low = 0.02, high = 0.5, log = true }
factors = [2, 5, 10, 20]"
    }
}

#[derive(Debug, Clone)]
struct GdFit(Gd);

impl Fit for GdFit {
    fn facts(&self) -> Facts {
        Facts {
            standardises: false,
            biases: false,
            objective: "mean over ratings (r - p.q)^2".into(),
            ..Facts::new(self.0.iterations, self.0.rank as u32)
        }
    }

    fn record(&self, settings: &mut TrainConfig) {
        let Gd { rank, iterations, tolerance, rate, .. } = self.0;
        settings.factors = Rank::new(rank as u32).ok();
        settings.iterations = Count::new(iterations).ok();
        settings.tol = NonNegative::new(tolerance).ok();
        settings.learning_rate = Positive::new(rate).ok();
    }

    fn settle(&mut self, _ratings: &Ratings) {}

    fn algorithm(&self) -> Box<dyn Algorithm> {
        Box::new(self.0.clone())
    }

    fn run_exactly(&mut self, iterations: u32) {
        (self.0.iterations, self.0.tolerance) = (iterations, 0.0);
    }

    fn limit_rank(&mut self, most: u32) {
        self.0.rank = self.0.rank.min(most as usize);
    }

    fn boxed(&self) -> Box<dyn Fit> {
        Box::new(self.clone())
    }
}
