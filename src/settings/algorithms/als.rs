//! Settings of `als`, alternating least squares.

use super::super::defaults::{RANK, SWEEPS, TOLERANCE};
use super::super::laws::LAMBDA_IN_WORDS;
use super::super::train::TrainConfig;
use super::method::{Facts, Fit, Method, RowSolve, SearchedSetting};
use super::ridge::{self, Ridge};
use super::{method, solver};
use crate::error::{Error, Result};
use crate::param::{Count, NonNegative, Rank};
use crate::ratings::Ratings;
use crate::train::{Algorithm, Als};

pub(super) struct AlsMethod;

impl Method for AlsMethod {
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
            "nonnegative",
            "solver",
            "cg_steps",
            "block",
            "tol",
            "patience",
            "holdout_user",
        ]
    }

    fn row_solve(&self) -> RowSolve {
        RowSolve::Always
    }

    fn plan(&self, config: &TrainConfig) -> Result<Box<dyn Fit>> {
        ridge::check_biases_alone(config)?;
        let solver = solver::solver(config)?;
        let of_biases = [
            ("--bias-reg", config.bias_reg.is_some()),
            ("--bias-damping", config.bias_damping.is_some()),
        ];
        if let Some((flag, _)) = of_biases.iter().find(|(_, set)| *set && config.nonnegative) {
            let message =
                format!("--nonnegative fits no biases, so it cannot be combined with {flag}");
            return Err(Error::Usage(message));
        }
        let biases = !config.no_biases && !config.nonnegative;
        let ridge = Ridge::new(config, biases)?;
        let als = Als {
            rank: config.factors.unwrap_or(RANK).get() as usize,
            iterations: config.iterations.unwrap_or(SWEEPS).get(),
            tolerance: config.tol.unwrap_or(TOLERANCE).get(),
            regularization: method::NO_REGULARIZATION,
            biases,
            mean: !config.no_mean && !config.nonnegative,
            solver,
            seed: config.seed,
        };
        Ok(Box::new(AlsFit { als, ridge, nonnegative: config.nonnegative }))
    }

    fn law(&self, key: &str) -> Option<&'static str> {
        (key == "regularization").then_some(LAMBDA_IN_WORDS)
    }

    fn space(&self) -> &'static str {
        "trials = 40
[space]
regularization = { low = 0.02, high = 0.5, log = true }
reg_exponent = { low = 0.0, high = 1.0 }
bias_damping = { low = 1.0, high = 20.0, log = true }
factors = [32, 64, 128]"
    }
}

#[derive(Debug, Clone)]
struct AlsFit {
    /// All settings except the regularisation.
    als: Als,
    ridge: Ridge,
    nonnegative: bool,
}

impl Fit for AlsFit {
    fn facts(&self) -> Facts {
        let Als { rank, iterations, biases, mean, .. } = self.als;
        Facts {
            standardises: mean,
            biases,
            nonnegative: self.nonnegative,
            lambda: self.ridge.lambda(),
            regularization: self.ridge.regularization(),
            objective: ridge::objective(mean, biases),
            weighting: ridge::WEIGHTING,
            ..Facts::new(iterations, rank as u32)
        }
    }

    fn record(&self, settings: &mut TrainConfig) {
        let Als { rank, iterations, tolerance, biases, mean, solver, .. } = self.als;
        settings.factors = Rank::new(rank as u32).ok();
        settings.iterations = Count::new(iterations).ok();
        settings.tol = NonNegative::new(tolerance).ok();
        (settings.no_biases, settings.no_mean) = (!biases, !mean);
        solver::record(solver, settings);
        self.ridge.record(settings);
    }

    fn settle(&mut self, ratings: &Ratings) {
        self.ridge.settle(ratings);
    }

    fn algorithm(&self) -> Box<dyn Algorithm> {
        Box::new(Als { regularization: self.ridge.regularization(), ..self.als.clone() })
    }

    fn run_exactly(&mut self, iterations: u32) {
        (self.als.iterations, self.als.tolerance) = (iterations, 0.0);
    }

    fn limit_rank(&mut self, most: u32) {
        self.als.rank = self.als.rank.min(most as usize);
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
