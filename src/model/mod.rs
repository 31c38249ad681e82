//! Trained models and the predictions made from them.

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
pub use uncertainty::{
    Beliefs, RatedRow, Uncertainty, class_count, covariance_class, covariance_share,
};
pub(crate) use uncertainty::{Gaussian, variance};

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

    /// Scales vectors by `√s` and biases by `s`, from standardised ratings to the rating scale.
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
    /// The user factors.
    pub users: Embedding,
    /// The item factors.
    pub items: Embedding,
}

impl Factors {
    /// Number of entries of a vector.
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.users.vectors.cols()
    }

    /// Converts factors of standardised ratings to the rating scale: `√s p`, `√s q`, `s b`.
    pub fn rescale(&mut self, deviation: f64) {
        self.users.rescale(deviation);
        self.items.rescale(deviation);
    }
}

/// How vectors and biases become scores: `mean + deviation (b_u + b_i + p_u · q_i)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// The mean μ of the training ratings, or 0 for a model without one.
    pub mean: f64,
    /// 1 on the rating scale, the deviation `s` for factors of standardised ratings.
    pub deviation: f64,
    /// Whether biases are fitted.
    pub biases: bool,
    /// The prediction if user or item is unknown and no bias applies: the mean of the training
    /// ratings, or 0 if scores are preferences.
    pub fallback: f64,
    /// Smallest and largest training rating; unbounded if scores are preferences.
    pub range: (f64, f64),
}

impl Scale {
    /// The scale of a rating model: standardised ratings if `mean`, raw ratings otherwise.
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

    /// The scale of a preference model: scores are the plain dot products.
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

/// Predicts from factors on a scale.
#[derive(Debug, Clone, Copy)]
pub struct Scorer<'a> {
    /// Vectors and biases.
    pub factors: &'a Factors,
    /// The scale of the factors.
    pub scale: Scale,
}

impl Scorer<'_> {
    /// The score, not clipped. A side without training ratings is passed as `None`. The prediction
    /// then uses the mean and the bias of the known side; without a known bias it is
    /// [`Scale::fallback`].
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

    /// Clips a prediction to the range of the training ratings.
    #[must_use]
    pub fn clip(&self, prediction: f64) -> f64 {
        let (low, high) = self.scale.range;
        // Without training ratings there is no range.
        if low <= high { prediction.clamp(low, high) } else { prediction }
    }
}
