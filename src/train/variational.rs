//! Bayesian matrix factorisation by variational inference.
//!
//! The model is that of [`super::Bayes`]. Independent normal distributions of the users' and the
//! items' rows, `q(p_u, b_u) q(q_i, b_i)`, approximate its posterior (Lim and Teh 2007). Each side
//! in turn is set to the best distributions given those of the other side. Empirical Bayes sets the
//! rows' priors and the noise. Only the starting vectors and the kept samples are random. A fit
//! needs tens of iterations instead of hundreds. Its means are the published vectors, so nothing is
//! compressed.
//!
//! A row's system contains the sum of the covariances of the other side's rows that its cells name.
//!
//! With [`Covariances::Own`], every row has its own covariance. An iteration costs
//! `2 N (k (k + 1) + 2 k²)` and about `(m + n) k³` flops. It reads `k²/2` numbers of covariance per
//! cell, and memory holds as many per row.
//!
//! With [`Covariances::Shared`], rows with similar numbers of cells share a covariance
//! ([`crate::model::covariance_class`]). The sum then goes over some twenty classes instead of all
//! cells. An iteration costs as much as one of exact [`super::Als`] plus `C k²` flops per row for
//! `C` classes.

mod algorithm;
mod fold_in;
mod own;
mod settings;
mod shared;

#[cfg(test)]
mod tests;

pub use own::Spread;
pub use settings::{Covariances, Variational};
