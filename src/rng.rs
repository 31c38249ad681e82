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
}

/// The generator of one seed and purpose.
#[must_use]
pub fn generator(seed: u64, stream: Stream) -> impl Rng {
    // The purpose goes into the key, the row or block into the 64-bit stream number.
    let (purpose, number) = match stream {
        Stream::Split => (1, 0),
        Stream::Start(Axis::User, key) => (2, key),
        Stream::Start(Axis::Item, key) => (3, key),
        Stream::Synthetic(block) => (4, block),
    };
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose;
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(number);
    rng
}
