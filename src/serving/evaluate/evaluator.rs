//! Measures a published model on test ratings.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Instant;

use serde::Serialize;

use super::config::EvaluateConfig;
use super::predicted::{Predicted, RatingMetrics};
use super::sources::Sources;
use crate::error::{Error, Result};
use crate::ids::{Axis, Ids};
use crate::job::{Job, with_threads};
use crate::metric::RatingErrors;
use crate::model::{Factors, Model, RankBy, Scorer};
use crate::pair::Pair;
use crate::ratings::{Cell, Ratings, Side};
use crate::replay::{Encoding, Numbers, Published, recorded, replace, translate};
use crate::settings::Plan;
use crate::store::{read_measured, read_model};
use crate::train::{Algorithm, Problem, Start};
use crate::training::{
    Baselines, Estimates, HeldOut, Ranked, RankingMetrics, Relevance, Segment, Segments, Vectors,
    fold_in_side,
};

/// The metrics of a model on test ratings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Identity of the model.
    pub model_version: String,
    /// Name of its algorithm.
    pub algorithm: String,
    /// What the training could know of the model's own holdout; `None` for other test ratings.
    pub leaks: Option<String>,
    /// Number of measured test ratings.
    pub n_ratings: usize,
    /// Number of test ratings left out because the model was trained on them or chosen by them, or
    /// because their user is folded in from them.
    pub in_training: usize,
    /// Number of test ratings left out because other users are folded in, but theirs are not.
    pub not_folded_in: usize,
    /// Errors of the predictions; `None` if scores are not ratings.
    pub rating: Option<RatingMetrics>,
    /// Ranking metrics over all items that a user has not rated in training.
    pub ranking: RankingMetrics,
    /// Metrics of simpler models on the same ratings.
    pub baselines: Baselines,
    /// Metrics by the number of training ratings of the user.
    pub by_user_activity: Vec<Segment>,
    /// Errors by the number of training ratings of the item.
    pub by_item_popularity: Vec<Segment>,
    /// Warnings; nothing failed.
    pub warnings: Vec<String>,
    /// Seconds per stage.
    pub durations_s: EvaluationSeconds,
}

/// Seconds per stage of an evaluation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct EvaluationSeconds {
    /// Reading the model, the training and the test ratings.
    pub read: f64,
    /// Folding users in and ranking by the model's scores.
    pub ranking: f64,
    /// Ranking by popularity, measuring errors and baselines.
    pub rest: f64,
}

/// Measures a published model.
///
/// # Errors
/// [`Error::Model`] for a damaged model, [`Error::Usage`] if the training ratings have changed, and
/// the errors of reading.
pub fn evaluate(config: &EvaluateConfig, job: &Job<'_>) -> Result<Evaluation> {
    if config.relevant_from.is_some_and(|from| !from.is_finite()) {
        return Err(Error::Usage("--relevant-from needs a number".into()));
    }
    let since = Instant::now();
    let (model, manifest) = read_model(&config.model)?;
    let published = Published { path: config.model.clone(), manifest };
    with_threads(config.threads, || {
        let evaluator = Evaluator::new(config, model, &published, job)?;
        let read = since.elapsed().as_secs_f64();
        let mut evaluation = evaluator.run()?;
        evaluation.durations_s.read = read;
        Ok(evaluation)
    })
}

/// A model and the ratings that it is measured on.
///
/// The cells hold positions of the model's users and items. Unknown users and items follow after
/// the known ones.
struct Evaluator<'a> {
    config: &'a EvaluateConfig,
    published: &'a Published,
    plan: Plan,
    model: Model,
    encoding: Encoding,
    training: Ratings,
    /// The ratings that users are folded in from.
    fold_in: Option<Side>,
    /// Cells that are never ranked, if they are more than the training cells.
    excluded: Option<Side>,
    cells: Vec<Cell>,
    user_keys: Vec<u64>,
    left_out: LeftOut,
    warnings: Vec<String>,
    job: Job<'a>,
}

