//! What training produces, and what is predicted from it.

mod align;
mod layout;
mod neighbours;
mod ranker;
mod recommender;
mod relevance;
mod trained;
mod uncertainty;

pub use align::{Rotation, Shared, median_cosine, neighbour_overlap};
pub use layout::{LaidOut, Layout, MIPS_HEADROOM, largest_norm, lay_out};
pub use neighbours::{Neighbours, Similarity};
pub use ranker::{Ranked, Ranker, Scratch, USERS_PER_BLOCK, Wanted, mean_norm};
pub use recommender::{Asked, Caps, Recommendation, Recommender, Rules};
pub use relevance::{RankBy, by_relevance};
pub use trained::{Model, Trained};
pub(crate) use uncertainty::variance;
pub use uncertainty::{Beliefs, Uncertainty, class_count, covariance_class, covariance_share};

use crate::linalg::Matrix;
use crate::linalg::simd::Kernels;
use crate::ratings::Moments;

/// The vectors and biases of one side.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// One vector per row (`rows x rank`).
    pub vectors: Matrix,
    /// One bias per row, 0 where none is fitted.
    pub biases: Vec<f32>,
}

impl Embedding {
    /// Zero vectors and biases.
    #[must_use]
    pub fn zeros(rows: usize, rank: usize) -> Self {
        Self { vectors: Matrix::zeros(rows, rank), biases: vec![0.0; rows] }
    }

    /// The rows whose position satisfies `keep`.
    #[must_use]
    pub fn select(&self, keep: impl Fn(usize) -> bool) -> Self {
        let biases =
            self.biases.iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, b)| *b).collect();
        Self { vectors: self.vectors.select(&keep), biases }
    }

    /// Whether every number is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.vectors.is_finite() && self.biases.iter().all(|b| b.is_finite())
    }

    /// Brings vectors and biases of standardised ratings to the rating scale: `√s`, `s`.
    pub fn rescale(&mut self, deviation: f64) {
        self.scale(deviation.sqrt(), deviation);
    }

    fn scale(&mut self, vectors: f64, biases: f64) {
        self.vectors.scale(vectors as f32);
        for bias in &mut self.biases {
            *bias = (f64::from(*bias) * biases) as f32;
        }
    }
}

/// The vectors and biases of both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// Of the users.
    pub users: Embedding,
    /// Of the items.
    pub items: Embedding,
}

impl Factors {
    /// Number of entries of a vector.
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.users.vectors.cols()
    }

    /// Brings factors of standardised ratings to the rating scale: `√s p`, `√s q`, `s b`.
    pub fn rescale(&mut self, deviation: f64) {
        self.users.rescale(deviation);
        self.items.rescale(deviation);
    }
}

/// What turns vectors and biases into scores: `mean + deviation (b_u + b_i + p_u · q_i)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// The mean μ of the training ratings, or 0 for a model without one.
    pub mean: f64,
    /// 1 on the rating scale, the deviation `s` for factors of standardised ratings.
    pub deviation: f64,
    /// Whether biases are fitted.
    pub biases: bool,
    /// What is predicted where nothing is known: the mean of the training ratings; 0 where scores are
    /// preferences.
    pub fallback: f64,
    /// Smallest and largest training rating; unbounded where scores are preferences.
    pub range: (f64, f64),
}

impl Scale {
    /// Of a model of ratings: standardised if `mean`, raw otherwise.
    #[must_use]
    pub fn ratings(moments: &Moments, mean: bool, biases: bool) -> Self {
        Self {
            mean: if mean { moments.mean } else { 0.0 },
            deviation: if mean { moments.deviation } else { 1.0 },
            biases,
            fallback: moments.mean,
            range: (f64::from(moments.min), f64::from(moments.max)),
        }
    }

    /// Of a model of preferences: dot products as they are.
    #[must_use]
    pub const fn preferences() -> Self {
        let range = (f64::NEG_INFINITY, f64::INFINITY);
        Self { mean: 0.0, deviation: 1.0, biases: false, fallback: 0.0, range }
    }

    /// Whether scores are ratings.
    #[must_use]
    pub const fn rates(&self) -> bool {
        self.range.0.is_finite()
    }
}

/// Predicts by factors on a scale.
#[derive(Debug, Clone, Copy)]
pub struct Scorer<'a> {
    /// Vectors and biases.
    pub factors: &'a Factors,
    /// Their scale.
    pub scale: Scale,
}

impl Scorer<'_> {
    /// The score, not clipped. A side without training ratings is `None`: the prediction then falls
    /// back to the mean and the known bias.
    #[must_use]
    pub fn score(&self, kernels: Kernels, user: Option<usize>, item: Option<usize>) -> f64 {
        let Factors { users, items } = self.factors;
        let biases = match (user, item) {
            (Some(user), Some(item)) => {
                let dot = kernels.dot(users.vectors.row(user), items.vectors.row(item));
                f64::from(users.biases[user]) + f64::from(items.biases[item]) + f64::from(dot)
            }
            (Some(user), None) if self.scale.biases => f64::from(users.biases[user]),
            (None, Some(item)) if self.scale.biases => f64::from(items.biases[item]),
            _ => return self.scale.fallback,
        };
        self.scale.mean + self.scale.deviation * biases
    }

    /// A prediction clipped to the range of the training ratings.
    #[must_use]
    pub fn clip(&self, prediction: f64) -> f64 {
        let (low, high) = self.scale.range;
        // Without training ratings there is no range.
        if low <= high { prediction.clamp(low, high) } else { prediction }
    }
}
