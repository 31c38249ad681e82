//! Which cells are held out of training.
//!
//! Every rule is a function of the cells alone: the same cells give the same holdout on every machine
//! and for any number of threads.

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ids::Ids;
use crate::ratings::Cell;

/// Name of the hash behind [`Split::Hash`], recorded so that it is never changed silently.
pub const HASH_NAME: &str = "sha256-splitmix64";

/// How the holdout is chosen.
///
/// | split | keeps apart | leaks |
/// |---|---|---|
/// | `Hash` | the same cells every night | the future of a user into the past |
/// | `Random` | an exact share, drawn by seed | as `Hash`; differs when cells come or go |
/// | `Last` | each user's latest cells | other users' future |
/// | `Time` | everything from a date on | nothing |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Split {
    /// A cell is held out if a stable hash of user, item and salt falls below the share.
    ///
    /// With `u`, `i` the keys of [`Ids::keys`] under the domains `SALT/user` and `SALT/item` and
    /// `mix` the finaliser of SplitMix64 (Steele, Lea, Flood 2014), the hash is `mix(u ^ mix(i))`;
    /// its upper 53 bits, divided by 2⁵³, are compared with `ratio`.
    Hash {
        /// Expected share of the cells.
        #[serde(rename = "fraction")]
        ratio: f64,
        /// Distinguishes independent splits.
        salt: String,
    },
    /// Exactly `round(ratio x cells)` cells, drawn without replacement.
    Random {
        /// Share of the cells.
        #[serde(rename = "fraction")]
        ratio: f64,
        /// Seed of the draw.
        seed: u64,
    },
    /// Of each user's cells the latest (equal times: the larger item id), at least one stays.
    Last(Last),
    /// Every cell at or after a time.
    Time {
        /// Seconds since 1970 in UTC.
        at: i64,
    },
    /// Nothing.
    None,
}

/// How many of a user's latest cells are held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Last {
    /// `floor(ratio x cells of the user)`.
    Ratio(f64),
    /// This many.
    Count(u32),
}

