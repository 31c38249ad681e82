//! Splits cells into training and holdout cells.
//!
//! A split depends only on the cells, their ids and its own settings. The same input gives the same
//! holdout on every machine and for any number of threads.

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ids::Ids;
use crate::ratings::Cell;

/// Name of the hash of [`Split::Hash`]. It is recorded so that the hash is never changed silently.
pub const HASH_NAME: &str = "sha256-splitmix64";

/// How the holdout is chosen.
///
/// | split | holdout | leaks |
/// |---|---|---|
/// | `Hash` | the same cells every night | the future of a user into the past |
/// | `Random` | an exact share, drawn by seed; differs when cells change | as `Hash` |
/// | `Last` | each user's latest cells | other users' future |
/// | `Time` | everything from a date on | nothing |
/// | `User` | users unseen in training, folded in from a part of their cells | as `Hash` |
/// | `Fold` | one of several parts that together are all cells | as `Hash` |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Split {
    /// A cell is held out if a stable hash of user, item and salt falls below the share.
    ///
    /// `u` and `i` are the keys of [`Ids::keys`] under the domains `SALT/user` and `SALT/item`.
    /// `mix` is the finaliser of SplitMix64 (Steele, Lea, Flood 2014). The hash is
    /// `mix(u ^ mix(i))`. Its upper 53 bits, divided by 2⁵³, are compared with `ratio`.
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
    /// The latest cells of each user (at equal times, the larger item id). At least one cell stays.
    Last(Last),
    /// Every cell at or after a point in time.
    Time {
        /// Seconds since 1970 in UTC.
        at: i64,
    },
    /// Whole users (strong generalisation: Marlin 2004).
    ///
    /// A user is held out if a stable hash of its key falls below `ratio`. Cells of a held-out user
    /// are fold-in cells if their hash falls below `fold_in_ratio`. The other cells of that user
    /// are held out.
    User {
        /// Expected share of the users.
        #[serde(rename = "fraction")]
        ratio: f64,
        /// Expected share of a held-out user's cells that are fold-in cells.
        fold_in_ratio: f64,
        /// Distinguishes independent splits.
        salt: String,
    },
    /// One part of a partition into `folds` parts, by the hash of [`Split::Hash`].
    Fold {
        /// Number of the part, from 0.
        number: u32,
        /// Number of parts.
        folds: u32,
        /// Distinguishes independent partitions.
        salt: String,
    },
    /// Nothing.
    None,
}

/// The result of a split. Each part keeps the order of the cells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// Cells to train on.
    pub training: Vec<Cell>,
    /// Cells of held-out users for fold-in ([`Split::User`] only).
    pub fold_in: Vec<Cell>,
    /// Held-out cells.
    pub holdout: Vec<Cell>,
}

impl Split {
    /// Describes what a holdout of this kind keeps from training, and what leaks.
    #[must_use]
    pub const fn leaks(&self) -> &'static str {
        match self {
            Self::Hash { .. } | Self::Random { .. } | Self::Fold { .. } => {
                "held-out ratings are of any time: training sees later ratings of the same users \
                 and items"
            }
            Self::Last(_) => {
                "a user's held-out ratings are later than its training ratings; training sees \
                 other users' later ratings"
            }
            Self::Time { .. } => {
                "nothing of the time from the split on is in training; users and items may be new"
            }
            Self::User { .. } => {
                "held-out users are in no training rating; what they are folded in from may be \
                 later than what is predicted"
            }
            Self::None => "nothing is held out",
        }
    }
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
    /// Splits cells that are sorted by user and item.
    #[must_use]
    pub fn apply(&self, cells: Vec<Cell>, users: &Ids, items: &Ids) -> Parts {
        let held_out = match self {
            Self::None => return Parts { training: cells, ..Parts::default() },
            Self::Hash { ratio, salt } => hash(&cells, 0.0..*ratio, salt, users, items),
            Self::Fold { number, folds, salt } => {
                let share = |number: u32| f64::from(number) / f64::from(*folds);
                hash(&cells, share(*number)..share(number + 1), salt, users, items)
            }
            Self::User { ratio, fold_in_ratio, salt } => {
                let held_out = whole_users(&cells, *ratio, salt, users);
                let (training, theirs) = partition(cells, &held_out);
                let salt = format!("{salt}/fold-in");
                let given = hash(&theirs, 0.0..*fold_in_ratio, &salt, users, items);
                let (holdout, fold_in) = partition(theirs, &given);
                return Parts { training, fold_in, holdout };
            }
            Self::Random { ratio, seed } => random(cells.len(), *ratio, *seed),
            Self::Last(last) => latest(&cells, *last),
            Self::Time { at } => cells.par_iter().map(|c| c.time >= *at).collect(),
        };
        let (training, holdout) = partition(cells, &held_out);
        Parts { training, holdout, ..Parts::default() }
    }
}

