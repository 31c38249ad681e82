//! The algorithm that the settings name: its defaults, what goes with it, and what it is built from.

use super::names::{AlgorithmName, ConfidenceName, InferenceName, ScheduleName, SolverName};
use super::{Criterion, Holdout, TrainConfig};
use crate::load::prepare::Duplicates;
use crate::metric::ranking::RankingMetric;
use crate::objective::{Confidence, Regularization};
use crate::param::{Automatic, Count, Exponent, Fraction, Natural, NonNegative, Positive, Rank};
use crate::train::{Algorithm, Als, Bayes, Gd, Ials, Schedule, Sgd, SolverChoice, Variational};

impl TrainConfig {
    /// The same settings with the algorithm's defaults in place of what was not given.
    #[must_use]
    pub fn resolved(&self) -> Self {
        fn fill<T>(setting: &mut Option<T>, default: T) {
            setting.get_or_insert(default);
        }
        let mut c = self.clone();
        let name = c.algorithm;
        let implicit = name == AlgorithmName::Ials;
        // Counts add up, weighted ones cannot.
        let sum = implicit && c.load.weight_col.is_none();
        fill(&mut c.load.duplicates, if sum { Duplicates::Sum } else { Duplicates::Last });
        fill(
            &mut c.factors,
            Rank::literal(match name {
                AlgorithmName::Bayes => 32,
                AlgorithmName::Gd => 10,
                _ => 64,
            }),
        );
        let ndcg = |k| RankingMetric::literal("ndcg", k);
        if implicit && c.metrics.is_empty() {
            c.metrics = vec![ndcg(10), RankingMetric::literal("recall", 20)];
        }
        if c.holdout == Holdout::User {
            fill(&mut c.fold_in_ratio, Fraction::literal(0.8));
        }
        if c.patience.is_some() {
            fill(&mut c.criterion, self.criterion());
        }
        if name == AlgorithmName::Bayes {
            let sampling = c.burn_in.is_some() || c.samples.is_some();
            let inference = if sampling { InferenceName::Gibbs } else { InferenceName::Vb };
            fill(&mut c.inference, inference);
            fill(&mut c.keep_samples, Natural::literal(0));
            if c.inference == Some(InferenceName::Vb) {
                fill(&mut c.iterations, Count::literal(15));
            } else {
                fill(&mut c.burn_in, Natural::literal(50));
                fill(&mut c.samples, Count::literal(150));
            }
            return c;
        }
        let gradient = matches!(name, AlgorithmName::Sgd | AlgorithmName::Gd);
        fill(
            &mut c.iterations,
            Count::literal(match name {
                AlgorithmName::Sgd => 20,
                AlgorithmName::Gd => 700,
                _ => 15,
            }),
        );
        fill(&mut c.tol, NonNegative::literal(if gradient { 0.0 } else { 1e-4 }));
        if gradient {
            fill(&mut c.learning_rate, Positive::literal(0.1));
        }
        if name == AlgorithmName::Gd {
            return c;
        }
        let lambda = NonNegative::literal(if implicit { 0.01 } else { 0.15 });
        fill(&mut c.regularization, Automatic::Value(lambda));
        fill(&mut c.reg_exponent, Exponent::literal(if implicit { 1.0 } else { 0.5 }));
        if !implicit && !c.no_biases && !c.nonnegative {
            fill(&mut c.bias_reg, NonNegative::literal(0.1));
        }
        if name == AlgorithmName::Sgd {
            fill(&mut c.schedule, ScheduleName::Adaptive);
            return c;
        }
        if c.nonnegative {
            (c.no_mean, c.no_biases) = (true, true);
        } else {
            fill(&mut c.solver, SolverName::Cholesky);
        }
        match c.solver {
            Some(SolverName::Cg) => fill(&mut c.cg_steps, Count::literal(3)),
            Some(SolverName::Subspace) => fill(&mut c.block, Count::literal(32)),
            _ => {}
        }
        if implicit {
            fill(&mut c.confidence, ConfidenceName::Unit);
            let unit = c.confidence == Some(ConfidenceName::Unit);
            fill(&mut c.unobserved_weight, NonNegative::literal(if unit { 0.1 } else { 1.0 }));
            if !unit {
                fill(&mut c.alpha, NonNegative::literal(1.0));
            }
            if c.confidence == Some(ConfidenceName::Log) {
                fill(&mut c.epsilon, NonNegative::literal(1.0));
            }
        }
        c
    }

