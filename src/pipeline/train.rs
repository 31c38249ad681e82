//! The main job: rating files in, a model directory out.

mod auto;
mod fit;
mod folds;
mod hints;
mod previous;

pub(super) use fit::{Fitted, Sets};
pub use previous::Comparison;
use previous::start_from;

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::checkpoint::Checkpoints;
use super::dataset::{Dataset, Reading, all_cells, fold_in_side, union, values};
use super::publish::{Outcome, keep_ratings, publish};
use super::report::{Durations, Metrics, Report};
use super::{TrainConfig, laws};
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::job::{Event, Observer, with_threads};
use crate::linalg::simd::Kernels;
use crate::load::prepare::Duplicates;
use crate::metric::histogram;
use crate::model::{Factors, Model};
use crate::ratings::{Cell, Ratings, Side};
use crate::split::{Parts, Split};
use crate::store::{DirKind, OutDir};
use crate::system::now;
use crate::train::{Fit, Start};

/// Trains a model as `config` says and publishes it.
///
/// # Errors
/// Every failure leaves what was there before as it was, and nothing half-written.
pub fn train(config: &TrainConfig, stop: &AtomicBool, observer: &Observer<'_>) -> Result<Report> {
    let out = OutDir::create(config.check()?, config.force, DirKind::Model)?;
    let threads = config.threads.map(|t| t.get() as usize);
    with_threads(threads, || {
        let mut run = Training::new(config.resolved(), stop, observer);
        let started_at = now();
        let data = match run.dataset() {
            Err(Error::MissingColumn { role: "rating", .. }) if config.may_be_events() => {
                let events = config.of_events();
                events.check()?;
                run.config = events.resolved();
                run.warnings.push(NO_RATINGS.into());
                run.dataset()?
            }
            data => {
                run.warnings.extend(config.implied_algorithm());
                data?
            }
        };
        let settings = run.config.clone();
        let kept = keep_ratings(&settings, &out, &data)?;
        let (outcome, metrics) = run.train(data)?;
        observer(&Event::Phase("writing"));
        publish(
            &settings,
            (out, kept, stop),
            outcome,
            metrics,
            run.warnings,
            run.durations,
            (run.started, started_at),
        )
    })
}

/// Where a fit begins: at an earlier model's vectors, with all that it knows where the algorithm goes on
/// from that.
fn beginning<'s>(
    config: &TrainConfig,
    warm: Option<&'s Factors>,
    model: Option<&'s Model>,
) -> Start<'s> {
    let known = model.and_then(|model| model.uncertainty.as_ref());
    match (warm, known) {
        (Some(factors), Some(known)) if config.begins_at_distributions() => {
            Start::Posterior(factors, known)
        }
        (Some(factors), _) => Start::Factors(factors),
        (None, _) => Start::Random,
    }
}

/// What is said where there is no rating column.
const NO_RATINGS: &str = "no rating column, so every row is an event: training ials. If a column holds \
                          ratings, name it: --rating-col NAME (-a bayes)";

/// What goes with a training that is one of many.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// An earlier model that the fit begins at, of the same rank, algorithm and types of ids.
    pub warm: Option<&'a Model>,
    /// An earlier model, fitted without today's holdout, to compare with.
    pub previous: Option<&'a Model>,
    pub checkpoints: Option<Checkpoints>,
    /// Whether the rank is that of the run before, and no setting.
    pub keeps_rank: bool,
}

/// One training from start to end.
pub(crate) struct Training<'a> {
    pub config: TrainConfig,
    pub stop: &'a AtomicBool,
    pub observer: &'a Observer<'a>,
    pub kernels: Kernels,
    started: Instant,
    pub durations: Durations,
    pub warnings: Vec<String>,
    pub setup: Setup<'a>,
    /// Ranking metrics were not asked for: they are measured on a sample of the users.
    unasked_metrics: bool,
}

impl<'a> Training<'a> {
    /// A run whose settings are resolved.
    pub(crate) fn new(
        config: TrainConfig,
        stop: &'a AtomicBool,
        observer: &'a Observer<'a>,
    ) -> Self {
        Self {
            config,
            stop,
            observer,
            kernels: Kernels::detect(),
            started: Instant::now(),
            durations: Durations::default(),
            warnings: Vec::new(),
            setup: Setup::default(),
            unasked_metrics: false,
        }
    }

    /// Reads the run's ratings.
    pub(crate) fn dataset(&mut self) -> Result<Dataset> {
        let Self { stop, observer, durations, warnings, .. } = self;
        Dataset::read(&self.config, &mut Reading { stop, observer, durations, warnings })
    }