/// Splits cells by a mask and keeps their order. The training cells stay in place.
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

/// The upper 53 bits of a hash, as a number from 0 to below 1.
const fn share(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

fn whole_users(cells: &[Cell], ratio: f64, salt: &str, users: &Ids) -> Vec<bool> {
    let keys = users.keys(&format!("{salt}/held-out-user"));
    cells.par_iter().map(|cell| share(mix(keys[cell.user as usize])) < ratio).collect()
}

/// Whether the hash of each cell lies in a range of shares.
fn hash(
    cells: &[Cell],
    range: std::ops::Range<f64>,
    salt: &str,
    users: &Ids,
    items: &Ids,
) -> Vec<bool> {
    let user_keys = users.keys(&format!("{salt}/user"));
    let mut item_keys = items.keys(&format!("{salt}/item"));
    for key in &mut item_keys {
        *key = mix(*key);
    }
    let within = |cell: &Cell| {
        range.contains(&share(mix(user_keys[cell.user as usize] ^ item_keys[cell.item as usize])))
    };
    cells.par_iter().map(within).collect()
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
            // In binary, 0.29 x 100 is slightly less than 29.
            Last::Ratio(ratio) => (ratio * len as f64 + 1e-9) as usize,
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

    fn parts(split: &Split, users: u32, items: u32) -> Parts {
        split.apply(grid(users, items), &Ids::range(users as usize), &Ids::range(items as usize))
    }

    fn apply(split: &Split, users: u32, items: u32) -> (Vec<Cell>, Vec<Cell>) {
        let Parts { training, holdout, .. } = parts(split, users, items);
        (training, holdout)
    }

    fn split() -> impl Strategy<Value = Split> {
        prop_oneof![
            (0.01..0.99, "[a-z]{0,3}").prop_map(|(ratio, salt)| Split::Hash { ratio, salt }),
            (0.01..0.99, any::<u64>()).prop_map(|(ratio, seed)| Split::Random { ratio, seed }),
            (0.01..0.99).prop_map(|r| Split::Last(Last::Ratio(r))),
            (0_u32..9).prop_map(|k| Split::Last(Last::Count(k))),
            (-1_i64..6).prop_map(|at| Split::Time { at }),
            (0.01..0.99, 0.01..0.99, "[a-z]{0,3}").prop_map(|(ratio, fold_in_ratio, salt)| {
                Split::User { ratio, fold_in_ratio, salt }
            }),
            (0_u32..4, "[a-z]{0,3}").prop_map(|(number, salt)| Split::Fold {
                number,
                folds: 4,
                salt
            }),
            Just(Split::None),
        ]
    }

    proptest! {
        #[test]
        fn every_split_is_a_partition(split in split(), users in 0_u32..12, items in 0_u32..12) {
            let Parts { training, fold_in, holdout } = parts(&split, users, items);
            let key = |c: &Cell| (c.user, c.item);
            for part in [&training, &fold_in, &holdout] {
                prop_assert!(part.is_sorted_by_key(key));
            }
            let by_user = matches!(split, Split::User { .. });
            prop_assert!(fold_in.is_empty() || by_user);
            let mut all: Vec<_> =
                training.iter().chain(&fold_in).chain(&holdout).map(key).collect();
            all.sort_unstable();
            prop_assert_eq!(all, grid(users, items).iter().map(key).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_hash_is_what_the_documentation_says() {
        let (_, holdout) = apply(&Split::Hash { ratio: 0.3, salt: "s".into() }, 4, 5);
        let held: Vec<_> = holdout.iter().map(|c| (c.user, c.item)).collect();
        // Values printed by `scripts/reference.py hash`.
        assert_eq!(held, [(0, 2), (1, 0), (2, 4), (3, 0), (3, 2)]);
    }

    #[test]
    fn the_hash_share_is_right_and_cells_keep_their_side_when_others_come() {
        let split = Split::Hash { ratio: 0.1, salt: "a".into() };
        let (_, small) = apply(&split, 300, 300);
        let share = small.len() as f64 / 90_000.0;
        // The tolerance is three standard deviations of a binomial share.
        assert!((share - 0.1).abs() < 0.003, "{share}");
        let (_, large) = apply(&split, 301, 310);
        let of_small: Vec<_> = large.into_iter().filter(|c| c.user < 300 && c.item < 300).collect();
        assert_eq!(of_small, small);
        let (_, other) = apply(&Split::Hash { ratio: 0.1, salt: "b".into() }, 300, 300);
        assert_ne!(other, small);
    }

    #[test]
    fn folds_are_a_partition_and_the_first_is_the_hash_holdout() {
        let fold = |number| apply(&Split::Fold { number, folds: 5, salt: "s".into() }, 40, 50).1;
        let mut all: Vec<_> = (0..5).flat_map(fold).map(|c| (c.user, c.item)).collect();
        all.sort_unstable();
        assert_eq!(all, grid(40, 50).iter().map(|c| (c.user, c.item)).collect::<Vec<_>>());
        assert_eq!(fold(0), apply(&Split::Hash { ratio: 0.2, salt: "s".into() }, 40, 50).1);
        // The tolerance is three standard deviations of a binomial share.
        assert!((0..5).all(|n| (fold(n).len() as f64 / 2000.0 - 0.2).abs() < 0.027));
    }

    #[test]
    fn held_out_users_are_in_no_training_cell() {
        let split = Split::User { ratio: 0.3, fold_in_ratio: 0.8, salt: "s".into() };
        let Parts { training, fold_in, holdout } = parts(&split, 200, 40);
        let users = |cells: &[Cell]| {
            cells.iter().map(|c| c.user).collect::<std::collections::BTreeSet<_>>()
        };
        assert!(users(&training).is_disjoint(&users(&fold_in)));
        assert!(users(&training).is_disjoint(&users(&holdout)));
        assert_eq!(users(&fold_in), users(&holdout));
        // The tolerances are three standard deviations of binomial shares: of 200 users, of some
        // 2400 cells.
        assert!((users(&holdout).len() as f64 / 200.0 - 0.3).abs() < 0.1);
        let given = fold_in.len() as f64 / (fold_in.len() + holdout.len()) as f64;
        assert!((given - 0.8).abs() < 0.025, "{given}");
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
        // Items 0 to 4 have the times 0 2 4 1 3.
        assert_eq!(holdout.iter().map(|c| c.item).collect::<Vec<_>>(), [2, 4]);
        let (train, _) = apply(&Split::Last(Last::Count(9)), 3, 5);
        assert_eq!(train.len(), 3);
        let (_, holdout) = apply(&Split::Last(Last::Ratio(0.39)), 1, 5);
        assert_eq!(holdout.len(), 1);
        let (_, holdout) = apply(&Split::Last(Last::Ratio(0.29)), 2, 100);
        assert_eq!(holdout.len(), 58);
    }
}
