//! Generates rating data of any size with a known ground truth.
//!
//! ```text
//! r = clip(round((μ + b_u + b_i + p_u·q_i + noise) / step) step),   μ the middle of the range
//! ```
//!
//! The activity of users is log-normal, and the popularity of items follows a power law. No user
//! rates an item twice. Rows come user by user, in blocks. Memory grows with users and items, not
//! with ratings. A block depends only on the settings and its number, so blocks may be generated in
//! parallel.

use rand::RngExt;
use rand_distr::weighted::WeightedAliasIndex;
use rand_distr::{Distribution, Normal, StandardNormal};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::Matrix;
use crate::rng::{Stream, generator};

/// The settings of the generator.
#[derive(Debug, Clone, PartialEq)]
pub struct Synthetic {
    /// Number of users; their ids are `1..=users`.
    pub users: u32,
    /// Number of items; their ids are `1..=items`, not ordered by popularity.
    pub items: u32,
    /// Exact number of ratings.
    pub ratings: u64,
    /// Rank of the ground truth.
    pub rank: u32,
    /// Standard deviation of the noise, on the rating scale.
    pub noise: f64,
    /// Distance between two possible ratings; 0 allows any number.
    pub step: f64,
    /// Smallest and largest rating.
    pub range: (f64, f64),
    /// Seed.
    pub seed: u64,
}

/// The ratings of some consecutive users, as columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Block {
    /// User ids, ascending.
    pub users: Vec<i64>,
    /// Item ids.
    pub items: Vec<i64>,
    /// Ratings.
    pub values: Vec<f32>,
    /// Seconds since 1970, ascending per user.
    pub times: Vec<i64>,
}

/// A generator with its ground truth.
#[derive(Debug)]
pub struct Generator {
    spec: Synthetic,
    /// Ratings per user.
    counts: Vec<u32>,
    /// Popularity of each item, and a sampler for it.
    weights: Vec<f32>,
    sampler: WeightedAliasIndex<f32>,
    user_vectors: Matrix,
    item_vectors: Matrix,
    user_biases: Vec<f32>,
    item_biases: Vec<f32>,
}

/// Users per block.
const BLOCK_USERS: usize = 256;

/// A user rates at most this share of the items.
const MOST_OF_ITEMS: f64 = 0.5;

/// Spread of the biases and of `p_u·q_i`, as a share of half the rating range.
const BIAS_SPREAD: f64 = 0.2;
const PRODUCT_SPREAD: f64 = 0.25;

/// First random stream of the ground truth; the streams of the blocks are below it.
const TRUTH: u64 = 1 << 40;

impl Generator {
    /// Draws the ground truth.
    ///
    /// # Errors
    /// [`Error::Usage`] if the settings contradict each other.
    pub fn new(spec: Synthetic) -> Result<Self> {
        let cap = ((f64::from(spec.items) * MOST_OF_ITEMS) as u64).max(1);
        let Synthetic { users, items, ratings, noise, step, range: (min, max), .. } = spec;
        let room = u64::from(users) * cap;
        if users == 0 || items == 0 || ratings < u64::from(users) || ratings > room {
            return Err(Error::Usage(format!(
                "{ratings} ratings do not fit {users} users and {items} items: \
                 ask for {users} (one per user) to {room} (half of the items per user)"
            )));
        }
        if !(min < max && min.is_finite() && max.is_finite() && step >= 0.0 && noise >= 0.0) {
            return Err(Error::Usage(format!(
                "cannot generate ratings from {min} to {max} in steps of {step} with noise \
                 {noise}: the range must be finite and not empty, and step and noise at least 0"
            )));
        }
        let counts = activity(&spec, cap);
        let weights = popularity(&spec);
        let sampler = WeightedAliasIndex::new(weights.clone())
            .map_err(|e| Error::Internal(format!("item popularity: {e}")))?;
        let half = (max - min) / 2.0;
        let rank = spec.rank as usize;
        // Entries with spread a give products with spread a² √rank.
        let spread = (PRODUCT_SPREAD * half / f64::from(spec.rank.max(1)).sqrt()).sqrt();
        let vectors = |rows: u32, stream| {
            Matrix::from_rows(
                rows as usize,
                rank,
                &normals(&spec, stream, rows as usize * rank, spread),
            )
        };
        let biases = |rows: u32, stream| normals(&spec, stream, rows as usize, BIAS_SPREAD * half);
        Ok(Self {
            counts,
            weights,
            sampler,
            user_vectors: vectors(users, TRUTH + 2),
            item_vectors: vectors(items, TRUTH + 3),
            user_biases: biases(users, TRUTH + 4),
            item_biases: biases(items, TRUTH + 5),
            spec,
        })
    }

