//! Recommends the best items for each of many users, under rules about which items are allowed.
//!
//! ```
//! use lacuna::ids::Ids;
//! use lacuna::linalg::Matrix;
//! use lacuna::model::{Asked, Embedding, Factors, Model, Recommender, Rules, Scale, Trained};
//!
//! // Two users and three items. Each user likes one of the two factors.
//! let side = |rows, values: &[f32]| Embedding {
//!     vectors: Matrix::from_rows(rows, 2, values),
//!     biases: vec![0.0; rows],
//! };
//! let users = side(2, &[1.0, 0.0, 0.0, 1.0]);
//! let items = side(3, &[0.9, 0.1, 0.5, 0.6, 0.2, 0.9]);
//! let trained = |n: usize| Trained { ids: Ids::range(n), counts: vec![2; n] };
//! let model = Model {
//!     factors: Factors { users, items },
//!     users: trained(2),
//!     items: trained(3),
//!     scale: Scale { mean: 3.0, fallback: 3.0, biases: true, ..Scale::preferences() },
//!     uncertainty: None,
//! };
//! let recommender = Recommender::new(&model, Rules::default());
//! // The first user has seen item 0; the second user is unknown to the model.
//! let asked = [Asked { row: Some(0), seen: &[0] }, Asked { row: None, seen: &[] }];
//! let best = recommender.recommend(&asked, 2);
//! assert_eq!(best[0][0].item, 1);
//! assert!((best[0][0].score - 3.5).abs() < 1e-6);
//! assert_eq!(best[1].len(), 2);
//! ```

use rayon::prelude::*;

use super::{Model, Ranked, Ranker, Scratch, USERS_PER_BLOCK, Wanted, mean_norm};
use crate::linalg::Scored;
use crate::linalg::simd::Kernels;

/// Rules about which items may be recommended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// Positions of the allowed items, ascending; `None` allows all.
    pub allowed: Option<Vec<u32>>,
    /// Positions of the denied items, ascending.
    pub denied: Vec<u32>,
    /// Smallest number of training ratings of a recommended item.
    pub minimum_support: u32,
    /// Limit on the items of one category per user.
    pub caps: Option<Caps>,
}

/// A limit on the items of one category in a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Caps {
    /// The categories of every item of the model, numbered from 0. An item may have several or
    /// none.
    pub categories: Vec<Vec<u32>>,
    /// Largest number of items of one category in a list.
    pub most: usize,
}

/// A user to recommend for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Row of the user; `None` if the model does not know the user. The list of an unknown user
    /// holds the most rated items first.
    pub row: Option<u32>,
    /// Positions of items to leave out, ascending.
    pub seen: &'a [u32],
}

/// An item and its score: a predicted rating or preference, possibly adjusted by
/// [`super::by_relevance`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recommendation {
    /// Position of the item.
    pub item: u32,
    /// `mean + b_u + b_i + p_u · q_i`; for an unknown user, [`super::Scorer::score`] without a
    /// user.
    pub score: f64,
}

/// Recommends the items of a model.
///
/// Lists are ordered by score, then by position (which is the order of the ids). They are exact,
/// and bit-identical for any number of threads and any grouping of users. The cost is `2 rank`
/// flops per user and item. Memory holds the packed items (as much as the item vectors), a block of
/// scores per thread and the lists.
#[derive(Debug, Clone)]
pub struct Recommender<'m> {
    model: &'m Model,
    ranker: Ranker,
    /// The candidate number of each item, or [`NONE`] if it is not a candidate; empty if every item
    /// is a candidate.
    candidate_of: Vec<u32>,
    /// Candidates ordered by number of ratings, most rated first, then by position.
    popular: Vec<u32>,
    caps: Option<Caps>,
    kernels: Kernels,
}

const NONE: u32 = u32::MAX;

/// With category caps, ranks this many times the length of a list first. Each retry multiplies the
/// depth by this number again.
const SPARE: usize = 4;

impl<'m> Recommender<'m> {
    /// Creates a recommender under these rules.
    ///
    /// # Panics
    /// If a position in the rules does not exist.
    #[must_use]
    pub fn new(model: &'m Model, rules: Rules) -> Self {
        let counts = &model.items.counts;
        let all = 0..counts.len() as u32;
        let denied = |item: &u32| rules.denied.binary_search(item).is_ok();
        let supported = |item: &u32| counts[*item as usize] >= rules.minimum_support;
        let may = |item: &u32| supported(item) && !denied(item);
        let candidates: Vec<u32> = match &rules.allowed {
            Some(allowed) => allowed.iter().copied().filter(may).collect(),
            None => all.filter(may).collect(),
        };
        let mut candidate_of = Vec::new();
        if candidates.len() < counts.len() {
            candidate_of = vec![NONE; counts.len()];
            for (candidate, &item) in candidates.iter().enumerate() {
                candidate_of[item as usize] = candidate as u32;
            }
        }
        let mut popular: Vec<u32> = (0..candidates.len() as u32).collect();
        let count = |candidate: u32| counts[candidates[candidate as usize] as usize];
        popular.sort_by_key(|&candidate| std::cmp::Reverse(count(candidate)));
        let ranker =
            Ranker::new(&model.factors.items, candidates, mean_norm(&model.factors.users.vectors));
        Self { model, ranker, candidate_of, popular, caps: rules.caps, kernels: Kernels::detect() }
    }