/// Numbers of test ratings and users that are left out.
#[derive(Debug, Clone, Copy, Default)]
struct LeftOut {
    /// Ratings that the model was trained on or chosen by, or that their user is folded in from.
    seen: usize,
    /// Ratings of users who are not folded in although others are; `users` counts these users.
    not_folded_in: usize,
    users: usize,
}

impl LeftOut {
    /// Removes the seen cells from sorted cells. With `folding`, removes users without seen cells
    /// as well.
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

/// Returns the error for an evaluation without test ratings.
fn nothing_to_measure(own_holdout: bool) -> Error {
    match own_holdout {
        true => Error::Usage("the model was trained without a holdout: give test ratings".into()),
        false => Error::NothingLeft {
            after: "leaving out ratings that the model has seen and users who are not folded in"
                .into(),
        },
    }
}

impl<'a> Evaluator<'a> {
    fn new(
        config: &'a EvaluateConfig,
        model: Model,
        published: &'a Published,
        job: &Job<'a>,
    ) -> Result<Self> {
        let manifest = &published.manifest;
        let plan = recorded(manifest)?;
        let own_holdout = config.input.is_empty();
        let (mut model, measured) = match read_measured(&config.model, manifest)? {
            Some(measured) if own_holdout => (measured, true),
            _ => (model, false),
        };
        let sources = Sources::read(config, &plan, published, job)?;
        let Sources { mut fitted, mut excluded, mut test, mut fold_in, mut folded, warnings } =
            sources;
        let (mut users, mut items) =
            (Numbers::new(&model.users.ids), Numbers::new(&model.items.ids));
        let all = [&mut fitted, &mut test, &mut fold_in].into_iter().chain(&mut excluded);
        for source in all.chain(folded.iter_mut().map(|(_, source)| source)) {
            let numbers = Pair::new(users.of(&source.ids.users), items.of(&source.ids.items));
            source.cells = translate(&source.cells, &numbers);
        }
        let (known_users, known_items) = (model.users.ids.len(), model.items.ids.len());
        let foreign = |c: &Cell| c.user as usize >= known_users || c.item as usize >= known_items;
        let mut folded_from = HashSet::new();
        // The measured factors were fitted before anything was folded in.
        let folded = if measured { Vec::new() } else { folded };
        for (axis, mut source) in folded {
            source.cells.retain(|c| !foreign(c));
            replace(&mut fitted.cells, &source.cells, axis);
            if let Some(excluded) = &mut excluded {
                replace(&mut excluded.cells, &source.cells, axis);
            }
            if own_holdout {
                folded_from.extend(source.cells.iter().map(|c| (c.user, c.item)));
            }
        }
        if fitted.cells.iter().any(foreign) {
            let message = "--seen holds users or items that the model was not trained on; pass its \
                           training ratings";
            return Err(Error::Usage(message.into()));
        }
        let by_user =
            |cells: &[Cell], items| Ratings::from_sorted(users.len(), items, cells).by_user;
        let training = Ratings::from_sorted(users.len(), items.len(), &fitted.cells);
        let excluded = excluded.map(|source| by_user(&source.cells, items.len()));
        let mut encoding = Encoding::recorded(manifest);
        if measured {
            // The manifest describes the refitted factors. The measured factors belong to the
            // training cells.
            encoding = Encoding::of(&training, &plan);
            model.scale = encoding.scale(&training, &model.scale);
        }
        // Users are solved against the model's items. The cells may have more items.
        fold_in.cells.retain(|c| (c.item as usize) < known_items);
        let folding = !config.fold_in.is_empty() || !fold_in.cells.is_empty();
        let fold_in = folding.then(|| by_user(&fold_in.cells, known_items));
        let (mut cells, mut left_out) = (test.cells, LeftOut::default());
        if own_holdout {
            // The ratings that rows were folded in from may include held-out ratings.
            let before = cells.len();
            cells.retain(|c| !folded_from.contains(&(c.user, c.item)));
            left_out.seen = before - cells.len();
        } else {
            let seen = fold_in.as_ref().or(excluded.as_ref()).unwrap_or(&training.by_user);
            left_out = LeftOut::from(&mut cells, seen, fold_in.is_some());
        }
        if cells.is_empty() {
            return Err(nothing_to_measure(own_holdout));
        }
        let mut user_keys = model.users.ids.keys("user");
        let names = std::mem::take(&mut users.names);
        let unknown = Ids::Text(names.into_iter().map(String::into_boxed_str).collect());
        user_keys.extend(unknown.keys("user"));
        Ok(Self {
            config,
            published,
            plan,
            model,
            encoding,
            training,
            fold_in,
            excluded,
            cells,
            user_keys,
            left_out,
            warnings,
            job: *job,
        })
    }