    /// Fits and measures as the settings say.
    pub(crate) fn train(&mut self, mut data: Dataset) -> Result<(Outcome, Metrics)> {
        let duplicates = self.config.load.duplicates();
        if self.config.metrics.is_empty() {
            self.config.metrics = TrainConfig::unasked_metrics();
            self.unasked_metrics = true;
        }
        let folds = self.config.folds.map(|k| self.cross_validate(&data, k.get())).transpose()?;
        let since = Instant::now();
        let all = (self.config.refit
            && (!data.parts.holdout.is_empty() || self.config.patience.is_some()))
        .then(|| all_cells(&data.parts, duplicates));
        let histogram = histogram(values(&data.parts));
        let Parts { training, fold_in, holdout } = std::mem::take(&mut data.parts);
        let Dataset { inputs, users, items, n_ratings, .. } = data;
        let (training, validation) = set_aside(&self.config, training, &users, &items);
        if training.is_empty() {
            return Err(Error::NothingLeft { after: "the validation part was taken off".into() });
        }
        self.durations.csr += since.elapsed().as_secs_f64();
        let named = |error| name_row(error, &users, &items);
        self.choose(&training, &users, &items).map_err(named)?;
        let since = Instant::now();
        let ratings = Ratings::from_sorted(users.len(), items.len(), &training);
        let looked_at = looked_at(&self.config, &training, &validation, (&users, &items));
        drop(training);
        if self.setup.keeps_rank {
            self.warnings.extend(laws::other_rank(&self.config, &ratings));
        }
        self.config = self.config.settled(&ratings);
        let moments = ratings.moments();
        let fold_in = fold_in_side(&fold_in, &ratings);
        self.durations.csr += since.elapsed().as_secs_f64();
        if self.config.algorithm_name().rates() {
            self.warnings.extend(hints::of_values(&ratings, &moments));
        }

        let (user_keys, item_keys) = (users.keys("user"), items.keys("item"));
        let deviation = if self.config.standardises() { moments.deviation } else { 1.0 };
        let warm = self.setup.warm.map(|model| {
            let (ids, keys) = ((&users, &items), (&user_keys[..], &item_keys[..]));
            start_from(model, ids, &ratings, keys, (deviation, self.config.seed))
        });
        let sets = Sets {
            start: beginning(&self.config, warm.as_ref(), self.setup.warm),
            ratings: &ratings,
            moments: &moments,
            holdout: &holdout,
            fold_in: fold_in.as_ref(),
            validation: &validation,
            looked_at: looked_at.as_ref(),
            user_keys: &user_keys,
            item_keys: &item_keys,
        };
        let algorithm = self.config.algorithm(None);
        let iterations = self.config.iterations();
        (self.observer)(&Event::Fitting(iterations, ratings.len()));
        let Fitted { mut fit, iteration, curve, posterior, .. } =
            self.fit(&sets, &*algorithm).map_err(named)?;
        let mut measured = self.measure(&sets, &*algorithm, &fit).map_err(named)?;
        if let Some(model) = self.setup.previous {
            let since = Instant::now();
            let compared = self.compare(&sets, (&users, &items), &fit.scorer(), model)?;
            measured.baselines.previous_model = Some(compared);
            self.durations.eval += since.elapsed().as_secs_f64();
        }
        self.warnings.extend(hints::of_fit(&self.config, &measured));
        let metrics = Metrics { folds, posterior, iteration, curve, ..measured };
        let samples = kept_samples(&mut fit, &users, &items, &ratings);
        fit.factors.rescale(fit.scale.deviation);
        let uncertainty = fit.averaged.as_mut().and_then(|a| a.uncertainty.take());
        let model = Model::new(&fit.factors, &users, &items, &ratings, &fit.scale);
        let model = Model { uncertainty, ..model };
        self.warnings.extend(hints::of_model(&self.config, &model));
        let mut outcome = Outcome {
            config: self.config.clone(),
            model,
            samples,
            noise: fit.averaged.as_ref().map(|a| a.noise),
            measured: None,
            inputs,
            deviation: fit.scale.deviation,
            moments,
            mean_counts: (ratings.by_user.mean_count(), ratings.by_item.mean_count()),
            iteration,
            stop_reason: fit.stop_reason,
            kernels: self.kernels,
            histogram,
            n_users: users.len(),
            n_items: items.len(),
            n_ratings,
            n_train: ratings.len(),
            n_validation: validation.len(),
        };
        drop(ratings);
        drop(warm);
        if let Some(cells) = all {
            self.refit(&mut outcome, &cells, (&users, &items), (&user_keys, &item_keys))?;
        }
        Ok((outcome, metrics))
    }

