//! The earlier run: a fit starts from it, and its model is compared and aligned with the new one.

use super::choices::WarmStart;
use super::config::RunConfig;
use super::directory::RunDirectory;
use super::inputs::{Checksums, identity};
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::job::Job;
use crate::model::Model;
use crate::pair::{Axis, Pair};
use crate::param::Rank;
use crate::replay::recorded;
use crate::settings::Plan;
use crate::split::Split;
use crate::store::{
    HOLDOUT_RATINGS, MANIFEST, Manifest, RunEntry, TRAINING_RATINGS, read_measured, read_model,
    wrong_manifest,
};
use crate::training::Dataset;

/// An earlier, complete run and its model.
pub(super) struct Previous {
    pub entry: RunEntry,
    pub manifest: Manifest,
    /// The plan of the training of the run.
    plan: Plan,
    /// The published model.
    pub model: Model,
    /// The model that was measured, if the published one was refitted with the holdout.
    pub measured: Option<Model>,
}

impl Previous {
    /// Reads a run. If the local copy of a run in an object store cannot be read, it is fetched
    /// again once.
    pub(super) fn read(directory: &RunDirectory, id: &str, job: &Job<'_>) -> Result<Self> {
        match Self::read_here(directory, id, job) {
            Err(Error::Model { .. }) if directory.forget(id, job)? => {
                Self::read_here(directory, id, job)
            }
            other => other,
        }
        .map_err(|error| directory.named(error))
    }

    fn read_here(directory: &RunDirectory, id: &str, job: &Job<'_>) -> Result<Self> {
        let path = directory.run(id);
        // The exports and the prepared ratings are not needed.
        let needed = |file: &str| {
            !file.starts_with("exports/") && ![TRAINING_RATINGS, HOLDOUT_RATINGS].contains(&file)
        };
        directory.fetch(id, &needed, job)?;
        if let Some(message) = wrong_manifest(&path) {
            return Err(Error::Model { path: path.join(MANIFEST), message });
        }
        let (model, manifest) = read_model(&path)?;
        let measured = read_measured(&path, &manifest)?;
        let Some(entry) = manifest.run.clone() else {
            let message = "its manifest does not describe a run".to_owned();
            return Err(Error::Model { path, message });
        };
        let plan = recorded(&manifest)?;
        Ok(Self { entry, manifest, plan, model, measured })
    }

    /// The model that was fitted without its holdout.
    pub(super) fn fitted_without_holdout(&self) -> &Model {
        self.measured.as_ref().unwrap_or(&self.model)
    }

    /// Estimated seconds to train on `ratings` ratings, in proportion to this run. `None` if the
    /// algorithm or the rank differs.
    pub(super) fn seconds(&self, plan: &Plan, ratings: usize) -> Option<f64> {
        let Manifest { model, data, durations_s, .. } = &self.manifest;
        let same = model.algorithm == plan.algorithm.name()
            && plan.record.factors.is_none_or(|rank| rank.get() == model.k);
        let train = durations_s.get("train")?.as_f64()?;
        same.then(|| train * ratings as f64 / data.n_ratings.max(1) as f64)
    }

    /// The rank of the vectors, if the algorithm is the same.
    ///
    /// Readers rely on a constant rank. A rank that depends on the density of the ratings is
    /// therefore chosen in the first run only.
    pub(super) fn rank_to_keep(&self, plan: &Plan) -> Option<Rank> {
        let Manifest { model, .. } = &self.manifest;
        let same = model.algorithm == plan.algorithm.name();
        same.then(|| Rank::new(model.k).ok()).flatten()
    }

    /// Why the model does not match the settings, if it does not.
    pub(super) fn differs(&self, plan: &Plan, ids: Pair<&Ids>) -> Option<String> {
        let Manifest { model, data, .. } = &self.manifest;
        let (now, then) = (plan.algorithm.name(), &model.algorithm);
        if now != then {
            return Some(format!("the algorithm is {now} and was {then}"));
        }
        if let Some(rank) = plan.record.factors.map(Rank::get).filter(|&rank| rank != model.k) {
            return Some(format!("the rank is {rank} and was {}", model.k));
        }
        let kinds = Pair::new(&data.user_ids, &data.item_ids);
        for axis in Axis::BOTH {
            let (side, now, then) = (axis.name(), ids.of(axis).kind(), *kinds.of(axis));
            if now != then {
                return Some(format!("the {side} ids are {now} and were {then}"));
            }
        }
        let (now, then) = (plan.facts(), self.plan.facts());
        if then.nonnegative != now.nonnegative {
            return Some("one of the models is nonnegative".into());
        }
        if then.standardises != now.standardises {
            return Some("one of the models is fitted to raw ratings".into());
        }
        None
    }

