//! The run before: what is compared with, where a fit begins, what vectors are turned to.

use std::sync::atomic::AtomicBool;

use super::RunConfig;
use super::config::WarmStart;
use super::directory::RunDirectory;
use super::inputs::identity;
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::model::Model;
use crate::param::Rank;
use crate::pipeline::{TrainConfig, recorded};
use crate::split::Split;
use crate::store::{
    HOLDOUT_RATINGS, MANIFEST, Manifest, RunEntry, TRAINING_RATINGS, read_measured, read_model,
    wrong_manifest,
};

/// A complete run and its model.
pub(super) struct Previous {
    pub entry: RunEntry,
    pub manifest: Manifest,
    /// The settings of its training.
    settings: TrainConfig,
    /// The factors that are published.
    pub model: Model,
    /// Those that were measured, where the published ones were fitted again with the holdout.
    pub measured: Option<Model>,
}

impl Previous {
    /// Reads a run. A copy of one in an object store that cannot be read is fetched again, once.
    pub(super) fn read(directory: &RunDirectory, id: &str, stop: &AtomicBool) -> Result<Self> {
        match Self::read_here(directory, id, stop) {
            Err(Error::Model { .. }) if directory.forget(id, stop)? => {
                Self::read_here(directory, id, stop)
            }
            other => other,
        }
        .map_err(|error| directory.named(error))
    }

    fn read_here(directory: &RunDirectory, id: &str, stop: &AtomicBool) -> Result<Self> {
        let path = directory.run(id);
        // Its exports and its ratings are not needed.
        let needed = |file: &str| {
            !file.starts_with("exports/") && ![TRAINING_RATINGS, HOLDOUT_RATINGS].contains(&file)
        };
        directory.fetch(id, &needed, stop)?;
        if let Some(message) = wrong_manifest(&path) {
            return Err(Error::Model { path: path.join(MANIFEST), message });
        }
        let (model, manifest) = read_model(&path)?;
        let measured = read_measured(&path, &manifest)?;
        let Some(entry) = manifest.run.clone() else {
            let message = "its manifest is of no run".to_owned();
            return Err(Error::Model { path, message });
        };
        let settings = recorded(&manifest)?;
        Ok(Self { entry, manifest, settings, model, measured })
    }

    /// The model that has not seen its holdout.
    pub(super) fn honest(&self) -> &Model {
        self.measured.as_ref().unwrap_or(&self.model)
    }

    /// Seconds that so many ratings would take by its measure, with the same algorithm and rank.
    pub(super) fn seconds(&self, settings: &TrainConfig, ratings: usize) -> Option<f64> {
        let Manifest { model, data, durations_s, .. } = &self.manifest;
        let same = model.algorithm == settings.algorithm_name().name()
            && settings.factors.is_none_or(|rank| rank.get() == model.k);
        let train = durations_s.get("train")?.as_f64()?;
        same.then(|| train * ratings as f64 / data.n_ratings.max(1) as f64)
    }

    /// The rank of its vectors, where the algorithm is the same: readers count on one width, so a rank that
    /// follows the density is chosen in the first run alone.
    pub(super) fn rank_to_keep(&self, settings: &TrainConfig) -> Option<Rank> {
        let Manifest { model, .. } = &self.manifest;
        let same = model.algorithm == settings.algorithm_name().name();
        same.then(|| Rank::new(model.k).ok()).flatten()
    }

    /// Why the model is of another kind than the settings ask for, where it is.
    pub(super) fn differs(
        &self,
        settings: &TrainConfig,
        (users, items): (&Ids, &Ids),
    ) -> Option<String> {
        let Manifest { model, data, .. } = &self.manifest;
        if model.algorithm != settings.algorithm_name().name() {
            let (now, then) = (settings.algorithm_name().name(), &model.algorithm);
            return Some(format!("the algorithm is {now} and was {then}"));
        }
        if let Some(rank) = settings.factors.map(Rank::get).filter(|&rank| rank != model.k) {
            return Some(format!("the rank is {rank} and was {}", model.k));
        }
        for (side, now, then) in [("user", users, &data.user_ids), ("item", items, &data.item_ids)]
        {
            if now.kind() != then {
                return Some(format!("the {side} ids are {} and were {then}", now.kind()));
            }
        }
        if self.settings.nonnegative != settings.nonnegative {
            return Some("one of the models is nonnegative".into());
        }
        if self.settings.standardises() != settings.standardises() {
            return Some("one of the models is fitted to raw ratings".into());
        }
        None
    }

    /// Why it may have been trained on ratings that are held out today, where it may.
    pub(super) fn leaks(&self, settings: &TrainConfig, tests: &[String]) -> Option<String> {
        let now = settings.split();
        if self.manifest.split.split != now {
            return Some("the holdout was chosen by another rule".into());
        }
        let stable = matches!(
            now,
            Split::Hash { .. } | Split::User { .. } | Split::Time { .. } | Split::None
        );
        if !stable {
            return Some(
                "this holdout is another one every night (--holdout hash, user or time stays)"
                    .into(),
            );
        }
        if checksums(&self.manifest).1 != tests.iter().map(String::as_str).collect::<Vec<_>>() {
            return Some("the test files have changed".into());
        }
        let rule = |of: &TrainConfig| (of.holdout_salt.clone(), of.test_ratio);
        let validation = |of: &TrainConfig| of.patience.map(|_| rule(of));
        if settings.patience.is_some() && validation(settings) != validation(&self.settings) {
            return Some("it was trained on today's validation part".into());
        }
        None
    }

    /// Whether a cold start is due.
    pub(super) fn cold_is_due(&self, config: &RunConfig) -> bool {
        let every = config.cold_every.get();
        every > 0 && self.entry.lineage.runs_since_cold + 1 >= every
    }

    /// Why variational inference cannot start from its distributions, where it cannot.
    fn lacks_distributions(&self, settings: &TrainConfig) -> Option<String> {
        if !settings.begins_at_distributions() {
            return None;
        }
        if settings.owns_covariances() {
            return Some("a fit with --covariance own always starts cold".into());
        }
        let known = self.honest().uncertainty.as_ref();
        if known.is_some_and(|known| known.biases == settings.no_biases) {
            return Some("one of the models has no biases".into());
        }
        let none =
            "the run before keeps no distributions to start from (--refit, --inference gibbs)";
        known.is_none().then(|| none.into())
    }

    /// Why a fit does not begin at this model, where it does not; `due` says whether a cold start is.
    pub(super) fn no_start(
        &self,
        config: &RunConfig,
        ids: (&Ids, &Ids),
        tests: &[String],
        due: bool,
    ) -> Option<String> {
        if config.warm_start == WarmStart::Off {
            return Some("--warm-start off".into());
        }
        if due {
            return Some(format!("one run in {} starts cold", config.cold_every));
        }
        let settings = &config.train;
        self.differs(settings, ids)
            .or_else(|| self.leaks(settings, tests))
            .or_else(|| self.lacks_distributions(settings))
    }
}

/// What identifies the files of a run: of ratings, and of test ratings.
pub(super) fn checksums(manifest: &Manifest) -> (Vec<&str>, Vec<&str>) {
    let of = |role: &str| {
        let inputs = manifest.inputs.iter().filter(|input| input.role == role);
        // One member of an archive is read, so that every file stands in the record once.
        inputs.map(identity).collect()
    };
    (of("ratings"), of("test"))
}