    /// Number of blocks.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.counts.len().div_ceil(BLOCK_USERS)
    }

    /// Generates several blocks in parallel and returns them in order.
    #[must_use]
    pub fn make(&self, blocks: std::ops::Range<usize>) -> Vec<Block> {
        blocks.into_par_iter().map(|b| self.block(b)).collect()
    }

    fn block(&self, number: usize) -> Block {
        let mut rng = generator(self.spec.seed, Stream::Synthetic(number as u64));
        let first = number * BLOCK_USERS;
        let last = self.counts.len().min(first + BLOCK_USERS);
        let total = self.counts[first..last].iter().map(|&n| n as usize).sum();
        let mut block = Block {
            users: Vec::with_capacity(total),
            items: Vec::with_capacity(total),
            values: Vec::with_capacity(total),
            times: Vec::with_capacity(total),
        };
        let mut taken = vec![u32::MAX; self.weights.len()];
        for user in first..last {
            let count = self.counts[user] as usize;
            // A user joins at some time in twenty years, and rates an item about every minute.
            let mut time = 946_684_800 + rng.random_range(0..630_000_000_i64);
            let start = block.items.len();
            if count * 8 > self.weights.len() {
                // Weighted sampling without replacement by exponential keys (Efraimidis, Spirakis
                // 2006).
                let mut keys: Vec<(f32, i64)> = self
                    .weights
                    .iter()
                    .enumerate()
                    .map(|(i, &w)| (-rng.random::<f32>().max(f32::MIN_POSITIVE).ln() / w, i as i64))
                    .collect();
                keys.select_nth_unstable_by(count - 1, |a, b| a.0.total_cmp(&b.0));
                block.items.extend(keys[..count].iter().map(|&(_, i)| i));
            } else {
                while block.items.len() - start < count {
                    let item = self.sampler.sample(&mut rng);
                    if std::mem::replace(&mut taken[item], user as u32) != user as u32 {
                        block.items.push(item as i64);
                    }
                }
            }
            for item in &mut block.items[start..] {
                let noise: f64 = StandardNormal.sample(&mut rng);
                block.values.push(self.rating(user, *item as usize, noise));
                block.users.push(user as i64 + 1);
                block.times.push(time);
                time += rng.random_range(5..120);
                *item += 1;
            }
        }
        block
    }

    fn rating(&self, user: usize, item: usize, noise: f64) -> f32 {
        let Synthetic { step, range: (min, max), .. } = self.spec;
        let product: f32 = self
            .user_vectors
            .row(user)
            .iter()
            .zip(self.item_vectors.row(item))
            .map(|(a, b)| a * b)
            .sum();
        let exact = f64::midpoint(min, max)
            + f64::from(self.user_biases[user] + self.item_biases[item] + product)
            + noise * self.spec.noise;
        let stepped = if step > 0.0 { min + ((exact - min) / step).round() * step } else { exact };
        stepped.clamp(min, max) as f32
    }
}

fn normals(spec: &Synthetic, stream: u64, len: usize, spread: f64) -> Vec<f32> {
    let mut rng = generator(spec.seed, Stream::Synthetic(stream));
    // The spread is finite and not negative here, so the distribution exists.
    Normal::new(0.0, spread).map_or_else(
        |_| vec![0.0; len],
        |normal| (0..len).map(|_| normal.sample(&mut rng) as f32).collect(),
    )
}

