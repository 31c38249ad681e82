//! Kernels that score several rows against packed items, and that search and count scores.

use super::sizes::PANEL;
use super::vector::Vector;

/// Number of registers of a tile along the items.
const WIDE: usize = 2;

/// See [`super::Kernels::scores`].
///
/// # Safety
/// All `rows` are rows of `base` (rows of `stride >= cols`). `panels` holds `cols` vectors of
/// [`PANEL`] numbers for every panel of `biases`. `out` contains one row, as long as `biases`, per
/// row of `rows`.
#[inline(always)]
pub(super) unsafe fn scores<V: Vector>(
    base: &[f32],
    stride: usize,
    cols: usize,
    rows: &[u32],
    panels: &[f32],
    biases: &[f32],
    out: &mut [f32],
) {
    let width = biases.len();
    // The outer loop runs over items and the inner one over rows, so the items of a tile are read
    // into the first-level cache once for all rows.
    for first in (0..width).step_by(WIDE * V::N) {
        // SAFETY: the caller guarantees the lengths of the panel, the biases and the rows of `out`.
        unsafe {
            let items = panels.as_ptr().add(first / PANEL * cols * PANEL + first % PANEL);
            let bias = biases.as_ptr().add(first);
            let mut done = 0;
            macro_rules! groups {
                ($count:literal) => {
                    while rows.len() - done >= $count {
                        let own: [*const f32; $count] = std::array::from_fn(|r| {
                            base.as_ptr().add(rows[done + r] as usize * stride)
                        });
                        let to = out.as_mut_ptr().add(done * width + first);
                        tile::<V, $count>(own, cols, items, bias, to, width);
                        done += $count;
                    }
                };
            }
            // A group has as many rows as the accumulators allow while leaving room for the
            // operands.
            if V::REGISTERS >= 32 {
                groups!(12);
            }
            groups!(6);
            groups!(1);
        }
    }
}

/// Scores `R` rows against the items of one tile.
///
/// # Safety
/// As for [`scores`]. `items` points to the tile in its panel, `bias` and `out` to its first item.
#[inline(always)]
unsafe fn tile<V: Vector, const R: usize>(
    rows: [*const f32; R],
    cols: usize,
    items: *const f32,
    bias: *const f32,
    out: *mut f32,
    width: usize,
) {
    // SAFETY: the caller guarantees the pointers and lengths.
    unsafe {
        let start: [V; WIDE] = std::array::from_fn(|w| V::load(bias.add(w * V::N)));
        let mut sums = [start; R];
        for f in 0..cols {
            let y: [V; WIDE] = std::array::from_fn(|w| V::load(items.add(f * PANEL + w * V::N)));
            for r in 0..R {
                let x = V::splat(*rows[r].add(f));
                for w in 0..WIDE {
                    sums[r][w] = x.mul_add(y[w], sums[r][w]);
                }
            }
        }
        for r in 0..R {
            for w in 0..WIDE {
                sums[r][w].store(out.add(r * width + w * V::N));
            }
        }
    }
}

/// Number of registers that are reduced to one elementwise maximum before a comparison.
const LOOK: usize = 8;

/// See [`super::Kernels::at_least`].
///
/// # Safety
/// As for the vector type.
#[inline(always)]
pub(super) unsafe fn at_least<V: Vector>(scores: &[f32], threshold: f32, found: &mut Vec<u32>) {
    let mut look = |first: usize, scores: &[f32]| {
        for (at, &score) in scores.iter().enumerate() {
            if score >= threshold {
                found.push((first + at) as u32);
            }
        }
    };
    let stretch = LOOK * V::N;
    let whole = scores.len() / stretch * stretch;
    for first in (0..whole).step_by(stretch) {
        // SAFETY: the stretch lies within the scores; the caller guarantees the instruction set.
        unsafe {
            let least = V::splat(threshold);
            let from = scores.as_ptr().add(first);
            let mut largest = V::load(from);
            for nth in 1..LOOK {
                largest = largest.max(V::load(from.add(nth * V::N)));
            }
            if !largest.any_at_least(least) {
                continue;
            }
            for nth in 0..LOOK {
                if V::load(from.add(nth * V::N)).any_at_least(least) {
                    let at = first + nth * V::N;
                    look(at, &scores[at..at + V::N]);
                }
            }
        }
    }
    look(whole, &scores[whole..]);
}

/// See [`super::Kernels::count`].
#[inline(always)]
pub(super) fn count(scores: &[f32], reference: f32) -> (u32, u32) {
    let mut counts = (0, 0);
    for &score in scores {
        counts.0 += u32::from(score > reference);
        counts.1 += u32::from(score == reference);
    }
    counts
}