    /// Why the model may have been trained on ratings that are held out today, if it may.
    pub(super) fn leaks(&self, plan: &Plan, tests: &[String]) -> Option<String> {
        let now = plan.reading.split.clone();
        if self.manifest.split.split != now {
            return Some("the holdout was chosen by another rule".into());
        }
        let stable = matches!(
            now,
            Split::Hash { .. } | Split::User { .. } | Split::Time { .. } | Split::None
        );
        if !stable {
            return Some(
                "this holdout changes every night (--holdout hash, user or time does not)".into(),
            );
        }
        if checksums(&self.manifest).tests != tests.iter().map(String::as_str).collect::<Vec<_>>() {
            return Some("the test files have changed".into());
        }
        let validation = |of: &Plan| of.watch.patience.map(|_| of.watch.validation.clone());
        if plan.watch.patience.is_some() && validation(plan) != validation(&self.plan) {
            return Some("the earlier model may have seen today's validation ratings".into());
        }
        None
    }

    /// Whether a cold start is due.
    pub(super) fn cold_is_due(&self, config: &RunConfig) -> bool {
        let every = config.cold_every.get();
        every > 0 && self.entry.lineage.runs_since_cold + 1 >= every
    }

    /// Why variational inference cannot start from the posterior of the model, if it cannot.
    fn lacks_distributions(&self, plan: &Plan) -> Option<String> {
        let facts = plan.facts();
        if !facts.starts_from_posterior {
            return None;
        }
        if facts.owns_covariances {
            return Some("a fit with --covariance own always starts cold".into());
        }
        let known = self.fitted_without_holdout().uncertainty.as_ref();
        if known.is_some_and(|known| known.biases != facts.biases) {
            return Some("one of the models has no biases".into());
        }
        let none = "the earlier run keeps no posterior to start from (--refit, --inference gibbs)";
        known.is_none().then(|| none.into())
    }

    /// Counts the users and items with training ratings that this run did not have.
    pub(super) fn new_rows(&self, data: &Dataset) -> Pair<NewRows> {
        let mut trained =
            Pair::new(&data.ids.users, &data.ids.items).map(|ids| vec![false; ids.len()]);
        for cell in &data.parts.training {
            trained.users[cell.user as usize] = true;
            trained.items[cell.item as usize] = true;
        }
        let before = Pair::new(&self.model.users.ids, &self.model.items.ids);
        (*data.ids).as_ref().zip(before).zip(trained.as_ref()).map(|((ids, before), trained)| {
            let known = ids.rows_among(before);
            let rows = known.iter().zip(trained);
            NewRows {
                new: rows.filter(|(row, trained)| **trained && row.is_none()).count(),
                all: trained.iter().filter(|trained| **trained).count(),
            }
        })
    }

    /// Why a fit does not start from this model, if it does not. `due` says whether a scheduled
    /// cold start is due.
    pub(super) fn no_start(
        &self,
        config: &RunConfig,
        plan: &Plan,
        ids: Pair<&Ids>,
        tests: &[String],
        due: bool,
    ) -> Option<String> {
        if config.warm_start == WarmStart::Off {
            return Some("--warm-start off".into());
        }
        if due {
            return Some(format!("one run in {} starts cold", config.cold_every));
        }
        self.differs(plan, ids)
            .or_else(|| self.leaks(plan, tests))
            .or_else(|| self.lacks_distributions(plan))
    }
}

/// Numbers of users or items with training ratings.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewRows {
    /// Those that the earlier run did not have.
    pub new: usize,
    /// All of them.
    pub all: usize,
}

impl NewRows {
    /// The share that is new.
    pub(super) fn share(&self) -> f64 {
        self.new as f64 / self.all.max(1) as f64
    }
}

/// The checksums of the input files of a run.
pub(super) fn checksums(manifest: &Manifest) -> Checksums<&str> {
    let of = |role: &str| {
        let inputs = manifest.inputs.iter().filter(|input| input.role == role);
        // Only one member of an archive is read, so every file has one entry.
        inputs.map(identity).collect()
    };
    Checksums { ratings: of("ratings"), tests: of("test") }
}
