//! Measures a stored model on test ratings.

mod config;
mod predicted;
mod sources;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

pub use config::EvaluateConfig;
use predicted::Predicted;
pub use predicted::RatingMetrics;
use serde::Serialize;
use sources::Sources;

use super::TrainConfig;
use super::basis::Basis;
use super::dataset::fold_in_side;
use super::history::replace;
use super::measure::{Held, Ranked, RankingMetrics, Relevance};
use super::record::{Numbers, recorded, translate};
use super::report::{Baselines, Errors};
use super::segments::{Segment, Segments};
use crate::error::{Error, Result};
use crate::ids::{Axis, Ids};
use crate::job::{Observer, with_threads};
use crate::linalg::simd::Kernels;
use crate::metric::RatingErrors;
use crate::model::{Factors, Model, RankBy, Scorer};
use crate::ratings::{Cell, Ratings, Side};
use crate::store::{Manifest, read_measured, read_model};
use crate::train::{Algorithm, Problem, Start};

/// What a model is worth on some test ratings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Identity of the model.
    pub model_version: String,
    /// Name of its algorithm.
    pub algorithm: String,
    /// What the model's own holdout keeps from training; none for other test ratings.
    pub leaks: Option<String>,
    /// Test ratings that count.
    pub n_ratings: usize,
    /// Test ratings left out because the model was trained on them, chosen by them, or the user is folded in
    /// from them.
    pub in_training: usize,
    /// Test ratings left out because their users are not folded in, where others are.
    pub not_folded_in: usize,
    /// Errors; none where scores are no ratings.
    pub rating: Option<RatingMetrics>,
    /// Rankings of all items that a user has not rated in training.
    pub ranking: RankingMetrics,
    /// Simpler models on the same ratings.
    pub baselines: Baselines,
    /// By the number of training ratings of the user.
    pub by_user_activity: Vec<Segment>,
    /// By the number of training ratings of the item.
    pub by_item_popularity: Vec<Segment>,
    /// What a person should know although nothing failed.
    pub warnings: Vec<String>,
    /// What took how long.
    pub durations_s: EvaluationSeconds,
}

/// Seconds per stage of an evaluation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct EvaluationSeconds {
    /// Reading the model, the training and the test ratings.
    pub read: f64,
    /// Folding users in and ranking by the model's scores.
    pub ranking: f64,
    /// Ranking by popularity, errors and their baselines.
    pub rest: f64,
}

/// Measures a stored model.
///
/// # Errors
/// [`Error::Model`] for a damaged model, [`Error::Usage`] where the training ratings are not what they
/// were, those of reading.
pub fn evaluate(
    config: &EvaluateConfig,
    stop: &AtomicBool,
    observer: &Observer<'_>,
) -> Result<Evaluation> {
    if config.relevant_from.is_some_and(|from| !from.is_finite()) {
        return Err(Error::Usage("--relevant-from needs a number".into()));
    }
    let since = Instant::now();
    let (model, manifest) = read_model(&config.model)?;
    with_threads(config.threads.map(|t| t.get() as usize), || {
        let evaluator = Evaluator::new(config, model, &manifest, stop, observer)?;
        let read = since.elapsed().as_secs_f64();
        let mut evaluation = evaluator.run()?;
        evaluation.durations_s.read = read;
        Ok(evaluation)
    })
}

/// All cells in positions of the model; ids that it does not know come behind.
struct Evaluator<'a> {
    config: &'a EvaluateConfig,
    settings: TrainConfig,
    manifest: &'a Manifest,
    model: Model,
    training: Ratings,
    fold_in: Option<Side>,
    cells: Vec<Cell>,
    user_keys: Vec<u64>,
    looked_at: Option<Side>,
    left_out: LeftOut,
    warnings: Vec<String>,
    basis: Basis,
    kernels: Kernels,
    stop: &'a AtomicBool,
}

/// Test ratings that do not count.
#[derive(Debug, Clone, Copy, Default)]
struct LeftOut {
    /// The model was trained on them, or chosen by them, or the user is folded in from them.
    seen: usize,
    /// Ratings and users that are not folded in, where others are.
    not_folded_in: usize,
    users: usize,
}

impl LeftOut {
    /// Takes out of the cells, which are sorted, what was seen, and with `folding` the users without any.
    fn from(cells: &mut Vec<Cell>, seen: &Side, folding: bool) -> Self {
        let mut left_out = Self::default();
        let mut last = None;
        cells.retain(|cell| {
            let row = seen.row(cell.user as usize);
            if folding && row.is_empty() {
                left_out.not_folded_in += 1;
                left_out.users += usize::from(last != Some(cell.user));
                last = Some(cell.user);
                return false;
            }
            let known = row.indices.binary_search(&cell.item).is_ok();
            left_out.seen += usize::from(known);
            !known
        });
        left_out
    }
}

/// Why there are no test ratings.
fn nothing_to_measure(own_holdout: bool) -> Error {
    match own_holdout {
        true => Error::Usage("the model was trained without a holdout: give test ratings".into()),
        false => Error::NothingLeft {
            after:
                "ratings that the model has seen, and users that are not folded in, were left out"
                    .into(),
        },
    }
}

