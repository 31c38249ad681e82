//! The uncertainty of the rows of a Bayesian fit, in addition to their means.
//!
//! Up to small fluctuations, the covariance of a row's vector and bias is a function of the row's
//! number of ratings. Rows are therefore classified by this number. Each class has one covariance,
//! the mean over its rows. A class covers a single number below 4, half an octave from 4 to 63, and
//! an octave from 64 on.

use super::{Embedding, Rotation};

/// The class of a row with `count` ratings; `count` is at least 1.
#[must_use]
pub const fn covariance_class(count: usize) -> usize {
    let octave = count.ilog2() as usize;
    match octave {
        0 => 0,
        1..=5 => 2 * octave - 1 + (count >> (octave - 1) & 1),
        _ => octave + 5,
    }
}

/// The share of a row's covariance that enters the systems of the other side's rows.
///
/// It is `n / (n + 6)` for a row with `count = n` ratings. Mean-field inference treats the
/// distributions of users and items as independent, so it takes the errors of `p` and `q` to be
/// unrelated. A rating ties the errors of its user and its item together. The tie is stronger the
/// fewer ratings the row has. The full covariance would shrink the vectors of sparse data too much.
/// The share has the form of a correction of order `1 / n`. Its constant was chosen on data sets of
/// different density (`benches/README.md`).
#[must_use]
pub fn covariance_share(count: usize) -> f64 {
    count as f64 / (count as f64 + 6.0)
}

/// The number of ratings in the middle of a class.
#[must_use]
pub fn class_count(class: usize) -> usize {
    let first = |class: usize| match class {
        0 => 1,
        1..=10 => {
            let octave = class.div_ceil(2);
            (1 << octave) + (1 << (octave - 1)) * ((class + 1) % 2)
        }
        _ => 1_usize << (class - 5),
    };
    usize::midpoint(first(class), first(class + 1) - 1)
}

/// The distributions of all rows around their means, on standardised ratings.
///
/// The unknowns of a row are the `rank` entries of its vector and, with biases, its bias. Matrices
/// are row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Uncertainty {
    /// Whether biases are fitted.
    pub biases: bool,
    /// Precision of the noise: the inverse variance of a rating around its prediction.
    pub precision: f64,
    /// The users' prior and covariances.
    pub users: Beliefs,
    /// The items' prior and covariances.
    pub items: Beliefs,
}

/// The prior of one side's rows, and their posterior covariances.
#[derive(Debug, Clone, PartialEq)]
pub struct Beliefs {
    /// Mean of the prior, one number per unknown.
    pub mean: Vec<f64>,
    /// Precision matrix of the prior.
    pub precision: Vec<f64>,
    /// Posterior covariance of a row, by [`covariance_class`]. A class without rows has the
    /// covariance of the nearest class with rows.
    pub covariances: Vec<Vec<f64>>,
}

impl Beliefs {
    /// The covariance of a row with `count` ratings; `None` without ratings.
    #[must_use]
    pub fn covariance(&self, count: usize) -> Option<&[f64]> {
        let last = self.covariances.len().checked_sub(1)?;
        (count > 0).then(|| &self.covariances[covariance_class(count).min(last)][..])
    }

    fn rotate(&mut self, rotation: &Rotation, rank: usize) {
        rotation.rotate_vector(&mut self.mean[..rank]);
        let order = self.mean.len();
        for matrix in self.covariances.iter_mut().chain([&mut self.precision]) {
            // Computes Rᵀ S R: first the rows, then the columns.
            for row in 0..order {
                rotation.rotate_vector(&mut matrix[row * order..][..rank]);
            }
            for column in 0..order {
                let mut turned: Vec<f64> = (0..rank).map(|i| matrix[i * order + column]).collect();
                rotation.rotate_vector(&mut turned);
                (0..rank).for_each(|i| matrix[i * order + column] = turned[i]);
            }
        }
    }
}

/// A row of fitted factors, and the number of its ratings.
#[derive(Debug, Clone, Copy)]
pub struct RatedRow<'a> {
    /// The vectors and biases of its side.
    pub side: &'a Embedding,
    /// Position of the row there.
    pub row: usize,
    /// Number of its ratings.
    pub count: usize,
}

impl Uncertainty {
    /// Number of entries of a vector.
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.users.mean.len() - self.biases as usize
    }

    /// Applies the rotation of the vectors to the priors and covariances.
    pub fn rotate(&mut self, rotation: &Rotation) {
        let rank = self.rank();
        self.users.rotate(rotation, rank);
        self.items.rotate(rotation, rank);
    }

    /// The variance of `b_u + b_i + p_u·q_i`, without the noise of a rating:
    /// `q̃ᵀS q̃ + p̃ᵀT p̃ + tr(S T)` for covariances `S` of the user and `T` of the item.
    ///
    /// The constant 1 that multiplies a bias has no variance. The result is 0 if the user or the
    /// item has no ratings.
    #[must_use]
    pub fn variance(&self, user: RatedRow<'_>, item: RatedRow<'_>) -> f64 {
        let covariances = (self.users.covariance(user.count), self.items.covariance(item.count));
        let (Some(s), Some(t)) = covariances else { return 0.0 };
        let (p, q) = (user.side.vectors.row(user.row), item.side.vectors.row(item.row));
        let user = Gaussian { mean: p, covariance: s };
        variance(self.biases, user, Gaussian { mean: q, covariance: t })
    }
}

