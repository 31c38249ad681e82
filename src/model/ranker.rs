//! Ranks all candidate items for many users, as blocked products with a bounded selection.

use super::Embedding;
use crate::linalg::simd::{Kernels, PANEL};
use crate::linalg::{Matrix, Panels, Scored, Selection};

/// Users that are scored together: the items' vectors are read once for all of them.
pub const USERS_PER_BLOCK: usize = 48;

/// Items that are scored together: their vectors and the block's scores stay in the cache.
const ITEMS_PER_BLOCK: usize = 32 * PANEL;

/// The candidates, ready to be scored by `b_i + p_u · q_i` (a user's own bias and the mean do not change
/// an order).
///
/// Candidates are numbered from 0 in the order of their positions. Scores are bit-identical for any
/// number of threads and any grouping of users.
#[derive(Debug, Clone)]
pub struct Ranker {
    panels: Panels,
    items: Vec<u32>,
}

/// What is wanted of one user.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Row of the user's vector.
    pub row: u32,
    /// Candidates to leave out, ascending.
    pub excluded: &'a [u32],
    /// Candidates, none of them left out, whose place in the order is wanted.
    pub placed: &'a [u32],
}

/// What came of one user.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// The best candidates, higher scores first, equal ones by position.
    pub best: Vec<Scored>,
    /// Scores of the candidates to be placed.
    pub scores: Vec<f32>,
    /// For each of them, the candidates with higher scores and with equal ones (itself included).
    pub places: Vec<(u32, u32)>,
}

/// Memory of one worker.
#[derive(Debug, Default)]
pub struct Scratch {
    scores: Vec<f32>,
    selections: Vec<Selection>,
}

impl Ranker {
    /// The items at `candidates` (ascending positions) of an embedding.
    #[must_use]
    pub fn new(items: &Embedding, candidates: Vec<u32>) -> Self {
        let panels = Panels::new(&items.vectors, &items.biases, &candidates);
        Self { panels, items: candidates }
    }

    /// Number of candidates.
    #[must_use]
    pub const fn candidates(&self) -> usize {
        self.items.len()
    }

    /// The position of a candidate.
    #[must_use]
    pub fn position(&self, candidate: u32) -> u32 {
        self.items[candidate as usize]
    }

    /// The best `k` candidates of at most [`USERS_PER_BLOCK`] rows of `users`, and the places asked for.
    ///
    /// `2 rank` flops per user and candidate.
    ///
    /// # Panics
    /// If a row or a candidate does not exist.
    #[must_use]
    pub fn rank(
        &self,
        kernels: Kernels,
        users: &Matrix,
        wanted: &[Wanted<'_>],
        k: usize,
        scratch: &mut Scratch,
    ) -> Vec<Ranked> {
        let rows: Vec<u32> = wanted.iter().map(|w| w.row).collect();
        let Scratch { scores, selections } = scratch;
        selections.clear();
        selections.resize(wanted.len(), Selection::new(k));
        scores.resize(wanted.len() * ITEMS_PER_BLOCK, 0.0);
        let score = |w: &Wanted<'_>| -> Vec<f32> {
            w.placed.iter().map(|&c| self.panels.score_of(kernels, users, w.row, c)).collect()
        };
        let mut ranked: Vec<Ranked> = wanted
            .iter()
            .map(|w| Ranked {
                best: Vec::new(),
                scores: score(w),
                places: vec![(0, 0); w.placed.len()],
            })
            .collect();
        let mut excluded: Vec<&[u32]> = wanted.iter().map(|w| w.excluded).collect();
        for first in (0..self.panels.padded()).step_by(ITEMS_PER_BLOCK) {
            let count = ITEMS_PER_BLOCK.min(self.panels.padded() - first);
            let scores = &mut scores[..wanted.len() * count];
            self.panels.score(kernels, (users, &rows), (first, count), scores);
            for (nth, scores) in scores.chunks_exact_mut(count).enumerate() {
                let own = excluded[nth].partition_point(|&c| (c as usize) < first + count);
                let (here, later) = excluded[nth].split_at(own);
                excluded[nth] = later;
                for &candidate in here {
                    scores[candidate as usize - first] = f32::NEG_INFINITY;
                }
                selections[nth].offer(kernels, first, scores);
                let Ranked { scores: placed, places, .. } = &mut ranked[nth];
                for (place, &score) in places.iter_mut().zip(&*placed) {
                    let (above, equal) = kernels.count(scores, score);
                    *place = (place.0 + above, place.1 + equal);
                }
            }
        }
        for (ranked, selection) in ranked.iter_mut().zip(selections) {
            ranked.best = selection.take();
        }
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_equal_a_sort_of_all_scores() {
        // Small whole numbers: scores are exact and full of ties, over several blocks of items.
        let (users, items, rank) = (5, 2500, 3);
        let number = |i: usize, m: usize| (i * 7919 % m) as f32 - (m / 2) as f32;
        let p: Vec<f32> = (0..users * rank).map(|i| number(i, 5)).collect();
        let q: Vec<f32> = (0..items * rank).map(|i| number(i, 7)).collect();
        let biases: Vec<f32> = (0..items).map(|i| number(i, 3)).collect();
        let user_vectors = Matrix::from_rows(users, rank, &p);
        let embedding = Embedding { vectors: Matrix::from_rows(items, rank, &q), biases };
        // Every third item is no candidate.
        let candidates: Vec<u32> = (0..items as u32).filter(|i| i % 3 != 0).collect();
        let ranker = Ranker::new(&embedding, candidates.clone());
        let excluded: Vec<u32> =
            (0..candidates.len() as u32).filter(|c| c % 5 == 0 || *c > 1600).collect();
        let placed = [1, 7, 1024, 1598];
        let wanted: Vec<Wanted<'_>> =
            [4, 0, 2].map(|row| Wanted { row, excluded: &excluded, placed: &placed }).to_vec();
        let found =
            ranker.rank(Kernels::detect(), &user_vectors, &wanted, 20, &mut Scratch::default());
        for (w, found) in wanted.iter().zip(found) {
            let score = |c: u32| {
                let (item, user) = (candidates[c as usize] as usize, w.row as usize);
                let dot = (0..rank).map(|f| p[user * rank + f] * q[item * rank + f]).sum::<f32>();
                embedding.biases[item] + dot
            };
            let mut all: Vec<Scored> = (0..candidates.len() as u32)
                .filter(|c| !excluded.contains(c))
                .map(|item| Scored { item, score: score(item) })
                .collect();
            all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
            assert_eq!(found.best, all[..20]);
            for (nth, &candidate) in placed.iter().enumerate() {
                let own = score(candidate);
                let above = all.iter().filter(|s| s.score > own).count();
                let equal = all.iter().filter(|s| s.score == own).count();
                assert_eq!(found.scores[nth], own);
                assert_eq!(found.places[nth], (above as u32, equal as u32));
            }
        }
        assert_eq!(ranker.position(1), 2);
    }
}
