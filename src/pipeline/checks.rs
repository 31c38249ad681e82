//! Which settings go with which algorithm, and with each other.

use super::names::{AlgorithmName, ConfidenceName, InferenceName, SolverName};
use super::{Criterion, Holdout, TrainConfig};
use crate::error::{Error, Result};
use crate::param::{Automatic, Count, Natural, Rank};

impl TrainConfig {
    /// Checks that what was given goes with the algorithm.
    fn check_flags(&self) -> Result<()> {
        use AlgorithmName::{Als, Bayes, Gd, Ials, Sgd};
        let given: [(&str, bool, &[AlgorithmName]); 26] = [
            ("--iterations", self.iterations.is_some(), &[Als, Ials, Bayes, Sgd, Gd]),
            ("--regularization", self.regularization.is_some(), &[Als, Ials, Sgd]),
            ("--reg-exponent", self.reg_exponent.is_some(), &[Als, Ials, Sgd]),
            ("--bias-reg", self.bias_reg.is_some(), &[Als, Sgd]),
            ("--bias-damping", self.bias_damping.is_some(), &[Als, Sgd]),
            ("--positive-from", self.positive_from.is_some(), &[Ials]),
            ("--user-reg", self.user_reg.is_some(), &[Als, Ials, Sgd]),
            ("--item-reg", self.item_reg.is_some(), &[Als, Ials, Sgd]),
            ("--no-biases", self.no_biases, &[Als, Bayes, Sgd]),
            ("--no-mean", self.no_mean, &[Als, Sgd]),
            ("--solver", self.solver.is_some(), &[Als, Ials]),
            ("--tol", self.tol.is_some(), &[Als, Ials, Bayes, Sgd, Gd]),
            ("--patience", self.patience.is_some(), &[Als, Ials, Sgd, Gd]),
            ("--holdout user", self.holdout == Holdout::User, &[Als, Ials, Bayes]),
            ("--nonnegative", self.nonnegative, &[Als, Ials]),
            ("--learning-rate", self.learning_rate.is_some(), &[Sgd, Gd]),
            ("--schedule", self.schedule.is_some(), &[Sgd]),
            ("--confidence", self.confidence.is_some(), &[Ials]),
            ("--alpha", self.alpha.is_some(), &[Ials]),
            ("--epsilon", self.epsilon.is_some(), &[Ials]),
            ("--unobserved-weight", self.unobserved_weight.is_some(), &[Ials]),
            ("--inference", self.inference.is_some(), &[Bayes]),
            ("--covariance", self.covariance.is_some(), &[Bayes]),
            ("--burn-in", self.burn_in.is_some(), &[Bayes]),
            ("--samples", self.samples.is_some(), &[Bayes]),
            ("--keep-samples", self.keep_samples.is_some(), &[Bayes]),
        ];
        let foreign = given
            .iter()
            .find(|(_, given, known)| *given && !known.contains(&self.algorithm_name()));
        if let Some((flag, _, algorithms)) = foreign {
            let names: Vec<&str> = algorithms.iter().map(|a| a.name()).collect();
            let names = names.join(" or ");
            return Err(Error::Usage(format!("{flag} goes with --algorithm {names}")));
        }
        Ok(())
    }

    /// Checks that what was given goes with the algorithm, and with each other.
    pub(super) fn check_algorithm(&self) -> Result<()> {
        use AlgorithmName::{Als, Ials, Sgd};
        let wrong = |message: String| Err(Error::Usage(message));
        self.check_flags()?;
        if self.positive_from.is_some_and(|from| !from.is_finite() || from < 0.0) {
            return wrong("--positive-from needs a rating of 0 or more".into());
        }
        if self.algorithm_name() == Ials && self.criterion == Some(Criterion::Rmse) {
            return wrong(
                "--criterion rmse: the scores of ials are preferences, not ratings; use ndcg@10"
                    .into(),
            );
        }
        if self.regularization == Some(Automatic::Auto) {
            let fixed = [
                ("--user-reg", self.user_reg.is_some()),
                ("--item-reg", self.item_reg.is_some()),
                ("--no-mean", self.no_mean),
                ("--nonnegative", self.nonnegative),
                ("--factors 0", self.factors.map(Rank::get) == Some(0)),
            ];
            if let Some((flag, _)) = fixed.iter().find(|(_, given)| *given) {
                return wrong(format!("--regularization auto does not go with {flag}"));
            }
        }
        let c = self.resolved();
        let (burn_in, samples) =
            (c.burn_in.map_or(0, Natural::get), c.samples.map_or(0, Count::get));
        let variational = c.inference == Some(InferenceName::Vb);
        if variational && (self.burn_in.is_some() || self.samples.is_some()) {
            return wrong(
                "--burn-in and --samples go with --inference gibbs; vb has --iterations".into(),
            );
        }
        if self.algorithm_name() == AlgorithmName::Bayes
            && !variational
            && self.iterations.is_some()
        {
            return wrong(
                "--iterations goes with --inference vb; gibbs has --burn-in and --samples".into(),
            );
        }
        if !variational && self.keep_samples.map_or(0, Natural::get) > samples {
            return wrong("--keep-samples cannot be more than --samples".into());
        }
        if self.keep_samples.map(Natural::get) == Some(1) {
            return wrong("--keep-samples 1 has no spread; keep 2 or more, better 20".into());
        }
        if burn_in.checked_add(samples).is_none() {
            return wrong("--burn-in and --samples are too many together".into());
        }
        let rank = self.factors.map(Rank::get);
        if rank == Some(0) && !matches!(self.algorithm_name(), Als | Sgd) {
            return wrong(format!(
                "--algorithm {} needs --factors of at least 1",
                self.algorithm_name().name()
            ));
        }
        if rank == Some(0) && (self.no_biases || self.nonnegative) {
            let flag = if self.nonnegative { "--nonnegative" } else { "--no-biases" };
            return wrong(format!(
                "--factors 0 fits biases alone, so {flag} leaves nothing to fit"
            ));
        }
        if self.nonnegative && self.solver.is_some() {
            return wrong(
                "--nonnegative solves rows in its own way, so --solver does not go with it".into(),
            );
        }
        let biases = [
            ("--bias-reg", self.bias_reg.is_some()),
            ("--bias-damping", self.bias_damping.is_some()),
        ];
        if let Some((flag, _)) = biases.iter().find(|(_, given)| *given && self.nonnegative) {
            return wrong(format!("--nonnegative fits no biases, so {flag} does not go with it"));
        }
        if self.cg_steps.is_some() && self.solver != Some(SolverName::Cg) {
            return wrong("--cg-steps goes with --solver cg".into());
        }
        if self.block.is_some() && self.solver != Some(SolverName::Subspace) {
            return wrong("--block goes with --solver subspace".into());
        }
        let confidence = c.confidence.unwrap_or(ConfidenceName::Unit);
        if self.alpha.is_some() && confidence == ConfidenceName::Unit {
            return wrong("--alpha goes with --confidence linear, log or raw".into());
        }
        if self.alpha.is_some_and(|a| a.get() == 0.0) {
            return wrong("--alpha 0 leaves nothing of the counts; use --confidence unit".into());
        }
        if self.epsilon.is_some() && confidence != ConfidenceName::Log {
            return wrong("--epsilon goes with --confidence log".into());
        }
        if self.epsilon.is_some_and(|e| e.get() == 0.0) {
            return wrong("--epsilon divides the counts, so it must be above 0".into());
        }
        Ok(())
    }
}
