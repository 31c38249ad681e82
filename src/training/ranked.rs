//! Ranks all candidates for the users who have held-out cells.

use std::collections::BTreeMap;

use serde::Serialize;

use super::held_out::HeldOut;
use crate::error::Result;
use crate::job::Job;
use crate::linalg::Matrix;
use crate::metric::ranking::{Judgements, Ranking, RankingMetric, rank};
use crate::model::{Embedding, RankBy, Ranker, Scale, mean_norm};
use crate::ratings::{Cell, Ratings};
use crate::split::mix;

/// Which cells are relevant, and for how many users items are ranked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Relevance<'a> {
    /// Smallest value of a relevant cell. With `None`, all cells are relevant.
    pub from: Option<f64>,
    /// Largest number of users, and the keys that choose them. The same ids always give the same
    /// users.
    pub sample: Option<(usize, &'a [u64])>,
}

/// Vectors of all users and items that a ranking uses.
#[derive(Clone, Copy)]
pub(crate) struct Vectors<'a> {
    pub users: &'a Matrix,
    pub items: &'a Embedding,
}

/// The ranking task of one set of held-out cells, prepared once for any factors.
pub(crate) struct Ranked<'a> {
    held: HeldOut<'a>,
    candidates: Vec<u32>,
    /// The users, the items that they have seen and their relevant items, as numbers of candidates.
    pub judgements: Judgements,
    /// Number of unknown users with held-out cells.
    pub unknown_users: usize,
}

/// Ranking metrics and the number of users that they average over.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RankingMetrics {
    /// Number of users in the averages.
    pub users: usize,
    /// Number of users left out because they have no training ratings.
    pub unknown_users: usize,
    /// Values of the metrics, by name.
    #[serde(flatten)]
    pub values: BTreeMap<String, Option<f64>>,
}

impl<'a> Ranked<'a> {
    /// Prepares the ranking of held-out cells.
    ///
    /// Candidates are all items with training cells, except those that the user has seen.
    pub(crate) fn new(held: HeldOut<'a>, relevance: &Relevance<'_>) -> Self {
        let trained = &held.ratings.by_item;
        let mut numbers = vec![u32::MAX; trained.rows()];
        let mut candidates = Vec::new();
        for item in (0..trained.rows()).filter(|&item| trained.count(item) > 0) {
            numbers[item] = candidates.len() as u32;
            candidates.push(item as u32);
        }
        let relevant =
            |cell: &Cell| relevance.from.is_none_or(|from| f64::from(cell.value) >= from);
        let (mut judged, mut unknown_users) = (Vec::new(), 0);
        for cells in held.cells.chunk_by(|a, b| a.user == b.user) {
            let user = cells[0].user;
            if held.seen().count(user as usize) == 0 {
                unknown_users += 1;
                continue;
            }
            let excluded = held.never_ranked().row(user as usize).indices;
            // After a split by time, a cell may be on both sides. Its item is not a candidate.
            let fresh = |c: &&Cell| relevant(c) && excluded.binary_search(&c.item).is_err();
            let (mut own, mut missing) = (Vec::new(), 0);
            for cell in cells.iter().filter(fresh) {
                match numbers[cell.item as usize] {
                    u32::MAX => missing += 1,
                    number => own.push(number),
                }
            }
            if own.len() + missing > 0 {
                judged.push((user, own, missing as u32));
            }
        }
        if let Some((size, keys)) = relevance.sample {
            let hash = |user: u32| mix(keys[user as usize]);
            let mut hashes: Vec<u64> = judged.iter().map(|(user, ..)| hash(*user)).collect();
            if hashes.len() > size {
                let (_, least, _) = hashes.select_nth_unstable(size);
                let least = *least;
                judged.retain(|(user, ..)| hash(*user) < least);
            }
        }
        let mut judgements = Judgements::default();
        for (user, own, missing) in judged {
            judgements.rows.push(user);
            judgements.missing.push(missing);
            judgements.relevant.push(own);
            // Items without training cells are not candidates anyway.
            let excluded = held.never_ranked().row(user as usize).indices.iter();
            let numbered = excluded.map(|&item| numbers[item as usize]);
            judgements.seen.push(numbered.filter(|&number| number != u32::MAX));
        }
        Self { held, candidates, judgements, unknown_users }
    }

    /// Calls [`HeldOut::ranked_items`] for the order by relevance.
    pub(crate) fn items(&self, items: &Embedding, scale: &Scale) -> Option<Embedding> {
        self.held.ranked_items(items, scale, RankBy::Relevance)
    }

