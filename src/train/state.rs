//! The state from which an interrupted fit resumes as if it had never ended.

use crate::pair::Pair;
use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::linalg::Matrix;
use crate::model::{Embedding, Factors, Uncertainty};

/// Name of the loop's own numbers in a state.
pub(super) const COURSE: &str = "course";

/// Where a fit starts.
#[derive(Debug, Clone, Copy, Default)]
pub enum Start<'a> {
    /// From random vectors.
    #[default]
    Random,
    /// From these factors, on the scale of standardised ratings: a warm start.
    Factors(&'a Factors),
    /// From these means, with the priors and covariances of an earlier fit by variational
    /// inference.
    ///
    /// Variational inference with shared covariances continues from there on other ratings. Every
    /// other fit starts from the means alone.
    Posterior(&'a Factors, &'a Uncertainty),
    /// After the iteration at which this state was captured. The outcome is bit-identical to that
    /// of an uninterrupted fit.
    State(&'a State),
}

impl<'a> Start<'a> {
    /// The state to resume from, if any.
    pub(super) const fn state(&self) -> Option<&'a State> {
        match *self {
            Self::State(state) => Some(state),
            _ => None,
        }
    }

    /// The vectors of a warm start, if any.
    pub(super) const fn factors(&self) -> Option<&'a Factors> {
        match *self {
            Self::Factors(factors) | Self::Posterior(factors, _) => Some(factors),
            Self::Random | Self::State(_) => None,
        }
    }
}

/// One array of a state.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

/// The state of a fit after an iteration, as named arrays.
///
/// The arrays belong to the algorithm, its settings and its ratings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    arrays: BTreeMap<String, Array>,
}

impl State {
    /// Makes a state of the arrays that [`State::arrays`] returned.
    #[must_use]
    pub const fn new(arrays: BTreeMap<String, Array>) -> Self {
        Self { arrays }
    }

    /// The iteration at which the state was captured.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if this is not the state of a fit.
    pub fn iteration(&self) -> Result<u32> {
        Ok(self.numbers(COURSE)?.first().map_or(0, |&done| done as u32))
    }

    /// The arrays by name.
    #[must_use]
    pub const fn arrays(&self) -> &BTreeMap<String, Array> {
        &self.arrays
    }

    /// Adds an array in double precision.
    pub fn put_numbers(&mut self, name: &str, numbers: Vec<f64>) {
        self.arrays.insert(name.to_owned(), Array::F64(numbers));
    }

    fn put_floats(&mut self, name: &str, floats: Vec<f32>) {
        self.arrays.insert(name.to_owned(), Array::F32(floats));
    }

    /// The array of this name in double precision.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the state has no such array.
    pub fn numbers(&self, name: &str) -> Result<&[f64]> {
        match self.arrays.get(name) {
            Some(Array::F64(numbers)) => Ok(numbers),
            _ => Err(missing(name)),
        }
    }

    /// The array of this name, with exactly `N` numbers in double precision.
    pub(super) fn some<const N: usize>(&self, name: &str) -> Result<[f64; N]> {
        <[f64; N]>::try_from(self.numbers(name)?).map_err(|_| missing(name))
    }

    fn floats(&self, name: &str, len: usize) -> Result<&[f32]> {
        match self.arrays.get(name) {
            Some(Array::F32(floats)) if floats.len() == len => Ok(floats),
            _ => Err(missing(name)),
        }
    }

    /// Adds a matrix, without its padding.
    pub(super) fn put_matrix(&mut self, name: &str, matrix: &Matrix) {
        let mut floats = Vec::with_capacity(matrix.rows() * matrix.cols());
        (0..matrix.rows()).for_each(|row| floats.extend_from_slice(matrix.row(row)));
        self.put_floats(name, floats);
    }

    /// The matrix of this name and shape.
    pub(super) fn matrix(&self, name: &str, rows: usize, cols: usize) -> Result<Matrix> {
        Ok(Matrix::from_rows(rows, cols, self.floats(name, rows * cols)?))
    }

    /// Adds an array of pairs.
    pub(super) fn put_pairs(&mut self, name: &str, pairs: &[[f32; 2]]) {
        self.put_floats(name, pairs.as_flattened().to_vec());
    }

    /// The array of this name, with exactly `len` pairs.
    pub(super) fn pairs(&self, name: &str, len: usize) -> Result<Vec<[f32; 2]>> {
        let (pairs, _) = self.floats(name, 2 * len)?.as_chunks::<2>();
        Ok(pairs.to_vec())
    }

    fn put_embedding(&mut self, name: &str, embedding: &Embedding) {
        self.put_matrix(&format!("{name}.vectors"), &embedding.vectors);
        self.put_floats(&format!("{name}.biases"), embedding.biases.clone());
    }

    fn embedding(&self, name: &str, rows: usize, cols: usize) -> Result<Embedding> {
        let vectors = self.matrix(&format!("{name}.vectors"), rows, cols)?;
        Ok(Embedding { vectors, biases: self.floats(&format!("{name}.biases"), rows)?.to_vec() })
    }

    /// Adds the factors of both sides.
    pub fn put_factors(&mut self, name: &str, factors: &Factors) {
        self.put_embedding(&format!("{name}.users"), &factors.users);
        self.put_embedding(&format!("{name}.items"), &factors.items);
    }

    /// The factors of this name and shape, with `cols` entries per vector.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the state has no factors of that name and shape.
    pub fn factors(&self, name: &str, rows: Pair<usize>, cols: usize) -> Result<Factors> {
        let users = self.embedding(&format!("{name}.users"), rows.users, cols)?;
        Ok(Factors { users, items: self.embedding(&format!("{name}.items"), rows.items, cols)? })
    }
}

fn missing(name: &str) -> Error {
    Error::Checkpoint(format!("it is of another fit: \"{name}\" is missing or of another size"))
}
