//! The best of many scores: items packed for blocked products, and a bounded selection.

use super::Matrix;
use super::simd::{Buffer, Kernels, PANEL};
use std::ops::Range;

/// Items packed for scoring, with one bias each.
///
/// Items are stored in panels of [`PANEL`]. Each panel stores the first entry of all its vectors,
/// then the second entry of all of them, and so on.
#[derive(Debug, Clone)]
pub struct Panels {
    items: usize,
    rank: usize,
    entries: Buffer,
    /// The items' biases, followed by minus infinity up to the end of the last panel.
    biases: Buffer,
}

impl Panels {
    /// Packs the rows `items` of `vectors` in that order, with their biases.
    #[must_use]
    pub fn new(vectors: &Matrix, biases: &[f32], items: &[u32]) -> Self {
        let (rank, width) = (vectors.cols(), items.len().next_multiple_of(PANEL));
        // Buffers start on a cache line: a vector that straddles two lines needs two loads.
        let mut entries = Buffer::zeros(width * rank);
        let mut packed = Buffer::zeros(width);
        packed.fill(f32::NEG_INFINITY);
        for (at, &item) in items.iter().enumerate() {
            let panel = &mut entries[at / PANEL * PANEL * rank..];
            for (f, &value) in vectors.row(item as usize).iter().enumerate() {
                panel[f * PANEL + at % PANEL] = value;
            }
            packed[at] = biases[item as usize];
        }
        Self { items: items.len(), rank, entries, biases: packed }
    }

    /// Number of items.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items
    }

    /// Whether there are no items.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Number of items, including the padding of the last panel.
    #[must_use]
    pub fn padded(&self) -> usize {
        self.biases.len()
    }

    /// Scores rows of `users` against the items at some positions.
    ///
    /// Both ends of `items` are multiples of [`PANEL`].
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn score(
        &self,
        kernels: Kernels,
        users: &Matrix,
        rows: &[u32],
        items: Range<usize>,
        out: &mut [f32],
    ) {
        let entries = &self.entries[items.start * self.rank..items.end * self.rank];
        kernels.scores(users, rows, entries, &self.biases[items], out);
    }

    /// The score of the item at position `item`, bit-identical to that of [`Panels::score`].
    ///
    /// # Panics
    /// If there is no such row or item.
    #[must_use]
    pub fn score_of(&self, kernels: Kernels, users: &Matrix, row: u32, item: u32) -> f32 {
        let mut scores = [0.0; PANEL];
        let (at, lane) = (item as usize / PANEL * PANEL, item as usize % PANEL);
        self.score(kernels, users, &[row], at..at + PANEL, &mut scores);
        scores[lane]
    }
}

/// An item and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Position of the item.
    pub item: u32,
    /// Its score.
    pub score: f32,
}

/// The best `k` scores, offered in any order.
///
/// Higher scores come first, and equal scores are ordered by position. Scores of minus infinity are
/// never selected.
#[derive(Debug, Clone)]
pub struct Selection {
    k: usize,
    /// Lower scores can no longer be among the best.
    threshold: f32,
    candidates: Vec<Scored>,
    found: Vec<u32>,
}

/// The initial threshold: the lowest finite score, so minus infinity never reaches it.
const OPEN: f32 = f32::MIN;

impl Selection {
    /// Creates an empty selection of at most `k` scores.
    #[must_use]
    pub const fn new(k: usize) -> Self {
        Self { k, threshold: OPEN, candidates: Vec::new(), found: Vec::new() }
    }

    /// The lowest score that can still be among the best; infinity if `k` is 0.
    #[must_use]
    pub const fn threshold(&self) -> f32 {
        if self.k == 0 { f32::INFINITY } else { self.threshold }
    }

    /// Offers the scores of the items at positions `items`.
    ///
    /// `scores` may be longer than `items`. The extra scores belong to no item and must be minus
    /// infinity.
    pub fn offer(&mut self, kernels: Kernels, items: &[u32], scores: &[f32]) {
        if self.k == 0 {
            return;
        }
        // Short stretches let the threshold rise between them.
        for (stretch, scores) in scores.chunks(16 * PANEL).enumerate() {
            self.found.clear();
            kernels.at_least(scores, self.threshold, &mut self.found);
            let first = stretch * 16 * PANEL;
            let scored =
                |&at: &u32| Scored { item: items[first + at as usize], score: scores[at as usize] };
            self.candidates.extend(self.found.iter().map(scored));
            if self.candidates.len() >= 2 * self.k.max(PANEL) {
                self.shrink();
            }
        }
    }

    /// Raises the threshold if there are more than `1.5 k` candidates.
    pub fn settle(&mut self) {
        if self.candidates.len() > self.k + self.k / 2 {
            self.shrink();
        }
    }

    /// Keeps the best `k` and raises the threshold to the last of them.
    fn shrink(&mut self) {
        if self.k > 0 && self.candidates.len() > self.k {
            let (_, last, _) = self.candidates.select_nth_unstable_by(self.k - 1, better);
            self.threshold = last.score;
            self.candidates.truncate(self.k);
        }
    }

    /// Returns the best scores, best first, and empties the selection.
    pub fn take(&mut self) -> Vec<Scored> {
        self.shrink();
        self.threshold = OPEN;
        let mut best = std::mem::take(&mut self.candidates);
        best.sort_unstable_by(better);
        best
    }
}

fn better(a: &Scored, b: &Scored) -> std::cmp::Ordering {
    b.score.total_cmp(&a.score).then(a.item.cmp(&b.item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// There are few distinct scores, so most of them are ties.
        #[test]
        fn the_selection_equals_a_sort(
            scores in proptest::collection::vec((-3_i8..4).prop_map(f32::from), 0..1500),
            k in 0_usize..40,
            block in 1_usize..900,
        ) {
            let kernels = Kernels::detect();
            let mut selection = Selection::new(k);
            // The last block comes first, because the order must not matter.
            let positions: Vec<u32> = (0..scores.len() as u32).collect();
            for (scores, items) in scores.chunks(block).zip(positions.chunks(block)).rev() {
                // Excluded scores are passed as minus infinity.
                let shown: Vec<f32> =
                    scores.iter().map(|&s| if s == -3.0 { f32::NEG_INFINITY } else { s }).collect();
                selection.offer(kernels, items, &shown);
            }
            let mut all: Vec<Scored> = scores
                .iter()
                .enumerate()
                .filter(|(_, s)| **s != -3.0)
                .map(|(at, &score)| Scored { item: at as u32, score })
                .collect();
            all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
            all.truncate(k);
            prop_assert_eq!(selection.take(), all);
            prop_assert!(selection.take().is_empty());
        }
    }

    #[test]
    fn items_are_packed_in_the_order_given() {
        let vectors = Matrix::from_rows(40, 2, &(0..80_u8).map(f32::from).collect::<Vec<_>>());
        let biases: Vec<f32> = (0..40_u8).map(|v| f32::from(v) / 2.0).collect();
        let items: Vec<u32> = (0..40).rev().collect();
        let panels = Panels::new(&vectors, &biases, &items);
        assert_eq!((panels.len(), panels.padded()), (40, 64));
        let users = Matrix::from_rows(1, 2, &[1.0, 10.0]);
        let mut out = vec![0.0; 64];
        panels.score(Kernels::detect(), &users, &[0], 0..64, &mut out);
        // Item 38 is second: its score is 19 + 76 + 770.
        assert_eq!(out[1], 865.0);
        assert_eq!(panels.score_of(Kernels::detect(), &users, 0, 1), 865.0);
        assert!(out[40..].iter().all(|s| *s == f32::NEG_INFINITY));
    }
}