    /// What `--patience` and tuning go by.
    #[must_use]
    pub fn criterion(&self) -> Criterion {
        self.criterion.unwrap_or_else(|| match self.algorithm {
            AlgorithmName::Ials => Criterion::Ranking(RankingMetric::literal("ndcg", 10)),
            _ => Criterion::Rmse,
        })
    }

    /// Whether the fit is to standardised ratings.
    pub(crate) fn standardises(&self) -> bool {
        let fits_raw = matches!(self.algorithm, AlgorithmName::Gd | AlgorithmName::Ials);
        !fits_raw && !self.resolved().no_mean
    }

    /// Memory per user and item that a fit takes beside the ratings, about: factors, the best ones with
    /// patience, and what the algorithm keeps of each row.
    pub(crate) fn bytes_per_row(&self) -> usize {
        let c = self.resolved();
        let rank = c.rank();
        let own = match (c.algorithm, c.inference) {
            (AlgorithmName::Bayes, Some(InferenceName::Vb)) => rank * (rank + 3) / 2,
            // Sums of samples before they are compressed.
            (AlgorithmName::Bayes, _) => 4 * rank,
            _ => 0,
        };
        4 * (3 * (rank.next_multiple_of(16) + 1) + own)
    }

    /// Memory per user and item that the state of a fit takes, about.
    pub(crate) fn state_bytes_per_row(&self) -> usize {
        let c = self.resolved();
        let rank = c.rank();
        let more = match (c.algorithm, c.inference) {
            (AlgorithmName::Bayes, Some(InferenceName::Vb)) => rank * (rank + 3) / 2,
            // Sums of samples and of biases.
            (AlgorithmName::Bayes, _) => 6 * rank + 4,
            (AlgorithmName::Sgd, _) => 2,
            _ => 0,
        };
        let best = if c.patience.is_some() { rank + 1 } else { 0 };
        4 * (rank + 1 + more + best)
    }

    /// Iterations that will be run at most.
    pub(crate) fn iterations(&self) -> u32 {
        let c = self.resolved();
        let sampling =
            c.burn_in.map_or(0, Natural::get).saturating_add(c.samples.map_or(0, Count::get));
        c.iterations.map_or(sampling, Count::get)
    }

    /// Entries of a vector.
    pub(crate) fn rank(&self) -> usize {
        self.resolved().factors.map_or(0, |k| k.get() as usize)
    }

    /// The regularisation with its overrides.
    pub(super) fn regularization(&self) -> Regularization {
        let c = self.resolved();
        let number = |given: Option<NonNegative>| given.map_or(0.0, NonNegative::get);
        let lambda = c.regularization.and_then(Automatic::value);
        Regularization {
            users: number(c.user_reg.or(lambda)),
            items: number(c.item_reg.or(lambda)),
            biases: number(c.bias_reg),
            exponent: c.reg_exponent.map_or(0.0, Exponent::get),
        }
    }

