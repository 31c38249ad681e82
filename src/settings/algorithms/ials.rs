//! Settings of `ials`, alternating least squares for implicit feedback.

use super::super::criterion::Criterion;
use super::super::defaults::{RANK, SWEEPS, TOLERANCE};
use super::super::laws::{self, significant};
use super::super::names::ConfidenceName;
use super::super::train::TrainConfig;
use super::method::{self, Decision, Facts, Fit, Method, RowSolve, SearchedSetting};
use super::{ridge, solver};
use crate::error::{Error, Result};
use crate::objective::{Confidence, Regularization};
use crate::pair::Pair;
use crate::param::{Count, Exponent, NonNegative, Rank};
use crate::ratings::Ratings;
use crate::train::{Algorithm, Ials};

/// Total weight of all unobserved pairs as a multiple of the observed cells.
///
/// The search for this ratio begins here.
const RATIO: f64 = 15.0;

/// Weight of an unobserved pair if observed pairs have confidences (Hu, Koren, Volinsky 2008).
const UNOBSERVED_WITH_CONFIDENCES: NonNegative = NonNegative::literal(1.0);

/// Penalty of a row per observed cell.
///
/// Rows are regularised by `λ (n + α₀ N)`. Including the unobserved pairs, `n + α₀ N` is on
/// average `1 + ratio` times `n`. The law chooses `λ` so that the average penalty is this multiple
/// of `n` at any density and `α₀`.
const PENALTY: f64 = 0.16;

/// Default exponent of a row's weighted number of pairs.
const EXPONENT: Exponent = Exponent::literal(1.0);

/// Default `α` and `ε` of the confidences.
const ONE: NonNegative = NonNegative::literal(1.0);

pub(super) struct IalsMethod;

impl Method for IalsMethod {
    fn takes(&self) -> &'static [&'static str] {
        &[
            "factors",
            "iterations",
            "regularization",
            "reg_exponent",
            "user_reg",
            "item_reg",
            "nonnegative",
            "solver",
            "cg_steps",
            "block",
            "tol",
            "patience",
            "holdout_user",
            "positive_from",
            "confidence",
            "alpha",
            "epsilon",
            "unobserved_weight",
        ]
    }

    fn reads_events(&self) -> bool {
        true
    }

    fn row_solve(&self) -> RowSolve {
        RowSolve::Always
    }

    fn plan(&self, config: &TrainConfig) -> Result<Box<dyn Fit>> {
        check(config)?;
        ridge::check_search(config)?;
        let solver = solver::solver(config)?;
        let ials = Ials {
            rank: config.factors.unwrap_or(RANK).get() as usize,
            iterations: config.iterations.unwrap_or(SWEEPS).get(),
            tolerance: config.tol.unwrap_or(TOLERANCE).get(),
            regularization: Pair::new(0.0, 0.0),
            exponent: config.reg_exponent.unwrap_or(EXPONENT).get(),
            confidence: confidence(config),
            unobserved: 0.0,
            solver,
            seed: config.seed,
        };
        let lambda = ridge::lambda(config);
        let free = config.unobserved_weight.is_none() && ials.confidence == Confidence::Unit;
        let follows = config.user_reg.is_none() && config.item_reg.is_none();
        let searched = match lambda {
            Decision::Search => true,
            Decision::Law => follows,
            Decision::Known(_) => false,
        };
        let unobserved = match config.unobserved_weight {
            Some(weight) => Decision::Known(weight),
            None if free && searched => Decision::Search,
            None => Decision::Law,
        };
        let must_search = lambda == Decision::Search;
        // If the weight of the unobserved pairs is searched, λ follows it by the law.
        let lambda = if must_search && free { Decision::Law } else { lambda };
        let (users, items) = (config.user_reg, config.item_reg);
        let nonnegative = config.nonnegative;
        Ok(Box::new(IalsFit { ials, lambda, users, items, unobserved, nonnegative, must_search }))
    }

    fn law(&self, key: &str) -> Option<&'static str> {
        match key {
            "regularization" => Some(
                "0.16 / (1 + R), where R is the total weight of all unobserved pairs divided by \
                 that of the observed pairs",
            ),
            "unobserved_weight" => Some(
                "with --confidence unit, chosen on validation ratings, starting at \
                 15 × ratings / (users × items); otherwise 1",
            ),
            _ => None,
        }
    }

    fn space(&self) -> &'static str {
        "trials = 40
