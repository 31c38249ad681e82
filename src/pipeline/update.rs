//! New ratings for a stored model, without training it again: only the rows that they touch are solved,
//! each from its full history.
//!
//! ```text
//! touched users | items as they are → touched items | users so far → touched users | items so far
//! ```

mod change;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use change::Change;
use serde::Serialize;

use super::fold_in::{New, kept_ratings, merged, next_manifest, write};
use super::reading::LoadConfig;
use super::record::{recorded, replay_folded, solves_rows};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::job::{Observer, with_threads};
use crate::model::Model;
use crate::param::Threads;
use crate::store::{DirKind, OutDir, read_model};

/// What is added to a model, and where the new version goes.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct UpdateConfig {
    /// Model directory, or its URL (feature cloud); of a directory of runs in an object store, what is served.
    #[cfg_attr(feature = "cli", arg(value_name = "MODEL"))]
    pub model: PathBuf,
    /// Complete ratings of every user who has new ones; with --add the new ones alone.
    #[cfg_attr(feature = "cli", arg(value_name = "NEW_RATINGS", required = true))]
    pub input: Vec<String>,
    /// Directory of the new version of the model; with --force the model's own.
    #[cfg_attr(feature = "cli", arg(short = 'o', long, value_name = "DIR"))]
    pub output: PathBuf,
    /// Replace the model that --output names.
    #[cfg_attr(feature = "cli", arg(long))]
    pub force: bool,
    /// NEW_RATINGS holds only what is new: what was known of its users stays.
    #[cfg_attr(feature = "cli", arg(long))]
    pub add: bool,
    /// The ratings that the model was trained on, where they have moved.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub seen: Vec<String>,
    /// Threads; all cores by default. The result does not depend on it.
    #[cfg_attr(feature = "cli", arg(short = 'j', long, value_name = "N"))]
    pub threads: Option<Threads>,
    /// How the new ratings are read; as the training's where nothing is said.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub load: LoadConfig,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Updated {
    /// The new version.
    pub output: PathBuf,
    /// Its identity.
    pub model_version: String,
    /// Users solved, and those of them that the model did not have.
    pub users: usize,
    /// See `users`.
    pub new_users: usize,
    /// Items solved, and those of them that the model did not have.
    pub items: usize,
    /// See `items`.
    pub new_items: usize,
    /// Ratings that are new or other than before.
    pub changed_ratings: usize,
    /// Ratings left out because they are held out to measure the model.
    pub held_out: usize,
    /// Share of the ratings that changed since the training, all updates together.
    pub changed_share: f64,
    /// Why the model should be trained again, where it should.
    pub retrain: Option<String>,
    /// What a person should know although nothing failed.
    pub warnings: Vec<String>,
    /// Seconds: reading all ratings, solving, writing.
    pub durations_s: BTreeMap<&'static str, f64>,
}

/// Shares above which a model should be trained again: of ratings that changed, of items that are new.
const RETRAIN: (f64, f64) = (0.05, 0.1);

/// Solves the touched rows and writes the new version.
///
/// # Errors
/// [`Error::Usage`] for algorithms without exact solves, [`Error::Model`] where the training ratings are not
/// what they were, those of reading and writing.
pub fn update(
    config: &UpdateConfig,
    stop: &AtomicBool,
    observer: &Observer<'_>,
) -> Result<Updated> {
    let out = OutDir::create(&config.output, config.force, DirKind::Model)?.hold(stop)?;
    let (model, manifest) = read_model(&config.model)?;
    solves_rows((&model, &manifest), "update")?;
    with_threads(config.threads.map(|t| t.get() as usize), || {
        let settings = recorded(&manifest)?;
        let (since, mut warnings) = (Instant::now(), Vec::new());
        let change =
            Change::read(config, (&model, &manifest), &settings, (stop, observer), &mut warnings)?;
        let parse = since.elapsed().as_secs_f64();
        let since = Instant::now();
        let algorithm = &*settings.algorithm(None);
        let solve = |model: Model, new: &New, axis| {
            let solved = new.solved((&model, &manifest), algorithm, axis, stop)?;
            Ok::<Model, Error>(merged(model, new, &solved, axis))
        };
        let before = (model.users.ids.len(), model.items.ids.len());
        let users = |model: &Model| New::number(model, Axis::User, change.given(&change.users));
        let mut model = model;
        // Users who rated nothing that the model knows come after the items.
        match users(&model) {
            Ok(new) => model = solve(model, &new, Axis::User)?,
            Err(Error::NothingLeft { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut solved_items = 0;
        if !change.items.is_empty() {
            match New::number(&model, Axis::Item, change.given(&change.items)) {
                Ok(items) => {
                    solved_items = items.len();
                    model = solve(model, &items, Axis::Item)?;
                }
                // The last ratings of all of them are gone: their vectors stay.
                Err(Error::NothingLeft { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let new = users(&model)?;
        let model = solve(model, &new, Axis::User)?;
        let solving = since.elapsed().as_secs_f64();

        let since = Instant::now();
        let new_items = model.items.ids.len() - before.1;
        let new_users = model.users.ids.len() - before.0;
        let operation = if config.add { "update --add" } else { "update" };
        let (mut next, version) =
            next_manifest(Axis::User, &model, &manifest, &new, (operation, &mut warnings))?;
        if let Some(entry) = next.folded.last_mut() {
            (entry.added, entry.replaced) = (new_users, new.len() - new_users);
            (entry.items, entry.changed_ratings) = (solved_items, change.changed);
        }
        let changed: usize = next.folded.iter().map(|entry| entry.changed_ratings).sum();
        let earlier = replay_folded(Axis::User, (&config.model, &manifest), &settings, stop)?;
        let ratings = kept_ratings(Axis::User, &new, &model, earlier.as_ref());
        let changed_share = changed as f64 / manifest.data.n_ratings.max(1) as f64;
        let retrain = due(changed_share, (new_items, before.1));
        if change.changed == 0 {
            warnings.push("all of these ratings are known already: nothing has changed".into());
        }
        warnings.extend(retrain.clone());
        let of = (Axis::User, config.model.as_path());
        let output = write(of, out, (&model, &ratings), next, &version, stop)?;
        let writing = since.elapsed().as_secs_f64();
        Ok(Updated {
            output,
            model_version: version,
            users: new.len(),
            new_users,
            items: solved_items,
            new_items,
            changed_ratings: change.changed,
            held_out: change.held_out,
            changed_share,
            retrain,
            warnings,
            durations_s: BTreeMap::from([("parse", parse), ("solve", solving), ("write", writing)]),
        })
    })
}

/// Why a model should be trained again, where it should.
fn due(changed: f64, (new_items, items): (usize, usize)) -> Option<String> {
    let share = new_items as f64 / items.max(1) as f64;
    if changed > RETRAIN.0 {
        return Some(format!(
            "a full training is due: {:.1} % of the ratings changed since the last one, and rows that no \
             new rating touches are as they were",
            changed * 100.0
        ));
    }
    (share > RETRAIN.1).then(|| {
        format!("a full training is due: {new_items} items are new beside {items} of the training")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_is_due_when_much_has_changed() {
        assert!(due(0.01, (5, 100)).is_none());
        assert!(due(0.06, (0, 100)).is_some_and(|why| why.contains("6.0 % of the ratings")));
        assert!(due(0.0, (20, 100)).is_some_and(|why| why.contains("20 items are new")));
    }
}