/// Ratings per user: log-normal, at least 1 and at most `cap`, with the exact total `spec.ratings`.
fn activity(spec: &Synthetic, cap: u64) -> Vec<u32> {
    let weights: Vec<f64> = normals(spec, TRUTH, spec.users as usize, 1.2)
        .iter()
        .map(|&z| f64::from(z).exp())
        .collect();
    let share = |scale: f64, w: f64| (1.0 + scale * w).min(cap as f64);
    let total = |scale: f64| weights.iter().map(|&w| share(scale, w)).sum::<f64>();
    // Bisects the scale. The total grows with the scale, up to the maximum that was checked before.
    let (mut low, mut high) = (0.0, 1.0);
    while total(high) < spec.ratings as f64 && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if total(middle) < spec.ratings as f64 { low = middle } else { high = middle }
    }
    let mut counts: Vec<u32> = weights.iter().map(|&w| share(low, w) as u32).collect();
    // Rounding down leaves ratings to distribute, fewer than one per user.
    let mut missing = spec.ratings - counts.iter().map(|&n| u64::from(n)).sum::<u64>();
    while missing > 0 {
        for count in counts.iter_mut().filter(|n| u64::from(**n) < cap) {
            if missing == 0 {
                break;
            }
            *count += 1;
            missing -= 1;
        }
    }
    counts
}

/// Power-law weights of the items, in random order.
fn popularity(spec: &Synthetic) -> Vec<f32> {
    let head = 2.0 + spec.items as f32 / 1000.0;
    let mut weights: Vec<f32> =
        (0..spec.items).map(|rank| (rank as f32 + head).powf(-1.2)).collect();
    let mut rng = generator(spec.seed, Stream::Synthetic(TRUTH + 1));
    for i in (1..weights.len()).rev() {
        weights.swap(i, rng.random_range(0..=i));
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Synthetic {
        Synthetic {
            users: 600,
            items: 90,
            ratings: 8000,
            rank: 3,
            noise: 0.4,
            step: 0.5,
            range: (0.5, 5.0),
            seed: 3,
        }
    }

    fn all(spec: Synthetic) -> Block {
        let generator = Generator::new(spec).expect("fits");
        generator.make(0..generator.blocks()).into_iter().fold(Block::default(), |mut all, b| {
            all.users.extend(b.users);
            all.items.extend(b.items);
            all.values.extend(b.values);
            all.times.extend(b.times);
            all
        })
    }

    #[test]
    fn counts_are_exact_and_nobody_rates_twice() {
        let data = all(spec());
        assert_eq!(data.users.len(), 8000);
        let mut cells: Vec<_> = data.users.iter().zip(&data.items).collect();
        cells.sort_unstable();
        cells.dedup();
        assert_eq!(cells.len(), 8000);
        assert!(cells.iter().all(|(u, i)| (1..=600).contains(*u) && (1..=90).contains(*i)));
        assert!(data.values.iter().all(|v| (0.5..=5.0).contains(v) && (v * 2.0).fract() == 0.0));
        assert_eq!(data, all(spec()));
        assert_ne!(data, all(Synthetic { seed: 4, ..spec() }));
    }

    #[test]
    fn users_and_items_are_long_tailed() {
        let data = all(spec());
        let mut items = [0; 91];
        data.items.iter().for_each(|&i| items[i as usize] += 1);
        items.sort_unstable();
        assert!(items[90] > 4 * items[20], "{items:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for bad in [
            Synthetic { ratings: 599, ..spec() },
            Synthetic { ratings: 600 * 45 + 1, ..spec() },
            Synthetic { range: (5.0, 5.0), ..spec() },
            Synthetic { step: f64::NAN, ..spec() },
        ] {
            assert!(matches!(Generator::new(bad), Err(Error::Usage(_))));
        }
        assert_eq!(all(Synthetic { ratings: 600 * 45, ..spec() }).users.len(), 27_000);
    }
}
