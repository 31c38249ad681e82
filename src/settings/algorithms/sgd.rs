//! Settings of `sgd`, stochastic gradient descent.

use super::super::defaults::RANK;
use super::super::laws::LAMBDA_IN_WORDS;
use super::super::names::ScheduleName;
use super::super::train::TrainConfig;
use super::method::{self, Facts, Fit, Method, SearchedSetting};
use super::ridge::{self, Ridge};
use crate::error::Result;
use crate::param::{Count, NonNegative, Positive, Rank};
use crate::ratings::Ratings;
use crate::train::{Algorithm, Schedule, Sgd};

/// Default number of passes over the ratings.
const EPOCHS: Count = Count::literal(20);

/// Default learning rate of the first steps; `gd` uses it for all steps.
pub(super) const RATE: Positive = Positive::literal(0.1);

/// Bytes per cell in the blocks that threads work on.
const BLOCK_CELL: u64 = 16;

pub(super) struct SgdMethod;

impl Method for SgdMethod {
    fn takes(&self) -> &'static [&'static str] {
        &[
            "factors",
            "factors_0",
            "iterations",
            "regularization",
            "reg_exponent",
            "bias_damping",
            "bias_reg",
            "user_reg",
            "item_reg",
            "no_biases",
            "no_mean",
            "tol",
            "patience",
            "learning_rate",
            "schedule",
        ]
    }

    fn plan(&self, config: &TrainConfig) -> Result<Box<dyn Fit>> {
        ridge::check_biases_alone(config)?;
        let ridge = Ridge::new(config, !config.no_biases)?;
        let sgd = Sgd {
            rank: config.factors.unwrap_or(RANK).get() as usize,
            epochs: config.iterations.unwrap_or(EPOCHS).get(),
            tolerance: config.tol.map_or(0.0, NonNegative::get),
            regularization: method::NO_REGULARIZATION,
            rate: config.learning_rate.unwrap_or(RATE).get(),
            schedule: match config.schedule {
                Some(ScheduleName::Decay) => Schedule::Decay,
                None | Some(ScheduleName::Adaptive) => Schedule::Adaptive,
            },
            biases: !config.no_biases,
            mean: !config.no_mean,
            seed: config.seed,
        };
        Ok(Box::new(SgdFit { sgd, ridge }))
    }

    fn law(&self, key: &str) -> Option<&'static str> {
        (key == "regularization").then_some(LAMBDA_IN_WORDS)
    }

    fn space(&self) -> &'static str {
        "trials = 40
[space]
regularization = { low = 0.02, high = 0.5, log = true }
learning_rate = { low = 0.03, high = 0.3, log = true }
factors = [32, 64, 128]"
    }
}

#[derive(Debug, Clone)]
struct SgdFit {
    /// All settings except the regularisation.
    sgd: Sgd,
    ridge: Ridge,
}

impl Fit for SgdFit {
    fn facts(&self) -> Facts {
        let Sgd { rank, epochs, biases, mean, .. } = self.sgd;
        Facts {
            standardises: mean,
            biases,
            lambda: self.ridge.lambda(),
            regularization: self.ridge.regularization(),
            objective: ridge::objective(mean, biases),
            weighting: ridge::WEIGHTING,
            state_per_row: 2,
            bytes_per_rating: BLOCK_CELL,
            ..Facts::new(epochs, rank as u32)
        }
    }

    fn record(&self, settings: &mut TrainConfig) {
        let Sgd { rank, epochs, tolerance, rate, schedule, .. } = self.sgd;
        settings.factors = Rank::new(rank as u32).ok();
        settings.iterations = Count::new(epochs).ok();
        settings.tol = NonNegative::new(tolerance).ok();
        settings.learning_rate = Positive::new(rate).ok();
        settings.schedule = Some(match schedule {
            Schedule::Adaptive => ScheduleName::Adaptive,
            Schedule::Decay => ScheduleName::Decay,
        });
        self.ridge.record(settings);
    }

    fn settle(&mut self, ratings: &Ratings) {
        self.ridge.settle(ratings);
    }

    fn algorithm(&self) -> Box<dyn Algorithm> {
        Box::new(Sgd { regularization: self.ridge.regularization(), ..self.sgd.clone() })
    }

    fn run_exactly(&mut self, iterations: u32) {
        (self.sgd.epochs, self.sgd.tolerance) = (iterations, 0.0);
    }

    fn limit_rank(&mut self, most: u32) {
        self.sgd.rank = self.sgd.rank.min(most as usize);
    }

    fn sought(&self) -> Option<SearchedSetting> {
        self.must_search().then_some(SearchedSetting::Lambda)
    }

    fn must_search(&self) -> bool {
        self.ridge.lambda == method::Decision::Search
    }

    fn choose(&mut self, value: Option<f64>, ratings: &Ratings) {
        self.ridge.choose(value);
        self.settle(ratings);
    }

    fn law_value(&self, ratings: &Ratings) -> f64 {
        Ridge::law_value(ratings)
    }

    fn boxed(&self) -> Box<dyn Fit> {
        Box::new(self.clone())
    }
}