[space]
regularization = { low = 0.0001, high = 0.1, log = true }
unobserved_weight = { low = 0.0001, high = 1.0, log = true }
factors = [32, 64, 128]"
    }
}

/// Checks combinations of settings.
fn check(config: &TrainConfig) -> Result<()> {
    let wrong = |message: &str| Err(Error::Usage(message.into()));
    if config.positive_from.is_some_and(|from| !from.is_finite() || from < 0.0) {
        return wrong("--positive-from must be a number, 0 or more");
    }
    if config.criterion == Some(Criterion::Rmse) {
        return wrong(
            "--criterion rmse needs ratings, but the scores of ials are preferences; use ndcg@10",
        );
    }
    let form = config.confidence.unwrap_or(ConfidenceName::Unit);
    if config.alpha.is_some() && form == ConfidenceName::Unit {
        return wrong("--alpha needs --confidence linear, log or raw");
    }
    if config.alpha.is_some_and(|a| a.get() == 0.0) {
        return wrong("--alpha 0 ignores the counts; use --confidence unit");
    }
    if config.epsilon.is_some() && form != ConfidenceName::Log {
        return wrong("--epsilon needs --confidence log");
    }
    if config.epsilon.is_some_and(|e| e.get() == 0.0) {
        return wrong("--epsilon divides the counts, so it must be above 0");
    }
    Ok(())
}

fn confidence(config: &TrainConfig) -> Confidence {
    let alpha = config.alpha.unwrap_or(ONE).get();
    match config.confidence {
        None | Some(ConfidenceName::Unit) => Confidence::Unit,
        Some(ConfidenceName::Linear) => Confidence::Linear { alpha },
        Some(ConfidenceName::Log) => {
            Confidence::Log { alpha, epsilon: config.epsilon.unwrap_or(ONE).get() }
        }
        Some(ConfidenceName::Raw) => Confidence::Raw { alpha },
    }
}

/// The `α₀` for which all unobserved pairs together weigh `ratio` times the observed cells.
fn unobserved(ratio: f64, ratings: &Ratings) -> f64 {
    let (users, items) = (&ratings.by_user, &ratings.by_item);
    let pairs = users.rows_with_cells() as f64 * items.rows_with_cells() as f64;
    significant(ratio * ratings.len() as f64 / pairs.max(1.0))
}

#[derive(Debug, Clone)]
struct IalsFit {
    /// All settings except the regularisation and the weight of unobserved pairs.
    ials: Ials,
    lambda: Decision<NonNegative>,
    /// λ of the user vectors, if it differs from `lambda`.
    users: Option<NonNegative>,
    /// λ of the item vectors, if it differs from `lambda`.
    items: Option<NonNegative>,
    unobserved: Decision<NonNegative>,
    nonnegative: bool,
    must_search: bool,
}

impl IalsFit {
    fn regularization(&self) -> Regularization {
        let number = |value: Option<NonNegative>| value.map_or(0.0, NonNegative::get);
        let lambda = self.lambda.known();
        Regularization {
            users: number(self.users.or(lambda)),
            items: number(self.items.or(lambda)),
            exponent: self.ials.exponent,
            ..method::NO_REGULARIZATION
        }
    }
}

impl Fit for IalsFit {
    fn facts(&self) -> Facts {
        let objective = match self.ials.confidence {
            Confidence::Unit => {
                "sum over ratings (1 - p.q)^2 + unobserved_weight * sum over all pairs (p.q)^2 + \
                 lambda * rho * |vector|^2"
                    .into()
            }
            form => {
                let confidence = match form {
                    Confidence::Log { .. } => "1 + alpha ln(1 + r / epsilon)",
                    Confidence::Raw { .. } => "alpha r",
                    _ => "1 + alpha r",
                };
                format!(
                    "sum over ratings c (1 - p.q)^2 + unobserved_weight * sum over all other pairs \
                     (p.q)^2 + lambda * rho * |vector|^2, c = {confidence}"
                )
            }
        };
        Facts {
            rates: false,
            standardises: false,
            biases: false,
            nonnegative: self.nonnegative,
            lambda: self.lambda.known().map_or(0.0, NonNegative::get),
            regularization: self.regularization(),
            unobserved_weight: self.unobserved.known().map(NonNegative::get),
            objective,
            weighting: "lambda * (n + unobserved_weight * N)^reg_exponent, \
                        N the rows of the other side",
            settles_before_search: true,
            ..Facts::new(self.ials.iterations, self.ials.rank as u32)
        }
    }

