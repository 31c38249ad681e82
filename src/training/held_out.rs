//! Held-out cells of one fit, and the errors of factors on them.

use crate::error::Result;
use crate::ids::Axis;
use crate::job::Job;
use crate::metric::{HoldoutErrors, holdout_errors};
use crate::model::{Embedding, Factors, RankBy, Scale, Scorer, Uncertainty, by_relevance};
use crate::ratings::{Cell, Known, Ratings, Side};
use crate::train::{Algorithm, Fitted};

/// The estimates of a fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimates<'a> {
    pub factors: &'a Factors,
    pub scale: Scale,
    pub uncertainty: Option<&'a Uncertainty>,
}

/// The held-out cells of one fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldOut<'a> {
    /// The training cells.
    pub ratings: &'a Ratings,
    /// The held-out cells, sorted by user and item.
    pub cells: &'a [Cell],
    /// The cells that held-out users are folded in from, as rows over all users; `None` if no users
    /// are held out.
    pub fold_in: Option<&'a Side>,
    /// Cells that are never ranked, as rows over all users, if they are more than the training
    /// cells. They then include the validation cells, which have influenced the fit as well.
    pub excluded: Option<&'a Side>,
}

impl<'a> HeldOut<'a> {
    /// Returns the cells that are known of every user when it is measured.
    pub(crate) fn seen(&self) -> &'a Side {
        self.fold_in.unwrap_or(&self.ratings.by_user)
    }

    /// Returns the cells of every user whose items are never ranked.
    pub(crate) fn never_ranked(&self) -> &'a Side {
        self.fold_in.or(self.excluded).unwrap_or(&self.ratings.by_user)
    }

    pub(crate) fn known(&self) -> Known<'a> {
        Known::new(self.seen(), &self.ratings.by_item)
    }

    /// Returns the factors with the vectors of held-out users; `None` if no users are held out.
    pub(crate) fn folded(
        &self,
        algorithm: &dyn Algorithm,
        fitted: &Estimates<'_>,
        job: &Job<'_>,
    ) -> Result<Option<Factors>> {
        let Some(side) = self.fold_in else { return Ok(None) };
        let Estimates { factors, scale, uncertainty } = *fitted;
        let fitted = Fitted::new(factors, scale, self.ratings, job.kernels, job.stop);
        let fitted = fitted.with_uncertainty(uncertainty);
        let users = algorithm.fold_in(&fitted, Axis::User, side)?;
        Ok(Some(Factors { users, items: factors.items.clone() }))
    }

    /// Returns the items that order lists by relevance, for a model of ratings.
    ///
    /// Returns `None` if the scores of the model alone order the lists.
    pub(crate) fn ranked_items(
        &self,
        items: &Embedding,
        scale: &Scale,
        rank_by: RankBy,
    ) -> Option<Embedding> {
        let by_item = &self.ratings.by_item;
        let count = |item| by_item.count(item) as u32;
        let counts = || (0..items.biases.len()).map(count).collect::<Vec<u32>>();
        // The deviation is converted to the scale of the factors, which may be on standardised
        // ratings.
        let deviation = || self.ratings.moments().deviation / scale.deviation;
        (scale.rates() && rank_by == RankBy::Relevance)
            .then(|| by_relevance(items, &counts(), deviation()))
    }

    /// Returns the errors of factors that hold the vectors of all measured users.
    pub(crate) fn errors(&self, scorer: &Scorer<'_>) -> HoldoutErrors {
        holdout_errors(scorer, self.known(), self.cells)
    }
}