/// The distribution of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gaussian<'a> {
    /// The vector.
    pub mean: &'a [f32],
    /// The covariance of the row's unknowns, row-major.
    pub covariance: &'a [f64],
}

/// Computes [`Uncertainty::variance`] from the vector and covariance of a user and of an item.
#[must_use]
pub(crate) fn variance(biases: bool, user: Gaussian<'_>, item: Gaussian<'_>) -> f64 {
    let (p, s, q, t) = (user.mean, user.covariance, item.mean, item.covariance);
    let rank = p.len();
    let order = rank + usize::from(biases);
    let entry = |row: &[f32], i: usize| row.get(i).map_or(1.0, |&v| f64::from(v));
    let mut variance = 0.0;
    for i in 0..order {
        for j in 0..order {
            let (own, other) = (s[i * order + j], t[i * order + j]);
            variance += own * entry(q, i) * entry(q, j) + other * entry(p, i) * entry(p, j);
            if i < rank && j < rank {
                variance += own * other;
            }
        }
    }
    variance
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::Matrix;

    #[test]
    fn classes_rise_with_the_count_and_grow_wider() {
        let first: Vec<usize> = (1..=13).map(covariance_class).collect();
        assert_eq!(first, [0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 5, 6, 6]);
        let from = |count| (covariance_class(count - 1), covariance_class(count));
        assert_eq!(
            [from(48), from(64), from(128), from(1 << 20)],
            [(9, 10), (10, 11), (11, 12), (24, 25)]
        );
        assert!((1..100_000).all(|n| covariance_class(n + 1) - covariance_class(n) <= 1));
        assert!((0..30).all(|class| covariance_class(class_count(class)) == class));
        assert_eq!([0, 1, 2, 3, 9, 10, 11].map(class_count), [1, 2, 3, 4, 39, 55, 95]);
    }

    /// Rotating vectors and covariances together changes no variance.
    #[test]
    fn a_rotation_changes_no_variance() {
        let (rank, order) = (3, 4);
        let noise = |i: usize| ((i * 7919 % 1013) as f64 / 1013.0 - 0.5) * 2.0;
        let symmetric = |seed: usize| -> Vec<f64> {
            let root = |i: usize, l: usize| noise(seed + i * order + l);
            let entry =
                |at: usize| (0..order).map(|l| root(at / order, l) * root(at % order, l)).sum();
            (0..order * order).map(entry).collect()
        };
        let beliefs = |seed: usize| Beliefs {
            mean: (0..order).map(|i| noise(seed + i)).collect(),
            precision: symmetric(seed + 50),
            covariances: vec![symmetric(seed + 100), symmetric(seed + 200)],
        };
        let mut uncertainty =
            Uncertainty { biases: true, precision: 2.0, users: beliefs(1), items: beliefs(1000) };
        let side = |seed: usize| {
            let values: Vec<f32> = (0..2 * rank).map(|i| noise(seed + i) as f32).collect();
            Embedding { vectors: Matrix::from_rows(2, rank, &values), biases: vec![0.1, 0.2] }
        };
        let (mut users, mut items) = (side(7), side(31));
        let variance = |uncertainty: &Uncertainty, users: &Embedding, items: &Embedding| {
            let user = RatedRow { side: users, row: 0, count: 1 };
            uncertainty.variance(user, RatedRow { side: items, row: 1, count: 2 })
        };
        let before = variance(&uncertainty, &users, &items);
        let shared = [(0, 0), (1, 1)];
        let target = side(99);
        let rotation = Rotation::procrustes(&items.vectors, &target.vectors, &shared);
        let rotation = rotation.expect("finite");
        rotation.rotate(&mut users.vectors);
        rotation.rotate(&mut items.vectors);
        let moved = variance(&uncertainty, &users, &items);
        uncertainty.rotate(&rotation);
        let after = variance(&uncertainty, &users, &items);
        assert!((moved - before).abs() > 1e-3, "the rotation does something");
        assert!((after - before).abs() < 1e-5 * before, "{before} {after}");
        // Rows without ratings, and counts beyond the last class.
        assert_eq!(uncertainty.users.covariance(0), None);
        assert_eq!(uncertainty.users.covariance(500), uncertainty.users.covariance(2));
    }
}