    /// The algorithm, running `iterations` instead of its own number where given, to the last.
    pub(super) fn algorithm(&self, iterations: Option<u32>) -> Box<dyn Algorithm> {
        let c = self.resolved();
        let number = |given: Option<NonNegative>| given.map_or(0.0, NonNegative::get);
        let count = |given: Option<Count>| given.map_or(1, Count::get);
        let tolerance = if iterations.is_some() { 0.0 } else { number(c.tol) };
        let iterations = iterations.unwrap_or(count(c.iterations));
        let regularization = self.regularization();
        let solver = c.solver_choice();
        let rate = c.learning_rate.map_or(0.1, Positive::get);
        match c.algorithm {
            AlgorithmName::Sgd => Box::new(Sgd {
                rank: c.rank(),
                epochs: iterations,
                tolerance,
                regularization,
                rate,
                schedule: match c.schedule {
                    Some(ScheduleName::Decay) => Schedule::Decay,
                    _ => Schedule::Adaptive,
                },
                biases: !c.no_biases,
                mean: !c.no_mean,
                seed: c.seed,
            }),
            AlgorithmName::Gd => {
                Box::new(Gd { rank: c.rank(), iterations, tolerance, rate, seed: c.seed })
            }
            AlgorithmName::Als => Box::new(Als { iterations, tolerance, ..c.als() }),
            AlgorithmName::Ials => Box::new(Ials {
                rank: c.rank(),
                iterations,
                tolerance,
                regularization: (regularization.users, regularization.items),
                exponent: regularization.exponent,
                confidence: self.confidence_form(),
                unobserved: number(c.unobserved_weight),
                solver,
                seed: c.seed,
            }),
            AlgorithmName::Bayes if c.inference == Some(InferenceName::Vb) => {
                Box::new(Variational {
                    rank: c.rank(),
                    iterations,
                    keep: c.keep_samples.map_or(0, Natural::get),
                    biases: !c.no_biases,
                    seed: c.seed,
                })
            }
            AlgorithmName::Bayes => Box::new(Bayes {
                rank: c.rank(),
                burn_in: c.burn_in.map_or(0, Natural::get),
                samples: count(c.samples),
                keep: c.keep_samples.map_or(0, Natural::get),
                biases: !c.no_biases,
                seed: c.seed,
            }),
        }
    }

    fn solver_choice(&self) -> SolverChoice {
        let c = self.resolved();
        let count = |given: Option<Count>| given.map_or(1, Count::get);
        match c.solver {
            None => SolverChoice::Nonnegative,
            Some(SolverName::Cholesky) => SolverChoice::Cholesky,
            Some(SolverName::Cg) => SolverChoice::ConjugateGradient { steps: count(c.cg_steps) },
            Some(SolverName::Subspace) => SolverChoice::Subspace { block: count(c.block) as usize },
        }
    }

    /// Alternating least squares as set.
    pub(super) fn als(&self) -> Als {
        let c = self.resolved();
        Als {
            rank: c.rank(),
            iterations: c.iterations.map_or(1, Count::get),
            tolerance: c.tol.map_or(0.0, NonNegative::get),
            regularization: c.regularization(),
            biases: !c.no_biases,
            mean: !c.no_mean,
            solver: c.solver_choice(),
            seed: c.seed,
        }
    }

    fn confidence_form(&self) -> Confidence {
        let c = self.resolved();
        let (alpha, epsilon) =
            (c.alpha.map_or(1.0, NonNegative::get), c.epsilon.map_or(1.0, NonNegative::get));
        match c.confidence.unwrap_or(ConfidenceName::Unit) {
            ConfidenceName::Unit => Confidence::Unit,
            ConfidenceName::Linear => Confidence::Linear { alpha },
            ConfidenceName::Log => Confidence::Log { alpha, epsilon },
            ConfidenceName::Raw => Confidence::Raw { alpha },
        }
    }

