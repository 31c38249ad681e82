//! Dense linear algebra at the scale of one row: factor matrices, normal equations, Cholesky.
//!
//! Most computations use single precision. Sums over long rows, fallback solves and small inverses
//! use double precision. Everything is deterministic: a result depends on the operands and the
//! instruction set, never on the number of threads.

mod cholesky;
mod compress;
mod dense64;
mod dual;
mod failure;
mod group;
mod inverse;
mod matrix;
mod normal;
mod packed;
pub mod simd;
mod solve;
mod top;

pub use cholesky::solve_bordered;
pub use compress::ProductSum;
pub use dense64::{Dense, solve_bordered_f64};
pub use dual::Dual;
pub use failure::NotPositiveDefinite;
pub use group::{Done, Group};
pub use inverse::invert_symmetric;
pub use matrix::{Matrix, norm};
pub use normal::{CHUNK, NormalEquations, Solution, sum};
pub use top::{Panels, Scored, Selection};