    /// Fits the published factors on all ratings, as many iterations as were chosen.
    fn refit(
        &mut self,
        outcome: &mut Outcome,
        cells: &[Cell],
        (users, items): (&Ids, &Ids),
        (user_keys, item_keys): (&[u64], &[u64]),
    ) -> Result<()> {
        (self.observer)(&Event::Phase("refitting on all ratings"));
        let since = Instant::now();
        let ratings = Ratings::from_sorted(users.len(), items.len(), cells);
        let moments = ratings.moments();
        self.durations.csr += since.elapsed().as_secs_f64();
        let since = Instant::now();
        // A warm start leads from the factors that were measured to those that are published.
        let warm = self.setup.warm.map(|_| {
            let deviation = if self.config.standardises() { moments.deviation } else { 1.0 };
            let (ids, keys) = ((users, items), (user_keys, item_keys));
            start_from(&outcome.model, ids, &ratings, keys, (deviation, self.config.seed))
        });
        let sets = Sets {
            start: beginning(&self.config, warm.as_ref(), Some(&outcome.model)),
            ratings: &ratings,
            moments: &moments,
            holdout: &[],
            fold_in: None,
            validation: &[],
            looked_at: None,
            user_keys,
            item_keys,
        };
        let algorithm = self.config.algorithm(Some(outcome.iteration));
        let mut fit = self.refitted(&sets, &*algorithm)?;
        fit.factors.rescale(fit.scale.deviation);
        let uncertainty = fit.averaged.as_mut().and_then(|a| a.uncertainty.take());
        let model = Model::new(&fit.factors, users, items, &ratings, &fit.scale);
        let model = Model { uncertainty, ..model };
        outcome.samples = kept_samples(&mut fit, users, items, &ratings);
        outcome.noise = fit.averaged.as_ref().map(|a| a.noise);
        outcome.measured = Some(std::mem::replace(&mut outcome.model, model));
        outcome.deviation = fit.scale.deviation;
        outcome.moments = moments;
        outcome.mean_counts = (ratings.by_user.mean_count(), ratings.by_item.mean_count());
        self.durations.train += since.elapsed().as_secs_f64();
        Ok(())
    }
}

/// With patience, cuts the validation part off the training cells, by another salt.
pub(super) fn set_aside(
    config: &TrainConfig,
    cells: Vec<Cell>,
    users: &Ids,
    items: &Ids,
) -> (Vec<Cell>, Vec<Cell>) {
    let split = match config.patience {
        Some(_) => validation_rule(config),
        None => Split::None,
    };
    let Parts { training, holdout, .. } = split.apply(cells, users, items);
    (training, holdout)
}

/// How a part of the training cells is set aside to choose by.
pub(super) fn validation_rule(config: &TrainConfig) -> Split {
    Split::Hash {
        ratio: config.test_ratio.get(),
        salt: format!("{}/validation", config.holdout_salt),
    }
}

/// Training and validation cells by user, where rankings are measured beside a validation part.
pub(super) fn looked_at(
    config: &TrainConfig,
    training: &[Cell],
    validation: &[Cell],
    (users, items): (&Ids, &Ids),
) -> Option<Side> {
    let all = || {
        let cells = union(training, validation, Duplicates::Last);
        Ratings::from_sorted(users.len(), items.len(), &cells).by_user
    };
    (!validation.is_empty() && !config.metrics.is_empty()).then(all)
}

/// The samples that a fit kept, on the rating scale.
fn kept_samples(fit: &mut Fit, users: &Ids, items: &Ids, ratings: &Ratings) -> Vec<Model> {
    let scale = fit.scale;
    let kept = fit.averaged.as_mut().map(|a| std::mem::take(&mut a.kept)).unwrap_or_default();
    kept.into_iter()
        .map(|mut factors| {
            factors.rescale(scale.deviation);
            Model::new(&factors, users, items, ratings, &scale)
        })
        .collect()
}

/// Replaces the position of a row that could not be solved by its id.
fn name_row(error: Error, users: &Ids, items: &Ids) -> Error {
    match error {
        Error::Numeric { side, row, message } => {
            let ids = if side == "user" { users } else { items };
            let known = row.parse().ok().filter(|&at: &usize| at < ids.len());
            let row = known.map_or(row, |at| format!("\"{}\"", ids.get(at)));
            Error::Numeric { side, row, message }
        }
        other => other,
    }
}