impl<'a> Evaluator<'a> {
    fn new(
        config: &'a EvaluateConfig,
        model: Model,
        manifest: &'a Manifest,
        stop: &'a AtomicBool,
        observer: &Observer<'_>,
    ) -> Result<Self> {
        let settings = recorded(manifest)?;
        let own_holdout = config.input.is_empty();
        let (mut model, measured) = match read_measured(&config.model, manifest)? {
            Some(measured) if own_holdout => (measured, true),
            _ => (model, false),
        };
        let Sources { mut fitted, mut looked_at, mut test, mut given, mut folded, warnings } =
            Sources::read(config, &settings, manifest, stop, observer)?;
        let (mut users, mut items) =
            (Numbers::new(&model.users.ids), Numbers::new(&model.items.ids));
        let all = [&mut fitted, &mut test, &mut given].into_iter().chain(&mut looked_at);
        for source in all.chain(folded.iter_mut().map(|(_, source)| source)) {
            let (of_users, of_items) = (users.of(&source.users), items.of(&source.items));
            source.cells = translate(&source.cells, &of_users, &of_items);
        }
        let (known_users, known_items) = (model.users.ids.len(), model.items.ids.len());
        let foreign = |c: &Cell| c.user as usize >= known_users || c.item as usize >= known_items;
        let mut folded_from = HashSet::new();
        // Factors that were fitted for measuring are as they were before anything was folded in.
        let folded = if measured { Vec::new() } else { folded };
        for (axis, mut source) in folded {
            source.cells.retain(|c| !foreign(c));
            replace(&mut fitted.cells, &source.cells, axis);
            if let Some(looked_at) = &mut looked_at {
                replace(&mut looked_at.cells, &source.cells, axis);
            }
            if own_holdout {
                folded_from.extend(source.cells.iter().map(|c| (c.user, c.item)));
            }
        }
        if fitted.cells.iter().any(foreign) {
            let message = "--seen holds users or items that the model was not trained on: give its training ratings";
            return Err(Error::Usage(message.into()));
        }
        let by_user =
            |cells: &[Cell], items| Ratings::from_sorted(users.len(), items, cells).by_user;
        let training = Ratings::from_sorted(users.len(), items.len(), &fitted.cells);
        let looked_at = looked_at.map(|source| by_user(&source.cells, items.len()));
        let mut basis = Basis::recorded(manifest);
        if measured {
            // The manifest speaks of the refitted factors; these are of the training cells.
            basis = Basis::of(&training, &settings);
            model.scale = basis.scale(&training, &model.scale);
        }
        // Solved against the model's items, of which there may be fewer than in the cells.
        given.cells.retain(|c| (c.item as usize) < known_items);
        let folding = !config.fold_in.is_empty() || !given.cells.is_empty();
        let fold_in = folding.then(|| by_user(&given.cells, known_items));
        let (mut cells, mut left_out) = (test.cells, LeftOut::default());
        if own_holdout {
            // What rows were folded in from may hold some of the holdout.
            let before = cells.len();
            cells.retain(|c| !folded_from.contains(&(c.user, c.item)));
            left_out.seen = before - cells.len();
        } else {
            let excluded = fold_in.as_ref().or(looked_at.as_ref()).unwrap_or(&training.by_user);
            left_out = LeftOut::from(&mut cells, excluded, fold_in.is_some());
        }
        if cells.is_empty() {
            return Err(nothing_to_measure(own_holdout));
        }
        let mut user_keys = model.users.ids.keys("user");
        let names = std::mem::take(&mut users.names);
        let unknown = Ids::Text(names.into_iter().map(String::into_boxed_str).collect());
        user_keys.extend(unknown.keys("user"));
        let kernels = Kernels::detect();
        Ok(Self {
            config,
            settings,
            manifest,
            model,
            training,
            fold_in,
            cells,
            user_keys,
            looked_at,
            left_out,
            warnings,
            basis,
            kernels,
            stop,
        })
    }