    /// The bias-only baseline: mean and biases, no factors.
    pub(super) fn bias_only(&self) -> Als {
        let c = self.resolved();
        Als {
            rank: 0,
            iterations: c.iterations.map_or(15, Count::get),
            tolerance: c.tol.map_or(1e-4, NonNegative::get),
            regularization: Regularization {
                users: 0.0,
                items: 0.0,
                biases: c.bias_reg.map_or(0.1, NonNegative::get),
                exponent: c.reg_exponent.map_or(0.5, Exponent::get),
            },
            biases: true,
            mean: true,
            solver: SolverChoice::Cholesky,
            seed: c.seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(algorithm: AlgorithmName) -> TrainConfig {
        TrainConfig { algorithm, ..TrainConfig::default() }
    }

    const ALL: [AlgorithmName; 3] = [AlgorithmName::Als, AlgorithmName::Ials, AlgorithmName::Bayes];

    #[test]
    fn every_name_builds_its_algorithm() {
        for name in ALL {
            assert!(named(name).check_algorithm().is_ok());
        }
        for name in [AlgorithmName::Als, AlgorithmName::Ials] {
            assert_eq!(named(name).algorithm(None).name(), name.name());
        }
        // Bayes goes by variational inference unless sampling is asked for.
        let bayes = named(AlgorithmName::Bayes);
        let sampling = TrainConfig { samples: Some(Count::literal(5)), ..bayes.clone() };
        assert_eq!(bayes.algorithm(None).name(), "variational");
        assert_eq!(sampling.algorithm(None).name(), "bayes");
    }

    #[test]
    fn defaults_are_those_of_the_help() {
        let als = named(AlgorithmName::Als).resolved();
        let ials = named(AlgorithmName::Ials).resolved();
        let text = |v: Option<NonNegative>| v.map(|v| v.to_string());
        assert_eq!(als.factors.map(Rank::get), Some(64));
        assert_eq!(als.iterations.map(Count::get), Some(15));
        assert_eq!(text(als.regularization.and_then(Automatic::value)).as_deref(), Some("0.15"));
        assert_eq!(als.reg_exponent.map(Exponent::get), Some(0.5));
        assert_eq!(text(als.bias_reg).as_deref(), Some("0.1"));
        assert_eq!(text(als.tol).as_deref(), Some("0.0001"));
        assert_eq!(als.load.duplicates, Some(Duplicates::Last));
        assert_eq!(text(ials.regularization.and_then(Automatic::value)).as_deref(), Some("0.01"));
        assert_eq!(ials.reg_exponent.map(Exponent::get), Some(1.0));
        assert_eq!(text(ials.unobserved_weight).as_deref(), Some("0.1"));
        assert_eq!((ials.bias_reg, ials.alpha), (None, None));
        assert_eq!(ials.load.duplicates, Some(Duplicates::Sum));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let als = named(AlgorithmName::Als);
        let ials = named(AlgorithmName::Ials);
        let bayes = named(AlgorithmName::Bayes);
        let one = Some(NonNegative::literal(1.0));
        let auto = Some(Automatic::Auto);
        for (bad, part) in [
            (TrainConfig { alpha: one, ..als.clone() }, "--algorithm ials"),
            (TrainConfig { confidence: Some(ConfidenceName::Log), ..als.clone() }, "ials"),
            (TrainConfig { no_biases: true, ..ials.clone() }, "--no-biases goes with"),
            (TrainConfig { factors: Some(Rank::literal(0)), ..ials.clone() }, "at least 1"),
            (TrainConfig { cg_steps: Some(Count::literal(3)), ..als.clone() }, "--solver cg"),
            (TrainConfig { block: Some(Count::literal(3)), ..als.clone() }, "subspace"),
            (TrainConfig { alpha: one, ..ials.clone() }, "--confidence linear"),
            (TrainConfig { epsilon: one, ..ials.clone() }, "--confidence log"),
            (
                TrainConfig {
                    epsilon: Some(NonNegative::literal(0.0)),
                    confidence: Some(ConfidenceName::Log),
                    ..ials.clone()
                },
                "above 0",
            ),
            (
                TrainConfig { nonnegative: true, solver: Some(SolverName::Cg), ..als.clone() },
                "--nonnegative",
            ),
            (TrainConfig { nonnegative: true, bias_reg: one, ..als.clone() }, "--bias-reg"),
            (
                TrainConfig { burn_in: Some(Natural::literal(3)), ..als.clone() },
                "--algorithm bayes",
            ),
            (TrainConfig { regularization: auto, ..bayes.clone() }, "als or ials or sgd"),
            (TrainConfig { regularization: auto, ..ials.clone() }, "--algorithm als"),
            (TrainConfig { regularization: auto, no_mean: true, ..als.clone() }, "--no-mean"),
            (TrainConfig { schedule: Some(ScheduleName::Decay), ..als }, "--algorithm sgd"),
            (
                TrainConfig {
                    keep_samples: Some(Natural::literal(151)),
                    inference: Some(InferenceName::Gibbs),
                    ..bayes
                },
                "--samples",
            ),
        ] {
            let message = bad.check_algorithm().map_err(|e| e.to_string());
            assert!(message.as_ref().is_err_and(|m| m.contains(part)), "{part}: {message:?}");
        }
    }
}
