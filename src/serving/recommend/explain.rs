//! Explains scores by the ratings of the user that contributed most.

use super::super::lists::Titles;
use crate::error::Result;
use crate::job::Job;
use crate::model::{Model, Recommendation};
use crate::ratings::{Cell, Ratings};
use crate::replay::{Encoding, recorded};
use crate::store::{Manifest, Reason};
use crate::train::{Algorithm, Share, Stored};

pub(super) struct Explainer<'a> {
    stored: Stored<'a>,
    algorithm: Box<dyn Algorithm>,
    /// Largest number of ratings reported for a score.
    most: usize,
}

impl<'a> Explainer<'a> {
    pub(super) fn new(
        model: &'a Model,
        manifest: &Manifest,
        most: usize,
        job: &Job<'a>,
    ) -> Result<Self> {
        let stored = Encoding::recorded(manifest).stored(model, job);
        Ok(Self { stored, algorithm: recorded(manifest)?.fit.algorithm(), most })
    }

    /// Returns the most important ratings for every recommendation, list by list.
    ///
    /// There are none for unknown users. `fitted` holds the ratings of all users, sorted.
    pub(super) fn reasons<'r>(
        &'r self,
        fitted: &[Cell],
        users: &[Option<u32>],
        lists: &[Vec<Recommendation>],
        titles: &'r Titles,
    ) -> Result<Vec<Vec<Reason<'r>>>> {
        let items = &self.stored.model.items.ids;
        let mut cells = Vec::new();
        let mut wanted: Vec<Vec<u32>> = Vec::with_capacity(users.len());
        for (row, (user, list)) in users.iter().zip(lists).enumerate() {
            let own = user.map_or(0..0, |user| {
                let from = fitted.partition_point(|c| c.user < user);
                from..from + fitted[from..].partition_point(|c| c.user == user)
            });
            wanted.push(match own.is_empty() {
                true => Vec::new(),
                false => list.iter().map(|r| r.item).collect(),
            });
            cells.extend(fitted[own].iter().map(|c| Cell { user: row as u32, ..*c }));
        }
        let side = Ratings::from_sorted(users.len(), items.len(), &cells).by_user;
        let shares = self.stored.explain(&*self.algorithm, &side, &wanted, self.most)?;
        let mut reasons = Vec::new();
        for (user, (list, shares)) in lists.iter().zip(shares).enumerate() {
            let row = side.row(user);
            reasons.extend((0..list.len()).map(|nth| {
                // A negative contribution is not a reason to recommend an item.
                let shares = shares.get(nth).into_iter().flatten().filter(|s| s.share > 0.0);
                let reason = |share: &Share| {
                    let item = row.indices[share.rating as usize];
                    let value = row.values[share.rating as usize];
                    let (title, item) = (titles.of(item), items.get(item as usize));
                    Reason { item, title, value, share: share.share }
                };
                shares.map(reason).collect()
            }));
        }
        Ok(reasons)
    }
}