/// The finaliser of SplitMix64.
#[must_use]
pub const fn mix(mut h: u64) -> u64 {
    h = (h ^ (h >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    h ^ (h >> 31)
}

impl Split {
    /// Splits cells, sorted by user and item, into training and holdout cells in the same order.
    #[must_use]
    pub fn apply(&self, cells: Vec<Cell>, users: &Ids, items: &Ids) -> (Vec<Cell>, Vec<Cell>) {
        let held_out = match self {
            Self::None => return (cells, Vec::new()),
            Self::Hash { ratio, salt } => hash(&cells, *ratio, salt, users, items),
            Self::Random { ratio, seed } => random(cells.len(), *ratio, *seed),
            Self::Last(last) => latest(&cells, *last),
            Self::Time { at } => cells.par_iter().map(|c| c.time >= *at).collect(),
        };
        partition(cells, &held_out)
    }
}

/// Splits cells by a mask, keeping order; the training cells stay in place.
fn partition(mut cells: Vec<Cell>, held_out: &[bool]) -> (Vec<Cell>, Vec<Cell>) {
    let count = held_out.iter().filter(|&&h| h).count();
    let mut holdout = Vec::with_capacity(count);
    let mut mask = held_out.iter();
    cells.retain(|cell| {
        let out = mask.next().copied().unwrap_or(false);
        if out {
            holdout.push(*cell);
        }
        !out
    });
    (cells, holdout)
}

fn hash(cells: &[Cell], ratio: f64, salt: &str, users: &Ids, items: &Ids) -> Vec<bool> {
    let user_keys = users.keys(&format!("{salt}/user"));
    let mut item_keys = items.keys(&format!("{salt}/item"));
    for key in &mut item_keys {
        *key = mix(*key);
    }
    let below = |cell: &Cell| {
        let h = mix(user_keys[cell.user as usize] ^ item_keys[cell.item as usize]);
        ((h >> 11) as f64) / ((1_u64 << 53) as f64) < ratio
    };
    cells.par_iter().map(below).collect()
}

/// Selection sampling (Fan, Muller, Rezucha 1962; Knuth's algorithm S).
fn random(cells: usize, ratio: f64, seed: u64) -> Vec<bool> {
    let mut rng = crate::rng::generator(seed, crate::rng::Stream::Split);
    let mut wanted = (ratio * cells as f64).round() as u64;
    (0..cells as u64)
        .map(|seen| {
            let take = rng.random_range(0..cells as u64 - seen) < wanted;
            wanted -= u64::from(take);
            take
        })
        .collect()
}

fn latest(cells: &[Cell], last: Last) -> Vec<bool> {
    let mut held_out = vec![false; cells.len()];
    let mut start = 0;
    while start < cells.len() {
        let user = cells[start].user;
        let len = cells[start..].partition_point(|c| c.user == user);
        let count = match last {
            Last::Ratio(ratio) => (ratio * len as f64) as usize,
            Last::Count(count) => count as usize,
        };
        let mut order: Vec<usize> = (start..start + len).collect();
        order.sort_by_key(|&p| (cells[p].time, cells[p].item));
        for &p in order.iter().rev().take(count.min(len - 1)) {
            held_out[p] = true;
        }
        start += len;
    }
    held_out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid(users: u32, items: u32) -> Vec<Cell> {
        let cell = |user, item| Cell {
            user,
            item,
            value: 1.0,
            weight: 1.0,
            time: i64::from(item * 7 % 5),
        };
        (0..users).flat_map(|u| (0..items).map(move |i| cell(u, i))).collect()
    }

    fn apply(split: &Split, users: u32, items: u32) -> (Vec<Cell>, Vec<Cell>) {
        split.apply(grid(users, items), &Ids::range(users as usize), &Ids::range(items as usize))
    }

    fn split() -> impl Strategy<Value = Split> {
        prop_oneof![
            (0.01..0.99, "[a-z]{0,3}").prop_map(|(ratio, salt)| Split::Hash { ratio, salt }),
            (0.01..0.99, any::<u64>()).prop_map(|(ratio, seed)| Split::Random { ratio, seed }),
            (0.01..0.99).prop_map(|r| Split::Last(Last::Ratio(r))),
            (0_u32..9).prop_map(|k| Split::Last(Last::Count(k))),
            (-1_i64..6).prop_map(|at| Split::Time { at }),
            Just(Split::None),
        ]
    }

    proptest! {
        #[test]
        fn every_split_is_a_partition(split in split(), users in 0_u32..12, items in 0_u32..12) {
            let (train, holdout) = apply(&split, users, items);
            let key = |c: &Cell| (c.user, c.item);
            prop_assert!(train.is_sorted_by_key(key) && holdout.is_sorted_by_key(key));
            let mut all: Vec<_> = train.iter().chain(&holdout).map(key).collect();
            all.sort_unstable();
            prop_assert_eq!(all, grid(users, items).iter().map(key).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_hash_is_what_the_documentation_says() {
        let (_, holdout) = apply(&Split::Hash { ratio: 0.3, salt: "s".into() }, 4, 5);
        let held: Vec<_> = holdout.iter().map(|c| (c.user, c.item)).collect();
        // Printed by scripts/reference.py hash.
        assert_eq!(held, [(0, 2), (1, 0), (2, 4), (3, 0), (3, 2)]);
    }

    #[test]
    fn the_hash_share_is_right_and_cells_keep_their_side_when_others_come() {
        let split = Split::Hash { ratio: 0.1, salt: "a".into() };
        let (_, small) = apply(&split, 300, 300);
        let share = small.len() as f64 / 90_000.0;
        // Three standard deviations of a binomial share.
        assert!((share - 0.1).abs() < 0.003, "{share}");
        let (_, large) = apply(&split, 301, 310);
        let of_small: Vec<_> = large.into_iter().filter(|c| c.user < 300 && c.item < 300).collect();
        assert_eq!(of_small, small);
        let (_, other) = apply(&Split::Hash { ratio: 0.1, salt: "b".into() }, 300, 300);
        assert_ne!(other, small);
    }

    #[test]
    fn random_takes_an_exact_share() {
        let draw = |seed| apply(&Split::Random { ratio: 0.1, seed }, 10, 21).1;
        assert_eq!(draw(1).len(), 21);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn last_takes_the_latest_and_leaves_one() {
        let (_, holdout) = apply(&Split::Last(Last::Count(2)), 1, 5);
        // Times of items 0..5 are 0 2 4 1 3.
        assert_eq!(holdout.iter().map(|c| c.item).collect::<Vec<_>>(), [2, 4]);
        let (train, _) = apply(&Split::Last(Last::Count(9)), 3, 5);
        assert_eq!(train.len(), 3);
        let (_, holdout) = apply(&Split::Last(Last::Ratio(0.39)), 1, 5);
        assert_eq!(holdout.len(), 1);
    }
}