    fn record(&self, settings: &mut TrainConfig) {
        let Ials { rank, iterations, tolerance, exponent, solver, .. } = self.ials;
        settings.factors = Rank::new(rank as u32).ok();
        settings.iterations = Count::new(iterations).ok();
        settings.tol = NonNegative::new(tolerance).ok();
        settings.reg_exponent = Exponent::new(exponent).ok();
        if self.nonnegative {
            (settings.no_mean, settings.no_biases) = (true, true);
        }
        solver::record(solver, settings);
        let lambda = if self.must_search { Decision::Search } else { self.lambda };
        ridge::record_lambda(lambda, settings);
        settings.unobserved_weight = self.unobserved.known();
        let number = |value: f64| NonNegative::new(value).ok();
        settings.confidence = Some(match self.ials.confidence {
            Confidence::Unit => ConfidenceName::Unit,
            Confidence::Linear { alpha } => {
                settings.alpha = number(alpha);
                ConfidenceName::Linear
            }
            Confidence::Log { alpha, epsilon } => {
                (settings.alpha, settings.epsilon) = (number(alpha), number(epsilon));
                ConfidenceName::Log
            }
            Confidence::Raw { alpha } => {
                settings.alpha = number(alpha);
                ConfidenceName::Raw
            }
        });
    }

    fn settle(&mut self, ratings: &Ratings) {
        let unit = self.ials.confidence == Confidence::Unit;
        // Without a search, the law decides the value.
        if self.unobserved == Decision::Search {
            self.unobserved = Decision::Law;
        }
        self.unobserved.settle(|| match unit {
            true => NonNegative::new(unobserved(RATIO, ratings)).ok(),
            false => Some(UNOBSERVED_WITH_CONFIDENCES),
        });
        let weight = self.unobserved.known().map_or(0.0, NonNegative::get);
        let exponent = self.ials.exponent;
        self.lambda.settle(|| {
            let mean_count = laws::mean_count(ratings);
            let all = mean_count * (1.0 + weight / unobserved(1.0, ratings).max(1e-12));
            laws::number(PENALTY * mean_count / all.powf(exponent))
        });
    }

    fn algorithm(&self) -> Box<dyn Algorithm> {
        let Regularization { users, items, .. } = self.regularization();
        Box::new(Ials {
            regularization: Pair::new(users, items),
            unobserved: self.unobserved.known().map_or(0.0, NonNegative::get),
            ..self.ials.clone()
        })
    }

    fn run_exactly(&mut self, iterations: u32) {
        (self.ials.iterations, self.ials.tolerance) = (iterations, 0.0);
    }

    fn limit_rank(&mut self, most: u32) {
        self.ials.rank = self.ials.rank.min(most as usize);
    }

    fn sought(&self) -> Option<SearchedSetting> {
        match (self.unobserved, self.lambda) {
            (Decision::Search, _) => Some(SearchedSetting::Ratio),
            (_, Decision::Search) => Some(SearchedSetting::Lambda),
            _ => None,
        }
    }

    fn must_search(&self) -> bool {
        self.must_search
    }

    fn choose(&mut self, value: Option<f64>, ratings: &Ratings) {
        let sought = self.sought();
        self.must_search = false;
        match (sought, value) {
            (Some(SearchedSetting::Ratio), Some(ratio)) => {
                let weight = NonNegative::new(unobserved(ratio, ratings)).ok();
                self.unobserved = Decision::set(weight);
            }
            (Some(SearchedSetting::Lambda), value) => {
                self.lambda = Decision::set(value.and_then(|v| NonNegative::new(v).ok()));
            }
            _ => {}
        }
        self.settle(ratings);
    }

    fn law_value(&self, ratings: &Ratings) -> f64 {
        if self.sought() == Some(SearchedSetting::Ratio) {
            return RATIO;
        }
        let mut by_law = Self { lambda: Decision::Law, ..self.clone() };
        by_law.settle(ratings);
        by_law.lambda.known().map_or(1.0, NonNegative::get)
    }

    fn boxed(&self) -> Box<dyn Fit> {
        Box::new(self.clone())
    }
}
