//! Kernels for several instruction sets, chosen at run time. All unsafe code of the crate is here.
//!
//! Every kernel is written once, generic over a vector of 4, 8 or 16 lanes (`vector.rs`), and
//! compiled for each instruction set: portable, AVX2 with FMA, and AVX-512. [`Kernels`] is the safe
//! interface: it checks the bounds that the kernels rely on, and only offers instruction sets that
//! the processor has. Results differ between instruction sets in the last bits, but never between
//! runs on the same one.

#![allow(
    unsafe_code,
    reason = "intrinsics and in-place gathered rows; bounds are checked in Kernels"
)]
#![allow(
    clippy::inline_always,
    reason = "a kernel gets its instruction set from the function it is inlined into"
)]
#![allow(clippy::needless_range_loop, reason = "registers are indexed by row and column of a tile")]

mod buffer;
mod checks;
mod combine;
mod descend;
mod dispatch;
mod dots;
mod factor;
mod gram;
mod kernels;
mod lanes;
mod level;
mod operands;
mod portable;
mod products;
mod scores;
mod sizes;
mod triangular;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;

pub(super) use buffer::Buffer;
pub use descend::{Descent, DescentSide};
pub use kernels::Kernels;
pub use level::Level;
pub use operands::{DescentCells, RowList, RowSums, Shifted};
pub(super) use sizes::BLOCK;
pub use sizes::{LANES, PANEL};
