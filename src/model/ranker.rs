//! Ranks all candidate items for many users, with blocked products and a bounded selection.

use rayon::prelude::*;

use super::Embedding;
use crate::linalg::simd::{Kernels, PANEL};
use crate::linalg::{Matrix, Panels, Scored, Selection, norm};

/// Number of users that are scored together. The items' vectors are read once for all of them.
pub const USERS_PER_BLOCK: usize = 48;

/// Number of items that are scored together. Their vectors and the block's scores stay in the
/// cache.
const ITEMS_PER_BLOCK: usize = 32 * PANEL;

/// The candidates, prepared for scoring by `b_i + p_u · q_i`.
///
/// The user's own bias and the mean are left out, as they do not change the order. Candidates are
/// numbered from 0 in the order of their positions. Scores are bit-identical for any number of
/// threads and any grouping of users.
///
/// Items are scored in blocks. Those with large vectors and biases come first. By the
/// Cauchy–Schwarz inequality, no score in a block exceeds the largest `b_i + |p_u| |q_i|`. A block
/// whose upper bound cannot reach a user's list is not scored for that user (Teflioudi, Gemulla,
/// Mykytiuk 2015). The lists are still exact.
#[derive(Debug, Clone)]
pub struct Ranker {
    panels: Panels,
    /// Positions of the candidates.
    items: Vec<u32>,
    /// Candidates in scoring order.
    order: Vec<u32>,
    /// The place of each candidate in the scoring order.
    place: Vec<u32>,
    bounds: Vec<Bound>,
}

/// The data for an upper bound of the scores of a block.
#[derive(Debug, Clone)]
struct Bound {
    /// Norms and biases of the items that no other item exceeds in both. For any `|p|`, one of them
    /// has the largest `b + |p| |q|`.
    front: Vec<(f64, f64)>,
    /// The largest norm and the largest absolute bias, for the rounding error.
    norm: f64,
    magnitude: f64,
}

impl Bound {
    fn of(items: &Embedding, rows: &[u32]) -> Self {
        let point = |&row: &u32| {
            let row = row as usize;
            (norm(items.vectors.row(row)), f64::from(items.biases[row]))
        };
        let mut points: Vec<(f64, f64)> = rows.iter().map(point).collect();
        let magnitude = points.iter().map(|(_, bias)| bias.abs()).fold(0.0, f64::max);
        points.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)));
        let norm = points.first().map_or(0.0, |point| point.0);
        let mut highest = f64::NEG_INFINITY;
        points.retain(|&(_, bias)| {
            let higher = bias > highest;
            highest = highest.max(bias);
            higher
        });
        Self { front: points, norm, magnitude }
    }

    /// The upper bound for a user vector of this norm.
    ///
    /// A sum of `rank + 1` terms in single precision has an error of at most `(rank + 1) 2⁻²⁴`
    /// times the sum of their magnitudes, to first order. The bound allows for a little more than
    /// twice that.
    fn score(&self, norm: f64, rank: usize) -> f64 {
        let error = (rank + 2) as f64 * f64::from(f32::EPSILON);
        let reached = self.front.iter().map(|(own, bias)| bias + norm * own);
        reached.fold(f64::NEG_INFINITY, f64::max) + error * (self.magnitude + norm * self.norm)
    }
}

/// The mean norm of the rows of a matrix.
#[must_use]
pub fn mean_norm(vectors: &Matrix) -> f64 {
    let sum: f64 = (0..vectors.rows()).map(|row| norm(vectors.row(row))).sum();
    sum / vectors.rows().max(1) as f64
}

/// A request for one user.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Row of the user's vector.
    pub row: u32,
    /// Candidates to leave out, ascending.
    pub excluded: &'a [u32],
    /// Candidates whose place in the order is requested; none of them is excluded.
    pub placed: &'a [u32],
}

/// The ranking for one user.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// The best candidates: higher scores first, equal scores by position.
    pub best: Vec<Scored>,
    /// Scores of the `placed` candidates.
    pub scores: Vec<f32>,
    /// For each of these, the number of candidates with a higher score and with an equal score
    /// (itself included).
    pub places: Vec<(u32, u32)>,
}

/// Memory of one worker.
#[derive(Debug)]
pub struct Scratch {
    /// One row of scores per user.
    scores: Matrix,
    selections: Vec<Selection>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { scores: Matrix::zeros(0, ITEMS_PER_BLOCK), selections: Vec::new() }
    }
}