    /// Returns the number of training ratings of each candidate.
    fn popularity(&self) -> Vec<u32> {
        let count = |&item: &u32| self.held.ratings.by_item.count(item as usize);
        self.candidates.iter().map(|item| u32::try_from(count(item)).unwrap_or(u32::MAX)).collect()
    }

    /// Ranks the candidates by the scores of the vectors, and measures the lists.
    pub(crate) fn measure(
        &self,
        vectors: Vectors<'_>,
        metrics: &[RankingMetric],
        job: &Job<'_>,
    ) -> Result<Ranking> {
        let Vectors { users, items } = vectors;
        let ranker = Ranker::new(items, self.candidates.clone(), mean_norm(users));
        let popularity = self.popularity();
        rank(job.kernels, users, &ranker, &popularity, &self.judgements, metrics, job.stop)
    }

    /// Ranks the candidates of every user by their number of training ratings.
    pub(crate) fn popular(&self, metrics: &[RankingMetric], job: &Job<'_>) -> Result<Ranking> {
        let Ratings { by_user, by_item } = self.held.ratings;
        let counts = (0..by_item.rows()).map(|item| by_item.count(item) as f32).collect();
        let items = Embedding { vectors: Matrix::zeros(by_item.rows(), 0), biases: counts };
        let users = Matrix::zeros(by_user.rows(), 0);
        self.measure(Vectors { users: &users, items: &items }, metrics, job)
    }

    /// Adds the numbers of users to the values of a ranking.
    pub(crate) fn summary(&self, ranking: &Ranking) -> RankingMetrics {
        RankingMetrics {
            users: self.judgements.rows.len(),
            unknown_users: self.unknown_users,
            values: ranking.values.iter().map(|(m, v)| (m.to_string(), *v)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    fn cell(user: u32, item: u32, value: f32) -> Cell {
        Cell { user, item, value, weight: 1.0, time: 0 }
    }

    #[test]
    fn judgements_leave_out_what_cannot_be_ranked() {
        // Item 3 and user 2 have no training cells.
        let ratings = Ratings::from_sorted(
            3,
            5,
            &[cell(0, 0, 5.0), cell(0, 4, 1.0), cell(1, 1, 3.0), cell(1, 2, 3.0)],
        );
        let cells = [
            cell(0, 1, 5.0),
            cell(0, 2, 2.0),
            cell(0, 3, 5.0),
            cell(0, 4, 5.0),
            cell(1, 0, 1.0),
            cell(2, 0, 5.0),
        ];
        let held = HeldOut { ratings: &ratings, cells: &cells, fold_in: None, excluded: None };
        let ranked = Ranked::new(held, &Relevance { from: Some(4.0), sample: None });
        // Candidates are items 0, 1, 2 and 4. User 0 likes item 1, misses item 3 and has seen item
        // 4. User 1 likes nothing.
        assert_eq!(ranked.candidates, [0, 1, 2, 4]);
        assert_eq!((&ranked.judgements.rows[..], ranked.unknown_users), (&[0][..], 1));
        assert_eq!(ranked.judgements.relevant.get(0), [1]);
        assert_eq!(ranked.judgements.seen.get(0), [0, 3]);
        assert_eq!(ranked.judgements.missing, [1]);
        let all = Ranked::new(held, &Relevance::default());
        assert_eq!(all.judgements.rows, [0, 1]);
        let keys = [10, 20, 30];
        let one = Ranked::new(held, &Relevance { from: None, sample: Some((1, &keys)) });
        assert_eq!(one.judgements.rows.len(), 1);
        // Items that are only excluded are not candidates either. Item 3 is a candidate for nobody.
        let excluded =
            Ratings::from_sorted(3, 5, &[cell(0, 0, 5.0), cell(0, 1, 5.0), cell(0, 3, 1.0)]);
        let held = HeldOut { excluded: Some(&excluded.by_user), ..held };
        let fewer = Ranked::new(held, &Relevance::default());
        assert_eq!(fewer.judgements.seen.get(0), [0, 1]);
        assert_eq!(fewer.judgements.relevant.get(0), [2, 3]);
        let metrics = ["recall@2".parse().expect("a metric")];
        let stop = AtomicBool::new(false);
        let popular = all.popular(&metrics, &Job::new(&stop, &|_| {})).expect("ranks");
        // User 0's candidates are items 1 and 2. Both are relevant, and so is item 3. User 1's
        // candidates are items 0 and 4.
        let recall = popular.values[0].1.expect("users");
        assert!((recall - 5.0 / 6.0).abs() < 1e-12);
    }
}
