//! Layouts of exported vectors, and the scores that a reader computes from them.
//!
//! | layout | item | user | width | computed by the reader |
//! |---|---|---|---|---|
//! | raw | `q`, bias separate | `p`, bias separate | k | `mean + b_u + b_i + p·q` |
//! | dot | `[q, b_i, 1]` | `[p, 1, mean + b_u]` | k + 2 | dot product, which is the score |
//! | mips | `[q, b_i, √(M² − ‖q, b_i‖²)]` | `[p, 1, 0]` | k + 2 | cosine or distance: same order |
//! | cosine | `q / ‖q‖` | `p / ‖p‖` | k | cosine within one side: similarity, no score |
//!
//! The layout mips turns a search for the largest inner product into a search for the nearest
//! neighbour (Bachrach, Finkelstein, Gilad-Bachrach, Katzir, Koenigstein, Nice, Paquet 2014). All
//! item vectors have the norm `M`, so their angle and distance to a user's vector fall as
//! `p·q + b_i` rises.

use serde::{Deserialize, Serialize};

use super::neighbours::normalise;
use super::{Embedding, Model};
use crate::ids::Axis;
use crate::linalg::{Matrix, norm as length};

/// A layout of exported vectors; see the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// The vectors as they are, with the biases in separate columns.
    #[default]
    Raw,
    /// Two more numbers per vector make the dot product the score. For inner-product indexes.
    Dot,
    /// Two more numbers per vector make cosine and distance rank items as the score does. For
    /// cosine and L2 indexes.
    Mips,
    /// Unit vectors of one side without biases. For similar items only, not for recommendations.
    Cosine,
}

impl Layout {
    /// The name of the layout, as `--layout` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Dot => "dot",
            Self::Mips => "mips",
            Self::Cosine => "cosine",
        }
    }

    /// Number of entries of a vector for a model of rank `rank`.
    #[must_use]
    pub const fn width(self, rank: usize) -> usize {
        match self {
            Self::Raw | Self::Cosine => rank,
            Self::Dot | Self::Mips => rank + 2,
        }
    }

    /// The formula by which a reader computes scores from the two sides.
    #[must_use]
    pub const fn score(self) -> &'static str {
        match self {
            Self::Raw => {
                "global_mean + user.bias + item.bias + dot(user.embedding, item.embedding)"
            }
            Self::Dot => "dot(user.embedding, item.embedding)",
            Self::Mips => {
                "cosine(user.embedding, item.embedding) ranks as the score; \
                 score = global_mean + user.bias + dot(user.embedding, item.embedding)"
            }
            Self::Cosine => {
                "cosine(a.embedding, b.embedding): similarity of two rows of one side, not a score"
            }
        }
    }
}

/// `M` as a multiple of the largest norm, so that later items stay below `M`.
pub const MIPS_HEADROOM: f64 = 1.1;

/// The largest norm of `[q, b_i]` over the items.
#[must_use]
pub fn largest_norm(items: &Embedding) -> f64 {
    (0..items.vectors.rows()).map(|row| squared(items, row)).fold(0.0, f64::max).sqrt()
}

fn squared(items: &Embedding, row: usize) -> f64 {
    length(items.vectors.row(row)).powi(2) + f64::from(items.biases[row]).powi(2)
}

/// One side of a model in a layout.
#[derive(Debug, Clone, PartialEq)]
pub struct LaidOut {
    /// The rows of the model that are included, ascending. Only the layout cosine leaves out rows:
    /// those with a zero vector.
    pub rows: Vec<u32>,
    /// One vector per row (`rows x width`).
    pub vectors: Matrix,
}

