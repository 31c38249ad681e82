//! Seeded random generators, one stream per purpose.
//!
//! `ChaCha` with 8 rounds: the same numbers on every platform and in every release.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ids::Axis;

/// What random numbers are for. Streams of different purposes never overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Drawing a random holdout.
    Split,
    /// The starting vector of the row with this key.
    Start(Axis, u64),
    /// The n-th block of a synthetic data set.
    Synthetic(u64),
    /// A draw of the row with this key in one iteration.
    Row(Axis, u32, u64),
    /// What all rows of a side share in one iteration.
    Hyper(Axis, u32),
    /// The precision of the noise in one iteration.
    Precision(u32),
    /// The order of one epoch.
    Epoch(u32),
    /// The n-th resample of a bootstrap.
    Bootstrap(u32),
    /// The n-th point of a search for settings.
    Search(u32),
}

/// The generator of one seed and purpose.
#[must_use]
pub fn generator(seed: u64, stream: Stream) -> impl Rng {
    // The purpose and the iteration go into the key, the row or block into the 64-bit stream number.
    let (purpose, iteration, number) = match stream {
        Stream::Split => (1, 0, 0),
        Stream::Start(Axis::User, key) => (2, 0, key),
        Stream::Start(Axis::Item, key) => (3, 0, key),
        Stream::Synthetic(block) => (4, 0, block),
        Stream::Row(Axis::User, iteration, key) => (5, iteration, key),
        Stream::Row(Axis::Item, iteration, key) => (6, iteration, key),
        Stream::Hyper(Axis::User, iteration) => (7, iteration, 0),
        Stream::Hyper(Axis::Item, iteration) => (8, iteration, 0),
        Stream::Precision(iteration) => (9, iteration, 0),
        Stream::Epoch(epoch) => (10, epoch, 0),
        Stream::Bootstrap(number) => (11, number, 0),
        Stream::Search(number) => (12, number, 0),
    };
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose;
    key[9..13].copy_from_slice(&u32::to_le_bytes(iteration));
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(number);
    rng
}
