//! Updates a published model with new ratings, without a new training.
//!
//! Only the rows that the new ratings touch are solved, each from all of its ratings:
//!
//! 1. The touched users are solved against the items of the model.
//! 2. The touched items are solved against the new users.
//! 3. The touched users are solved again, against the new items.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::super::new_rows::{NewRows, kept_ratings, merged, next_version, write};
use super::change::Change;
use super::config::UpdateConfig;
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::job::{Job, with_threads};
use crate::model::Model;
use crate::pair::Pair;
use crate::replay::{Published, recorded, replay_folded, solves_rows};
use crate::store::{DirKind, Manifest, OutDir, read_model};
use crate::train::Algorithm;

/// The outcome of an update.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Updated {
    /// Directory of the new version.
    pub output: PathBuf,
    /// Identity of the new version.
    pub model_version: String,
    /// Number of solved users.
    pub users: usize,
    /// Number of solved users that the model did not have.
    pub new_users: usize,
    /// Number of solved items.
    pub items: usize,
    /// Number of solved items that the model did not have.
    pub new_items: usize,
    /// Number of ratings that are new, changed or removed.
    pub changed_ratings: usize,
    /// Number of ratings left out because they are held out to measure the model.
    pub held_out: usize,
    /// Ratings that changed since the training, in all updates together, as a share of the ratings
    /// of the training.
    pub changed_share: f64,
    /// Why the model should be trained again, if it should.
    pub retrain: Option<String>,
    /// Warnings; nothing failed.
    pub warnings: Vec<String>,
    /// Seconds per stage: reading all ratings, solving, writing.
    pub durations_s: BTreeMap<&'static str, f64>,
}

/// Share of changed ratings above which a model should be trained again.
const MOST_CHANGED: f64 = 0.05;

/// Share of new items above which a model should be trained again.
const MOST_NEW_ITEMS: f64 = 0.1;

/// Solves the touched rows and writes the new version.
///
/// # Errors
/// [`Error::Usage`] for algorithms without exact solves, [`Error::Model`] if the training ratings
/// have changed, and the errors of reading and writing.
pub fn update(config: &UpdateConfig, job: &Job<'_>) -> Result<Updated> {
    let out = OutDir::create(&config.output, config.force, DirKind::Model)?.hold(job.stop)?;
    let (model, manifest) = read_model(&config.model)?;
    solves_rows(&model, &manifest, "update")?;
    let published = Published { path: config.model.clone(), manifest };
    let manifest = &published.manifest;
    with_threads(config.threads, || {
        let plan = recorded(manifest)?;
        let (since, mut warnings) = (Instant::now(), Vec::new());
        let change = Change::read(config, &model, &published, &plan, job, &mut warnings)?;
        let parse = since.elapsed().as_secs_f64();
        let since = Instant::now();
        let before = Pair::new(model.users.ids.len(), model.items.ids.len());
        let Touched { model, users: new, solved_items } =
            solve(&change, model, manifest, &*plan.fit.algorithm(), job)?;
        let solving = since.elapsed().as_secs_f64();

        let since = Instant::now();
        let new_items = model.items.ids.len() - before.items;
        let new_users = model.users.ids.len() - before.users;
        let operation = if config.add { "update --add" } else { "update" };
        let mut next = next_version(&model, manifest, &new, operation, &mut warnings)?;
        if let Some(entry) = next.folded.last_mut() {
            (entry.added, entry.replaced) = (new_users, new.len() - new_users);
            (entry.items, entry.changed_ratings) = (solved_items, change.changed);
        }
        let changed: usize = next.folded.iter().map(|entry| entry.changed_ratings).sum();
        let earlier = replay_folded(Axis::User, &published, &plan, job)?;
        let ratings = kept_ratings(&new, &model, earlier.as_ref());
        let changed_share = changed as f64 / manifest.data.n_ratings.max(1) as f64;
        let retrain = due(changed_share, new_items, before.items);
        if change.changed == 0 {
            warnings.push("all of these ratings are known already: nothing has changed".into());
        }
        warnings.extend(retrain.clone());
        let model_version = next.model_version.clone();
        let output = write(&published, out, &model, Axis::User, &ratings, next, job)?;
        let writing = since.elapsed().as_secs_f64();
        Ok(Updated {
            output,
            model_version,
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

/// A model whose touched rows are solved.
struct Touched {
    model: Model,
    /// The users solved in the last step.
    users: NewRows,
    solved_items: usize,
}

/// Solves the touched users, then the touched items, then the users again.
fn solve(
    change: &Change,
    mut model: Model,
    manifest: &Manifest,
    algorithm: &dyn Algorithm,
    job: &Job<'_>,
) -> Result<Touched> {
    let step = |model: Model, new: &NewRows| {
        let solved = new.solved(&model, manifest, algorithm, job)?;
        Ok::<Model, Error>(merged(model, new, &solved))
    };
    let users =
        |model: &Model| NewRows::number(model, Axis::User, change.ratings_of(&change.users));
    // Users who rated only unknown items are solved after the items.
    match users(&model) {
        Ok(new) => model = step(model, &new)?,
        Err(Error::NothingLeft { .. }) => {}
        Err(error) => return Err(error),
    }
    let mut solved_items = 0;
    if !change.items.is_empty() {
        match NewRows::number(&model, Axis::Item, change.ratings_of(&change.items)) {
            Ok(items) => {
                solved_items = items.len();
                model = step(model, &items)?;
            }
            // None of these items has a rating left. Their vectors stay as they are.
            Err(Error::NothingLeft { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let users = users(&model)?;
    let model = step(model, &users)?;
    Ok(Touched { model, users, solved_items })
}

/// Returns the reason why a model should be trained again, if it should.
fn due(changed: f64, new_items: usize, items: usize) -> Option<String> {
    let share = new_items as f64 / items.max(1) as f64;
    if changed > MOST_CHANGED {
        return Some(format!(
            "a full training is due: {:.1} % of the ratings changed since the last training, but \
             rows without new ratings were not solved again",
            changed * 100.0
        ));
    }
    (share > MOST_NEW_ITEMS).then(|| {
        format!("a full training is due: {new_items} items are new (the model had {items})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_is_due_when_much_has_changed() {
        assert!(due(0.01, 5, 100).is_none());
        assert!(due(0.06, 0, 100).is_some_and(|why| why.contains("6.0 % of the ratings")));
        assert!(due(0.0, 20, 100).is_some_and(|why| why.contains("20 items are new")));
    }
}