    fn run(&self) -> Result<Evaluation> {
        let since = Instant::now();
        let held = HeldOut {
            ratings: &self.training,
            cells: &self.cells,
            fold_in: self.fold_in.as_ref(),
            excluded: self.excluded.as_ref(),
        };
        let algorithm = self.plan.fit.algorithm();
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
        let items = items.as_ref().unwrap_or(&factors.items);
        let vectors = Vectors { users: &factors.users.vectors, items };
        let ranking = ranked.measure(vectors, metrics, &self.job)?;
        let ranked_in = since.elapsed().as_secs_f64();
        let popular = ranked.popular(metrics, &self.job)?;
        let mut baselines =
            Baselines { popularity: Some(ranked.summary(&popular)), ..Baselines::default() };
        let rates = self.model.scale.rates();
        let predicted = rates.then(|| Predicted::new(&held, &scorer, self.job.kernels));
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
            warnings.push("no test rating has both a known user and a known item".into());
        }
        let measured = match self.published.manifest.model.refit {
            true => "; the measured factors were fitted without it",
            false => "",
        };
        let own_holdout = self.config.input.is_empty();
        Ok(Evaluation {
            model_version: self.published.manifest.model_version.clone(),
            algorithm: self.published.manifest.model.algorithm.clone(),
            leaks: own_holdout
                .then(|| format!("{}{measured}", self.published.manifest.split.leaks)),
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

    /// Returns the factors with the vectors of folded-in users, on the rating scale; `None` if no
    /// users are folded in.
    fn folded(&self, algorithm: &dyn Algorithm) -> Result<Option<Factors>> {
        let Some(side) = &self.fold_in else { return Ok(None) };
        let stored = self.encoding.stored(&self.model, &self.job);
        let users = stored.fold_in(algorithm, Axis::User, side)?;
        Ok(Some(Factors { users, items: self.model.factors.items.clone() }))
    }

    /// Measures the baselines: the mean, and a mean with biases fitted to the training cells.
    fn simple(&self, held: &HeldOut<'_>, baselines: &mut Baselines) -> Result<()> {
        let moments = self.training.moments();
        let bias_only = &self.plan.baseline;
        let problem = Problem {
            ratings: &self.training,
            moments: &moments,
            user_keys: &self.user_keys,
            item_keys: &vec![0; self.training.items()],
            start: Start::Random,
            stop: self.job.stop,
            kernels: self.job.kernels,
        };
        let fit = bias_only.fit(&problem, &mut |_| ControlFlow::Continue(()))?;
        let mut constant = RatingErrors::default();
        for cell in &self.cells {
            constant.push(f64::from(cell.value) - moments.mean);
        }
        baselines.global_mean = constant.metrics();
        // The ratings that users are folded in from, over the items of the training cells.
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
        let held = HeldOut { fold_in: widened.as_ref(), ..*held };
        let estimates = Estimates { factors: &fit.factors, scale: fit.scale, uncertainty: None };
        let folded = held.folded(bias_only, &estimates, &self.job)?;
        let factors = folded.as_ref().unwrap_or(&fit.factors);
        let errors = held.errors(&Scorer { factors, scale: fit.scale });
        baselines.bias_only = errors.clipped.metrics();
        Ok(())
    }
}
