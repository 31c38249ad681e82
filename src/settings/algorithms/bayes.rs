//! Settings of `bayes`: the mean of the posterior, by variational inference or by sampling.

use super::super::laws;
use super::super::names::{CovarianceName, InferenceName};
use super::super::train::TrainConfig;
use super::method::{Decision, Facts, Fit, Method, RowSolve};
use crate::error::{Error, Result};
use crate::param::{Count, Natural, NonNegative, Rank};
use crate::ratings::Ratings;
use crate::train::{Algorithm, Bayes, Covariances, Variational};

/// Default maximum number of iterations of variational inference.
const ITERATIONS: Count = Count::literal(20);

/// Default number of Gibbs iterations before the first sample.
const BURN_IN: Natural = Natural::literal(50);

/// Default number of samples that predictions are averaged over.
const SAMPLES: Count = Count::literal(150);

/// Default number of samples kept in the model.
const KEEP_SAMPLES: Natural = Natural::literal(0);

/// Largest default tolerance of variational inference.
///
/// The default is this share times the number of unknowns per rating, at most this share. Later
/// iterations would fit noise, and overfitting sets in sooner with more unknowns per rating.
const TOLERANCE: f64 = 0.02;

/// Smallest default rank. The rank follows the mean number of ratings in steps of 8.
const FEWEST_FACTORS: u32 = 16;
/// Largest default rank.
const MOST_FACTORS: u32 = 32;

pub(super) struct BayesMethod;

impl Method for BayesMethod {
    fn takes(&self) -> &'static [&'static str] {
        &[
            "factors",
            "iterations",
            "no_biases",
            "tol",
            "holdout_user",
            "inference",
            "covariance",
            "burn_in",
            "samples",
            "keep_samples",
        ]
    }

    fn row_solve(&self) -> RowSolve {
        RowSolve::WithPosterior
    }

    fn plan(&self, config: &TrainConfig) -> Result<Box<dyn Fit>> {
        let wrong = |message: &str| Err(Error::Usage(message.into()));
        let sampling = config.burn_in.is_some() || config.samples.is_some();
        let default = if sampling { InferenceName::Gibbs } else { InferenceName::Vb };
        let inference = config.inference.unwrap_or(default);
        let keep = config.keep_samples.unwrap_or(KEEP_SAMPLES).get();
        let (burn_in, samples) =
            (config.burn_in.unwrap_or(BURN_IN).get(), config.samples.unwrap_or(SAMPLES).get());
        match inference {
            InferenceName::Vb if sampling => {
                return wrong(
                    "--burn-in and --samples need --inference gibbs; vb takes --iterations",
                );
            }
            InferenceName::Gibbs if config.iterations.is_some() => {
                return wrong(
                    "--iterations needs --inference vb; gibbs takes --burn-in and --samples",
                );
            }
            InferenceName::Gibbs if keep > samples => {
                return wrong("--keep-samples must be at most --samples");
            }
            _ => {}
        }
        if keep == 1 {
            return wrong("--keep-samples 1 gives no spread: keep 2 or more samples, better 20");
        }
        if burn_in.checked_add(samples).is_none() {
            return wrong("--burn-in and --samples together are too many iterations");
        }
        let rank = Decision::set(config.factors);
        let (biases, seed) = (!config.no_biases, config.seed);
        Ok(match inference {
            InferenceName::Vb => Box::new(VariationalFit {
                variational: Variational {
                    rank: 0,
                    iterations: config.iterations.unwrap_or(ITERATIONS).get(),
                    keep,
                    biases,
                    covariances: match config.covariance {
                        Some(CovarianceName::Own) => Covariances::Own,
                        None | Some(CovarianceName::Shared) => Covariances::Shared,
                    },
                    tolerance: 0.0,
                    seed,
                },
                rank,
                tolerance: Decision::set(config.tol),
            }),
            InferenceName::Gibbs => Box::new(GibbsFit {
                bayes: Bayes { rank: 0, burn_in, samples, keep, biases, seed },
                rank,
            }),
        })
    }

    fn law(&self, key: &str) -> Option<&'static str> {
        match key {
            "factors" => Some("16, 24 or 32, growing with the ratings per user and item"),
            "tol" => Some("0.02 times the unknowns per rating, at most 0.02"),
            _ => None,
        }
    }

    fn space(&self) -> &'static str {
        "method = \"grid\"
[space]
factors = [8, 16, 24, 32, 48, 64]
iterations = [8, 12, 20]"
    }
}

/// The default rank for a geometric mean of the mean numbers of ratings per user and per item.
///
/// It is the mean rounded up to a multiple of 8, within [`FEWEST_FACTORS`] and [`MOST_FACTORS`].
/// Vectors with more entries would fit the noise of sparse ratings.
fn rank(mean_count: f64) -> u32 {
    let entries = 8 * (mean_count / 8.0).ceil().min(64.0) as u32;
    entries.clamp(FEWEST_FACTORS, MOST_FACTORS)
}

fn settle_rank(decided: &mut Decision<Rank>, ratings: &Ratings) {
    decided.settle(|| Rank::new(rank(laws::mean_count(ratings))).ok());
}

