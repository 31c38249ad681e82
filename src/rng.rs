//! Seeded random generators, with one stream per purpose.
//!
//! The generator is `ChaCha` with 8 rounds. It produces the same numbers on every platform and in
//! every release.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ids::Axis;

/// The purpose of a random stream. Streams of different purposes never overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The draw of a random holdout.
    Split,
    /// The starting vector of the row with this key.
    Start(Axis, u64),
    /// The n-th block of a synthetic data set.
    Synthetic(u64),
    /// The draw for the row with this key. The number is that of the iteration or of the posterior
    /// draw.
    Row(Axis, u32, u64),
    /// The parameters that all rows of a side share in one iteration.
    Hyper(Axis, u32),
    /// The precision of the noise in one iteration.
    Precision(u32),
    /// The order of the blocks in one epoch.
    Epoch(u32),
    /// The n-th resample of a bootstrap.
    Bootstrap(u32),
    /// The n-th trial of a search over settings.
    Search(u32),
}

/// Creates the generator for a seed and a purpose.
#[must_use]
pub fn generator(seed: u64, stream: Stream) -> impl Rng {
    // The key contains the seed, the purpose and the iteration. The row or block is the 64-bit
    // stream number.
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