/// Lays out one side; `norm` is `M` of the layout mips.
///
/// Values are computed in double precision and rounded once.
#[must_use]
pub fn lay_out(model: &Model, axis: Axis, layout: Layout, norm: f64) -> LaidOut {
    let side = match axis {
        Axis::User => &model.factors.users,
        Axis::Item => &model.factors.items,
    };
    let (count, rank) = (side.vectors.rows(), side.vectors.cols());
    let mut rows: Vec<u32> = (0..count as u32).collect();
    if matches!(layout, Layout::Raw | Layout::Cosine) {
        let mut vectors = side.vectors.clone();
        if layout == Layout::Cosine {
            rows.retain(|&row| normalise(vectors.row_mut(row as usize)));
            let kept = |row: usize| rows.binary_search(&(row as u32)).is_ok();
            vectors = vectors.select(kept);
        }
        return LaidOut { rows, vectors };
    }
    let mut vectors = Matrix::zeros(count, layout.width(rank));
    for row in 0..count {
        let bias = f64::from(side.biases[row]);
        let further = match (layout, axis) {
            (Layout::Mips, Axis::Item) => {
                [bias, (norm * norm - squared(side, row)).max(0.0).sqrt()]
            }
            (Layout::Mips, Axis::User) => [1.0, 0.0],
            (_, Axis::Item) => [bias, 1.0],
            (_, Axis::User) => [1.0, model.scale.mean + bias],
        };
        let out = vectors.row_mut(row);
        out[..rank].copy_from_slice(side.vectors.row(row));
        out[rank..].copy_from_slice(&further.map(|v| v as f32));
    }
    LaidOut { rows, vectors }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Ids;
    use crate::linalg::simd::Kernels;
    use crate::model::{Factors, Scale, Trained};

    fn model() -> Model {
        let number = |i: usize| (i * 7919 % 13) as f32 / 7.0 - 0.8;
        let side = |rows: usize, shift| Embedding {
            vectors: Matrix::from_rows(
                rows,
                3,
                &(0..rows * 3).map(|i| number(i + shift)).collect::<Vec<_>>(),
            ),
            biases: (0..rows).map(|i| number(i * 5 + shift) * 0.3).collect(),
        };
        let trained = |n: usize| Trained { ids: Ids::range(n), counts: vec![1; n] };
        Model {
            factors: Factors { users: side(4, 0), items: side(9, 2) },
            users: trained(4),
            items: trained(9),
            scale: Scale { mean: 3.4, biases: true, ..Scale::preferences() },
            uncertainty: None,
        }
    }

    fn dot(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    #[test]
    fn a_dot_product_is_the_score_and_a_cosine_ranks_like_it() {
        let model = model();
        let norm = MIPS_HEADROOM * largest_norm(&model.factors.items);
        let laid = |axis, layout| lay_out(&model, axis, layout, norm).vectors;
        let (p, q) = (laid(Axis::User, Layout::Dot), laid(Axis::Item, Layout::Dot));
        let (a, b) = (laid(Axis::User, Layout::Mips), laid(Axis::Item, Layout::Mips));
        for u in 0..4 {
            let score = |i: usize| model.scorer().score(Kernels::detect(), Some(u), Some(i));
            let cosine = |i: usize| {
                dot(a.row(u), b.row(i)) / (dot(a.row(u), a.row(u)) * dot(b.row(i), b.row(i))).sqrt()
            };
            for i in 0..9 {
                assert!((dot(p.row(u), q.row(i)) - score(i)).abs() < 1e-6);
                assert!((dot(b.row(i), b.row(i)).sqrt() - norm).abs() < 1e-6);
            }
            let order = |key: &dyn Fn(usize) -> f64| {
                let mut all: Vec<usize> = (0..9).collect();
                all.sort_by(|x, y| key(*y).total_cmp(&key(*x)));
                all
            };
            assert_eq!(order(&score), order(&cosine));
        }
    }

    #[test]
    fn unit_vectors_leave_out_zero_ones() {
        let mut model = model();
        model.factors.items.vectors.row_mut(2).fill(0.0);
        let laid = lay_out(&model, Axis::Item, Layout::Cosine, 0.0);
        assert_eq!(laid.rows, [0, 1, 3, 4, 5, 6, 7, 8]);
        assert_eq!(laid.vectors.rows(), 8);
        for row in 0..8 {
            assert!((dot(laid.vectors.row(row), laid.vectors.row(row)) - 1.0).abs() < 1e-6);
        }
        let raw = lay_out(&model, Axis::Item, Layout::Raw, 0.0);
        assert_eq!(raw.vectors, model.factors.items.vectors);
    }
}