    fn run(&self) -> Result<Evaluation> {
        let since = Instant::now();
        let held = Held {
            ratings: &self.training,
            cells: &self.cells,
            fold_in: self.fold_in.as_ref(),
            looked_at: self.looked_at.as_ref(),
        };
        let algorithm = self.settings.algorithm(None);
        let folded = self.folded(&*algorithm)?;
        let factors = folded.as_ref().unwrap_or(&self.model.factors);
        let scorer = Scorer { factors, scale: self.model.scale };
        let relevance = Relevance {
            from: self.config.relevant_from,
            sample: self.config.sample_users.map(|n| (n.get() as usize, &self.user_keys[..])),
        };
        let ranked = Ranked::new(held, &relevance);
        let metrics = &self.config.metrics;
        let rank_by = RankBy::chosen(self.config.rank_by, self.model.scale.rates())?;
        let items = held.ranked_items(&factors.items, &self.model.scale, rank_by);
        let vectors = (&factors.users.vectors, items.as_ref().unwrap_or(&factors.items));
        let ranking = ranked.measure(vectors, metrics, self.kernels, self.stop)?;
        let ranked_in = since.elapsed().as_secs_f64();
        let popular = ranked.popular(metrics, self.kernels, self.stop)?;
        let mut baselines =
            Baselines { popularity: Some(ranked.summary(&popular)), ..Baselines::default() };
        let rates = self.model.scale.rates();
        let predicted = rates.then(|| Predicted::new(&held, &scorer, self.kernels));
        if rates {
            self.simple(&held, &mut baselines)?;
        }
        let segments = |axis| {
            let counts: Vec<usize> = match axis {
                Axis::User => (0..held.seen().rows()).map(|r| held.seen().count(r)).collect(),
                Axis::Item => {
                    (0..self.training.items()).map(|r| self.training.by_item.count(r)).collect()
                }
            };
            let mut segments = Segments::new(&counts);
            if let Some(predicted) = &predicted {
                for (cell, error) in self.cells.iter().zip(&predicted.errors) {
                    let row = if axis == Axis::User { cell.user } else { cell.item };
                    segments.add(row, *error);
                }
            } else {
                for cell in &self.cells {
                    segments.count(if axis == Axis::User { cell.user } else { cell.item });
                }
            }
            if axis == Axis::User {
                segments.rank(&ranked.judgements.rows, metrics, &ranking);
            }
            segments.finish()
        };
        let mut summary = ranked.summary(&ranking);
        summary.unknown_users += self.left_out.users;
        let mut warnings = self.warnings.clone();
        if summary.users == 0 {
            warnings
                .push("no known user has a relevant test rating: there is nothing to rank".into());
        }
        let rating = predicted.as_ref().map(|p| p.metrics(&held, &scorer, self.config.seed));
        if rating.is_some_and(|r| r.rmse_warm.is_none()) {
            warnings.push("no test rating is of a known user and a known item".into());
        }
        let measured = match self.manifest.model.refit {
            true => "; measured are the factors fitted without it",
            false => "",
        };
        let own_holdout = self.config.input.is_empty();
        Ok(Evaluation {
            model_version: self.manifest.model_version.clone(),
            algorithm: self.manifest.model.algorithm.clone(),
            leaks: own_holdout.then(|| format!("{}{measured}", self.manifest.split.leaks)),
            n_ratings: self.cells.len(),
            in_training: self.left_out.seen,
            not_folded_in: self.left_out.not_folded_in,
            rating,
            by_user_activity: segments(Axis::User),
            by_item_popularity: segments(Axis::Item),
            ranking: summary,
            baselines,
            warnings,
            durations_s: EvaluationSeconds {
                read: 0.0,
                ranking: ranked_in,
                rest: since.elapsed().as_secs_f64() - ranked_in,
            },
        })
    }

    /// The factors with the vectors of folded-in users, on the rating scale.
    fn folded(&self, algorithm: &dyn Algorithm) -> Result<Option<Factors>> {
        let Some(side) = &self.fold_in else { return Ok(None) };
        let stored = self.basis.stored(&self.model, self.stop);
        let users = stored.fold_in(algorithm, (Axis::User, side))?;
        Ok(Some(Factors { users, items: self.model.factors.items.clone() }))
    }

    /// The errors of the mean, and of mean and biases fitted to the training cells.
    fn simple(&self, held: &Held<'_>, baselines: &mut Baselines) -> Result<()> {
        let moments = self.training.moments();
        let bias_only = self.settings.bias_only();
        let problem = Problem {
            ratings: &self.training,
            moments: &moments,
            user_keys: &self.user_keys,
            item_keys: &vec![0; self.training.items()],
            start: Start::Random,
            stop: self.stop,
            kernels: self.kernels,
        };
        let fit = bias_only.fit(&problem, &mut |_| ControlFlow::Continue(()))?;
        let mut constant = RatingErrors::default();
        for cell in &self.cells {
            constant.push(f64::from(cell.value) - moments.mean);
        }
        baselines.global_mean = Errors::from(&constant);
        // What users are folded in from, over the items of the training cells.
        let widened = self.fold_in.as_ref().and_then(|side| {
            let rows = (0..side.rows()).flat_map(|user| {
                let row = side.row(user);
                let cell = move |p: usize| Cell {
                    user: user as u32,
                    item: row.indices[p],
                    value: row.values[p],
                    weight: row.weights.map_or(1.0, |w| w[p]),
                    time: 0,
                };
                (0..row.len()).map(cell)
            });
            fold_in_side(&rows.collect::<Vec<_>>(), &self.training)
        });
        let held = Held { fold_in: widened.as_ref(), ..*held };
        let folded =
            held.folded(&bias_only, (&fit.factors, fit.scale, None), self.kernels, self.stop)?;
        let factors = folded.as_ref().unwrap_or(&fit.factors);
        let errors = held.errors(&Scorer { factors, scale: fit.scale });
        baselines.bias_only = Errors::from(&errors.clipped);
        Ok(())
    }
}