impl Ranker {
    /// Prepares the items at `candidates` (ascending positions) of an embedding. `reach` is the
    /// approximate norm of a user vector; only the speed depends on it.
    #[must_use]
    pub fn new(items: &Embedding, candidates: Vec<u32>, reach: f64) -> Self {
        let norms: Vec<f64> =
            candidates.par_iter().map(|&row| norm(items.vectors.row(row as usize))).collect();
        let key = |c: u32| {
            let bias = items.biases[candidates[c as usize] as usize];
            f64::from(bias) + reach * norms[c as usize]
        };
        let mut order: Vec<u32> = (0..candidates.len() as u32).collect();
        order.par_sort_by(|&a, &b| key(b).total_cmp(&key(a)).then(a.cmp(&b)));
        let rows: Vec<u32> = order.iter().map(|&c| candidates[c as usize]).collect();
        let bounds = rows.par_chunks(ITEMS_PER_BLOCK);
        let bounds = bounds.map(|rows| Bound::of(items, rows));
        let mut place = vec![0; order.len()];
        for (at, &candidate) in order.iter().enumerate() {
            place[candidate as usize] = at as u32;
        }
        Self {
            panels: Panels::new(&items.vectors, &items.biases, &rows),
            bounds: bounds.collect(),
            items: candidates,
            order,
            place,
        }
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

    /// The best `k` candidates of at most [`USERS_PER_BLOCK`] rows of `users`, and the requested
    /// places.
    ///
    /// At most `2 rank` flops per user and candidate; fewer if no places are requested.
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
        let Scratch { scores, selections } = scratch;
        selections.clear();
        selections.resize(wanted.len(), Selection::new(k));
        if scores.rows() < wanted.len() {
            *scores = Matrix::zeros(wanted.len().max(USERS_PER_BLOCK), ITEMS_PER_BLOCK);
        }
        let scores = scores.padded_rows_mut();
        let norms: Vec<f64> = wanted.iter().map(|w| norm(users.row(w.row as usize))).collect();
        let score = |w: &Wanted<'_>| -> Vec<f32> {
            let of = |&c: &u32| self.panels.score_of(kernels, users, w.row, self.place[c as usize]);
            w.placed.iter().map(of).collect()
        };
        let mut ranked: Vec<Ranked> = wanted
            .iter()
            .map(|w| Ranked {
                best: Vec::new(),
                scores: score(w),
                places: vec![(0, 0); w.placed.len()],
            })
            .collect();
        // The places of the excluded candidates in the scoring order, ascending.
        let placed = |w: &Wanted<'_>| {
            let mut places: Vec<u32> = w.excluded.iter().map(|&c| self.place[c as usize]).collect();
            places.sort_unstable();
            places
        };
        let excluded: Vec<Vec<u32>> = wanted.iter().map(placed).collect();
        let rank = users.cols();
        for (first, bound) in (0..self.panels.padded()).step_by(ITEMS_PER_BLOCK).zip(&self.bounds) {
            let count = ITEMS_PER_BLOCK.min(self.panels.padded() - first);
            let reached = |&nth: &usize| {
                let threshold = f64::from(selections[nth].threshold());
                !wanted[nth].placed.is_empty() || bound.score(norms[nth], rank) >= threshold
            };
            let active: Vec<usize> = (0..wanted.len()).filter(reached).collect();
            let rows: Vec<u32> = active.iter().map(|&nth| wanted[nth].row).collect();
            let scores = &mut scores[..active.len() * count];
            self.panels.score(kernels, users, &rows, first..first + count, scores);
            let items = &self.order[first..self.order.len().min(first + count)];
            for (&nth, scores) in active.iter().zip(scores.chunks_exact_mut(count)) {
                let below = |end: usize| excluded[nth].partition_point(|&at| (at as usize) < end);
                for &at in &excluded[nth][below(first)..below(first + count)] {
                    scores[at as usize - first] = f32::NEG_INFINITY;
                }
                selections[nth].offer(kernels, items, scores);
                selections[nth].settle();
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
        // Small whole numbers: scores are exact and have many ties, over several blocks of items.
        let (users, items, rank) = (5, 2500, 3);
        let number = |i: usize, m: usize| (i * 7919 % m) as f32 - (m / 2) as f32;
        let p: Vec<f32> = (0..users * rank).map(|i| number(i, 5)).collect();
        let q: Vec<f32> = (0..items * rank).map(|i| number(i, 7)).collect();
        let biases: Vec<f32> = (0..items).map(|i| number(i, 3)).collect();
        let user_vectors = Matrix::from_rows(users, rank, &p);
        let embedding = Embedding { vectors: Matrix::from_rows(items, rank, &q), biases };
        // Every third item is not a candidate.
        let candidates: Vec<u32> = (0..items as u32).filter(|i| i % 3 != 0).collect();
        let ranker = Ranker::new(&embedding, candidates.clone(), 1.0);
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

    /// If places are requested, every block is scored; otherwise most blocks are skipped here.
    #[test]
    fn blocks_that_are_left_out_would_have_changed_nothing() {
        let (users, items, rank) = (60, 9000, 5);
        let number = |i: usize, m: usize| (i * 7919 % m) as f32 / m as f32 - 0.5;
        let shrunk = |i: usize| 1.0 / (1.0 + (i / rank * 31 % items) as f32 / 200.0);
        let p: Vec<f32> = (0..users * rank).map(|i| number(i, 1009)).collect();
        let q: Vec<f32> = (0..items * rank).map(|i| number(i, 4001) * shrunk(i)).collect();
        let users_matrix = Matrix::from_rows(users, rank, &p);
        let biases: Vec<f32> = (0..items).map(|i| number(i, 101) * 0.01).collect();
        let embedding = Embedding { vectors: Matrix::from_rows(items, rank, &q), biases };
        let ranker = Ranker::new(&embedding, (0..items as u32).collect(), 1.0);
        let excluded: Vec<u32> = (0..items as u32).filter(|c| c % 7 == 0).collect();
        let kernels = Kernels::detect();
        let lists = |placed: &[u32], rows: std::ops::Range<u32>| -> Vec<Vec<Scored>> {
            let wanted: Vec<Wanted<'_>> =
                rows.map(|row| Wanted { row, excluded: &excluded, placed }).collect();
            let ranked = ranker.rank(kernels, &users_matrix, &wanted, 10, &mut Scratch::default());
            ranked.into_iter().map(|r| r.best).collect()
        };
        let reach = |row: usize| {
            let last = lists(&[], row as u32..row as u32 + 1)[0][9].score;
            let own = norm(users_matrix.row(row));
            ranker.bounds.iter().filter(|b| b.score(own, rank) >= f64::from(last)).count()
        };
        // Few of the nine blocks can reach a list.
        assert!((0..users).map(reach).sum::<usize>() < 4 * users);
        for rows in [0..48, 48..60] {
            assert_eq!(lists(&[], rows.clone()), lists(&[1], rows));
        }
    }
}
