//! The sets of ratings that one fit is trained and measured on.

use std::sync::Arc;

use super::cells::{all_cells, cut_validation, fold_in_side, union, values};
use super::dataset::{Dataset, Inputs};
use super::held_out::HeldOut;
use super::notes::Notes;
use crate::error::{Error, Result};
use crate::ids::Ids;
use crate::job::Job;
use crate::load::prepare::Duplicates;
use crate::metric::{Bin, histogram};
use crate::pair::Pair;
use crate::ratings::{Cell, Moments, Ratings, Side};
use crate::settings::{Plan, Watch};
use crate::split::Parts;
use crate::train::{Problem, Start};

/// Training, validation and held-out cells of one fit.
pub(crate) struct Sets {
    pub ids: Arc<Pair<Ids>>,
    /// Stable keys of the ids. Random numbers are derived from them.
    pub keys: Arc<Pair<Vec<u64>>>,
    /// The training cells.
    pub ratings: Ratings,
    pub moments: Moments,
    pub holdout: Vec<Cell>,
    /// The cells that held-out users are folded in from, if whole users are held out.
    pub fold_in: Option<Side>,
    pub validation: Vec<Cell>,
    /// Training and validation cells by user, if rankings are measured and there are validation
    /// cells.
    pub excluded: Option<Side>,
}

/// Returns the stable keys of all ids.
pub(crate) fn keys(ids: &Pair<Ids>) -> Arc<Pair<Vec<u64>>> {
    Arc::new(Pair::new(ids.users.keys("user"), ids.items.keys("item")))
}

impl Sets {
    /// Creates sets of training cells only.
    pub(crate) fn of_training(
        ids: &Arc<Pair<Ids>>,
        keys: &Arc<Pair<Vec<u64>>>,
        training: &[Cell],
    ) -> Self {
        let ratings = Ratings::from_sorted(ids.users.len(), ids.items.len(), training);
        Self {
            ids: ids.clone(),
            keys: keys.clone(),
            moments: ratings.moments(),
            ratings,
            holdout: Vec::new(),
            fold_in: None,
            validation: Vec::new(),
            excluded: None,
        }
    }

    /// Splits the validation part off the training cells and builds both orientations of the rest.
    pub(crate) fn cut(
        watch: &Watch,
        ids: &Arc<Pair<Ids>>,
        keys: &Arc<Pair<Vec<u64>>>,
        training: Vec<Cell>,
    ) -> Result<Self> {
        let (training, validation) = cut_validation(watch, training, (**ids).as_ref());
        if training.is_empty() {
            return Err(Error::NothingLeft { after: "the validation part was split off".into() });
        }
        let sets = Self::of_training(ids, keys, &training);
        let excluded = (!validation.is_empty() && !watch.metrics.is_empty()).then(|| {
            let cells = union(&training, &validation, Duplicates::Last);
            Ratings::from_sorted(ids.users.len(), ids.items.len(), &cells).by_user
        });
        Ok(Self { validation, excluded, ..sets })
    }

    /// Returns the problem that an algorithm fits, with this start.
    pub(crate) fn problem<'s>(&'s self, start: Start<'s>, job: &Job<'s>) -> Problem<'s> {
        Problem {
            ratings: &self.ratings,
            moments: &self.moments,
            user_keys: &self.keys.users,
            item_keys: &self.keys.items,
            start,
            stop: job.stop,
            kernels: job.kernels,
        }
    }

    /// The holdout.
    pub(crate) fn held_out(&self) -> HeldOut<'_> {
        HeldOut {
            ratings: &self.ratings,
            cells: &self.holdout,
            fold_in: self.fold_in.as_ref(),
            excluded: self.excluded.as_ref(),
        }
    }

    /// The validation part.
    pub(crate) fn validation(&self) -> HeldOut<'_> {
        let cells = &self.validation;
        HeldOut { ratings: &self.ratings, cells, fold_in: None, excluded: None }
    }

    /// Adds the id of the row to an error about a row.
    pub(crate) fn named(&self, error: Error) -> Error {
        name_row(error, &self.ids)
    }
}

/// Adds the id of the row to an error about a row.
pub(crate) fn name_row(error: Error, ids: &Pair<Ids>) -> Error {
    match error {
        Error::Numeric { axis, position, id: None, message } => {
            let ids = ids.of(axis);
            let id = (position < ids.len()).then(|| ids.get(position).to_string());
            Error::Numeric { axis, position, id, message }
        }
        other => other,
    }
}

/// A data set that is ready to be fitted.
pub(crate) struct Prepared {
    pub sets: Sets,
    /// All cells, if the published factors are fitted to them.
    pub all: Option<Vec<Cell>>,
    pub inputs: Inputs,
    /// Histogram of all ratings, held-out ones included.
    pub histogram: Vec<Bin>,
    pub n_ratings: usize,
}

impl Prepared {
    /// Splits the validation part off and builds both orientations of the training cells.
    pub(crate) fn new(plan: &Plan, data: Dataset, notes: &mut Notes) -> Result<Self> {
        let Dataset { inputs, ids, parts, n_ratings } = data;
        notes.timed(
            |s| &mut s.csr,
            |_| {
                let more = !parts.holdout.is_empty() || plan.watch.patience.is_some();
                let all = (plan.finish.refit && more)
                    .then(|| all_cells(&parts, plan.reading.preparation.duplicates));
                let histogram = histogram(values(&parts));
                let Parts { training, fold_in, holdout } = parts;
                let sets = Sets::cut(&plan.watch, &ids, &keys(&ids), training)?;
                let fold_in = fold_in_side(&fold_in, &sets.ratings);
                let sets = Sets { holdout, fold_in, ..sets };
                Ok(Self { sets, all, inputs, histogram, n_ratings })
            },
        )
    }
}