/// The rank, or the largest rank of the law before it is settled.
fn most(rank: Decision<Rank>) -> u32 {
    rank.known().map_or(MOST_FACTORS, Rank::get)
}

fn objective(what: &str, biases: bool) -> String {
    let biases = if biases { " + b_u + b_i" } else { "" };
    format!(
        "{what} z ~ N(p.q{biases}, noise), vectors ~ N(m, inverse of L) with Normal-Wishart \
         (m, L), z = (r - mean) / scale"
    )
}

#[derive(Debug, Clone)]
struct VariationalFit {
    /// All settings except rank and tolerance.
    variational: Variational,
    rank: Decision<Rank>,
    tolerance: Decision<NonNegative>,
}

impl Fit for VariationalFit {
    fn facts(&self) -> Facts {
        let Variational { iterations, biases, .. } = self.variational;
        let (rank, owns) =
            (most(self.rank), matches!(self.variational.covariances, Covariances::Own));
        let k = rank as usize;
        let covariance = if owns { k * (k + 3) / 2 } else { 0 };
        Facts {
            biases,
            objective: objective("mean of independent normal posteriors of the rows under", biases),
            numbers_per_row: covariance,
            state_per_row: covariance,
            starts_from_posterior: true,
            owns_covariances: owns,
            folds_in_at_end: true,
            ..Facts::new(iterations, rank)
        }
    }

    fn record(&self, settings: &mut TrainConfig) {
        let Variational { iterations, keep, .. } = self.variational;
        settings.inference = Some(InferenceName::Vb);
        settings.iterations = Count::new(iterations).ok();
        settings.keep_samples = Natural::new(keep).ok();
        settings.covariance = Some(match self.variational.covariances {
            Covariances::Own => CovarianceName::Own,
            Covariances::Shared => CovarianceName::Shared,
        });
        (settings.factors, settings.tol) = (self.rank.known(), self.tolerance.known());
    }

    fn settle(&mut self, ratings: &Ratings) {
        settle_rank(&mut self.rank, ratings);
        let (users, items) = (&ratings.by_user, &ratings.by_item);
        let rows = (users.rows_with_cells() + items.rows_with_cells()) as f64;
        let unknowns = rows * f64::from(most(self.rank)) / ratings.len().max(1) as f64;
        self.tolerance.settle(|| laws::number(TOLERANCE * unknowns.min(1.0)));
    }

    fn algorithm(&self) -> Box<dyn Algorithm> {
        Box::new(Variational {
            rank: most(self.rank) as usize,
            tolerance: self.tolerance.known().map_or(0.0, NonNegative::get),
            ..self.variational.clone()
        })
    }

    fn run_exactly(&mut self, iterations: u32) {
        self.variational.iterations = iterations;
        self.tolerance = Decision::Known(NonNegative::literal(0.0));
    }

    fn limit_rank(&mut self, limit: u32) {
        self.rank = Decision::set(Rank::new(most(self.rank).min(limit)).ok());
    }

    fn boxed(&self) -> Box<dyn Fit> {
        Box::new(self.clone())
    }
}

#[derive(Debug, Clone)]
struct GibbsFit {
    /// All settings except the rank.
    bayes: Bayes,
    rank: Decision<Rank>,
}

impl Fit for GibbsFit {
    fn facts(&self) -> Facts {
        let Bayes { burn_in, samples, biases, .. } = self.bayes;
        let rank = most(self.rank);
        let k = rank as usize;
        Facts {
            biases,
            objective: objective("mean over samples of", biases),
            // The sums over samples before they are compressed.
            numbers_per_row: 4 * k,
            // The sums over samples of vectors and of biases.
            state_per_row: 6 * k + 4,
            ..Facts::new(burn_in.saturating_add(samples), rank)
        }
    }

    fn record(&self, settings: &mut TrainConfig) {
        let Bayes { burn_in, samples, keep, .. } = self.bayes;
        settings.inference = Some(InferenceName::Gibbs);
        settings.burn_in = Natural::new(burn_in).ok();
        settings.samples = Count::new(samples).ok();
        settings.keep_samples = Natural::new(keep).ok();
        settings.factors = self.rank.known();
    }

    fn settle(&mut self, ratings: &Ratings) {
        settle_rank(&mut self.rank, ratings);
    }

    fn algorithm(&self) -> Box<dyn Algorithm> {
        Box::new(Bayes { rank: most(self.rank) as usize, ..self.bayes.clone() })
    }

    /// Does nothing: fewer samples would approximate the posterior less well.
    fn run_exactly(&mut self, _iterations: u32) {}

    fn limit_rank(&mut self, limit: u32) {
        self.rank = Decision::set(Rank::new(most(self.rank).min(limit)).ok());
    }

    fn boxed(&self) -> Box<dyn Fit> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_follows_the_mean_count() {
        let ranks = [0.0, 8.0, 14.3, 17.0, 21.6, 28.5, 38.0, 1e9].map(rank);
        assert_eq!(ranks, [16, 16, 16, 24, 24, 32, 32, 32]);
    }
}