    /// Number of items that may be recommended.
    #[must_use]
    pub const fn candidates(&self) -> usize {
        self.ranker.candidates()
    }

    /// At most `n` items for each user, best first; fewer if there are not enough. Runs in parallel
    /// on the current thread pool.
    ///
    /// # Panics
    /// If a row does not exist.
    #[must_use]
    pub fn recommend(&self, asked: &[Asked<'_>], n: usize) -> Vec<Vec<Recommendation>> {
        let blocks = asked.par_chunks(USERS_PER_BLOCK);
        blocks
            .map_init(Scratch::default, |scratch, block| self.block(block, n, scratch))
            .flatten()
            .collect()
    }

    fn block(
        &self,
        asked: &[Asked<'_>],
        n: usize,
        scratch: &mut Scratch,
    ) -> Vec<Vec<Recommendation>> {
        let excluded: Vec<Vec<u32>> = asked.iter().map(|a| self.excluded(a.seen)).collect();
        let mut lists: Vec<Vec<Recommendation>> = vec![Vec::new(); asked.len()];
        let mut open: Vec<usize> = Vec::with_capacity(asked.len());
        for (at, asked) in asked.iter().enumerate() {
            match asked.row {
                Some(_) => open.push(at),
                None => lists[at] = self.popular(&excluded[at], n),
            }
        }
        let mut depth = if self.caps.is_some() { n.saturating_mul(SPARE) } else { n };
        while !open.is_empty() {
            depth = depth.min(self.candidates());
            let wanted: Vec<Wanted<'_>> = open
                .iter()
                .filter_map(|&at| Some((at, asked[at].row?)))
                .map(|(at, row)| Wanted { row, excluded: &excluded[at], placed: &[] })
                .collect();
            let users = &self.model.factors.users.vectors;
            let ranked = self.ranker.rank(self.kernels, users, &wanted, depth, scratch);
            let mut short = Vec::new();
            for ((&at, wanted), Ranked { best, .. }) in open.iter().zip(&wanted).zip(ranked) {
                let score = |s: &Scored| self.score(wanted.row, s);
                lists[at] = self.capped(best.iter().map(score), n);
                // The categories of these items may be full, so there may be more items further
                // down.
                if lists[at].len() < n && best.len() == depth && depth < self.candidates() {
                    short.push(at);
                }
            }
            (open, depth) = (short, depth.saturating_mul(SPARE));
        }
        lists
    }

    /// The candidate numbers of the seen items that are candidates.
    fn excluded(&self, seen: &[u32]) -> Vec<u32> {
        match self.candidate_of.is_empty() {
            true => seen.to_vec(),
            false => {
                let candidates = seen.iter().map(|&item| self.candidate_of[item as usize]);
                candidates.filter(|&candidate| candidate != NONE).collect()
            }
        }
    }

    fn score(&self, row: u32, scored: &Scored) -> Recommendation {
        let scale = &self.model.scale;
        let bias = f64::from(self.model.factors.users.biases[row as usize]);
        let score = scale.mean + scale.deviation * (bias + f64::from(scored.score));
        Recommendation { item: self.ranker.position(scored.item), score }
    }

    /// The most rated candidates, with the scores that the model predicts for an unknown user.
    fn popular(&self, excluded: &[u32], n: usize) -> Vec<Recommendation> {
        let left = self.popular.iter().filter(|c| excluded.binary_search(c).is_err());
        let scorer = self.model.scorer();
        let recommendation = |&candidate: &u32| {
            let item = self.ranker.position(candidate);
            let score = scorer.score(self.kernels, None, Some(item as usize));
            Recommendation { item, score }
        };
        self.capped(left.map(recommendation), n)
    }

    /// The first `n` items whose categories are not full.
    fn capped(
        &self,
        ordered: impl Iterator<Item = Recommendation>,
        n: usize,
    ) -> Vec<Recommendation> {
        let Some(caps) = &self.caps else { return ordered.take(n).collect() };
        let mut taken = std::collections::HashMap::<u32, usize>::new();
        let fits = |r: &Recommendation| {
            let categories = &caps.categories[r.item as usize];
            let free = categories.iter().all(|c| taken.get(c).is_none_or(|&n| n < caps.most));
            if free {
                for &category in categories {
                    *taken.entry(category).or_default() += 1;
                }
            }
            free
        };
        ordered.filter(fits).take(n).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Ids;
    use crate::linalg::Matrix;
    use crate::model::{Embedding, Factors, Scale, Trained};

    /// Small whole numbers: scores are exact and have many ties.
    fn model(users: usize, items: usize, rank: usize) -> Model {
        let number = |i: usize, m: usize| (i * 7919 % m) as f32 - (m / 2) as f32;
        let side = |rows: usize, m| Embedding {
            vectors: Matrix::from_rows(
                rows,
                rank,
                &(0..rows * rank).map(|i| number(i, m)).collect::<Vec<_>>(),
            ),
            biases: (0..rows).map(|i| number(i, 3)).collect(),
        };
        let trained = |n: usize| Trained {
            ids: Ids::range(n),
            counts: (0..n).map(|i| (i * 31 % 11) as u32).collect(),
        };
        Model {
            factors: Factors { users: side(users, 5), items: side(items, 7) },
            users: trained(users),
            items: trained(items),
            scale: Scale { mean: 0.5, biases: true, ..Scale::preferences() },
            uncertainty: None,
        }
    }

    /// Ranks all items one by one, without kernels.
    fn brute_force(model: &Model, rules: &Rules, asked: &Asked<'_>, n: usize) -> Vec<(u32, f64)> {
        let items = &model.factors.items;
        let score = |item: u32| {
            let base = model.scale.mean + f64::from(items.biases[item as usize]);
            asked.row.map_or(base, |row| {
                let users = &model.factors.users;
                let (p, q) = (users.vectors.row(row as usize), items.vectors.row(item as usize));
                let dot: f64 = p.iter().zip(q).map(|(a, b)| f64::from(a * b)).sum();
                base + f64::from(users.biases[row as usize]) + dot
            })
        };
        let mut all: Vec<u32> = (0..items.biases.len() as u32).collect();
        all.retain(|i| rules.allowed.as_ref().is_none_or(|a| a.contains(i)));
        all.retain(|i| !rules.denied.contains(i) && !asked.seen.contains(i));
        all.retain(|i| model.items.counts[*i as usize] >= rules.minimum_support);
        match asked.row {
            Some(_) => all.sort_by(|a, b| score(*b).total_cmp(&score(*a)).then(a.cmp(b))),
            None => all.sort_by_key(|&i| (std::cmp::Reverse(model.items.counts[i as usize]), i)),
        }
        let mut list: Vec<(u32, f64)> = Vec::new();
        for item in all {
            let full = rules.caps.as_ref().is_some_and(|caps| {
                let of = |i: u32| &caps.categories[i as usize];
                of(item)
                    .iter()
                    .any(|c| list.iter().filter(|(i, _)| of(*i).contains(c)).count() >= caps.most)
            });
            if !full && list.len() < n {
                list.push((item, score(item)));
            }
        }
        list
    }

    #[test]
    fn lists_equal_a_brute_force_search_ties_included() {
        let model = model(130, 2100, 3);
        let seen: Vec<Vec<u32>> =
            (0..131).map(|u| (0..2100).filter(|i| (i * 13 + u) % 17 == 0).collect()).collect();
        let categories = (0..2100).map(|i| match i % 4 {
            0 => vec![],
            1 => vec![i % 3],
            _ => vec![3 + i % 2, i % 3],
        });
        let categories: Vec<Vec<u32>> = categories.collect();
        let some: Vec<u32> = (0..2100).filter(|i| i % 3 > 0).collect();
        for rules in [
            Rules::default(),
            Rules { minimum_support: 4, denied: vec![0, 7, 8, 900], ..Rules::default() },
            Rules {
                allowed: Some(some),
                caps: Some(Caps { categories, most: 3 }),
                ..Rules::default()
            },
            Rules { allowed: Some(vec![5, 6, 2099]), ..Rules::default() },
            Rules { allowed: Some(Vec::new()), ..Rules::default() },
        ] {
            let recommender = Recommender::new(&model, rules.clone());
            let row = |u: usize| (u < 130).then_some(u as u32);
            let asked: Vec<Asked<'_>> =
                seen.iter().enumerate().map(|(u, s)| Asked { row: row(u), seen: s }).collect();
            for n in [1, 20, 3000] {
                let found = recommender.recommend(&asked, n);
                for (asked, found) in asked.iter().zip(found).step_by(13) {
                    let found: Vec<(u32, f64)> = found.iter().map(|r| (r.item, r.score)).collect();
                    assert_eq!(found, brute_force(&model, &rules, asked, n));
                }
            }
        }
    }
}
