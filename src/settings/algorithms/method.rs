//! What settings must know of an algorithm: one [`Method`] and its [`Fit`] per algorithm.

use std::fmt::Debug;

use super::super::train::TrainConfig;
use crate::error::Result;
use crate::objective::Regularization;
use crate::ratings::Ratings;
use crate::train::Algorithm;

/// An algorithm as the settings see it.
pub(crate) trait Method: Sync {
    /// Keys of the options that it takes, as [`super::super::options::OPTIONS`] lists them.
    fn takes(&self) -> &'static [&'static str];

    /// Whether it fits events: its scores are preferences, not ratings.
    fn reads_events(&self) -> bool {
        false
    }

    /// Decides everything that `said` leaves open and the ratings do not decide.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] for options that do not go together.
    fn plan(&self, said: &TrainConfig) -> Result<Box<dyn Fit>>;

    /// The default of an option that a law derives from the ratings, in words for the help.
    fn law(&self, _key: &str) -> Option<&'static str> {
        None
    }

    /// The space that `lacuna tune` searches by default (TOML).
    fn space(&self) -> &'static str;
}

/// How the factors are fitted: every setting is decided, or known to follow from the ratings.
pub(crate) trait Fit: Debug + Send + Sync {
    /// What the rest of the program asks about the fit.
    fn facts(&self) -> Facts;

    /// Writes the decided settings into the record of a training.
    fn record(&self, settings: &mut TrainConfig);

    /// Decides what follows from the ratings by a law.
    fn settle(&mut self, ratings: &Ratings);

    /// The algorithm. Before [`Fit::settle`] its open settings are 0, its rank the largest possible.
    fn algorithm(&self) -> Box<dyn Algorithm>;

    /// From now on the fit runs exactly so many iterations.
    fn run_exactly(&mut self, iterations: u32);

    /// From now on the rank is at most `most`.
    fn limit_rank(&mut self, most: u32);

    /// What is to be searched before the fit, if anything.
    fn sought(&self) -> Option<Sought> {
        None
    }

    /// Whether the search was asked for; a default search may be left out where ratings are few.
    fn must_search(&self) -> bool {
        false
    }

    /// Takes a searched value, none where the search had too few ratings; then settles.
    fn choose(&mut self, _value: Option<f64>, ratings: &Ratings) {
        self.settle(ratings);
    }

    /// Where the search for [`Fit::sought`] begins: the value that a law gives.
    fn law_value(&self, _ratings: &Ratings) -> f64 {
        1.0
    }

    /// A copy.
    fn boxed(&self) -> Box<dyn Fit>;
}

impl Clone for Box<dyn Fit> {
    fn clone(&self) -> Self {
        self.boxed()
    }
}

/// What the rest of the program asks about a fit.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Whether scores are ratings; they are preferences otherwise.
    pub rates: bool,
    /// Whether the fit is to standardised ratings.
    pub standardises: bool,
    /// Whether biases are fitted.
    pub biases: bool,
    /// Whether no entry of a vector is negative.
    pub nonnegative: bool,
    /// Iterations, at most.
    pub iterations: u32,
    /// Entries of a vector; the largest number that the law gives where it is not settled yet.
    pub rank: u32,
    /// λ of the vectors; 0 for algorithms without one.
    pub lambda: f64,
    /// All of the regularisation, overrides in place.
    pub regularization: Regularization,
    /// α₀ of implicit feedback.
    pub unobserved_weight: Option<f64>,
    /// What is minimised, for the manifest.
    pub objective: String,
    /// How the regularisation grows with the number of ratings of a row, for the manifest.
    pub weighting: &'static str,
    /// Numbers that the fit holds for each user and item beside three copies of the factors.
    pub numbers_per_row: usize,
    /// Numbers of each user and item in the state of the fit, beside its factors.
    pub state_per_row: usize,
    /// Bytes that the fit holds for each rating beside the matrix.
    pub bytes_per_rating: u64,
    /// Whether a warm start needs the posterior of the earlier model.
    pub starts_from_posterior: bool,
    /// Whether every row has a covariance of its own; such a fit always starts cold.
    pub owns_covariances: bool,
    /// Whether users can be folded in only after the last iteration.
    pub folds_in_at_end: bool,
    /// Whether a search settles the laws first, so that best.toml holds their values.
    pub settles_before_search: bool,
}

/// The regularisation of algorithms without any.
pub(super) const NO_REGULARIZATION: Regularization =
    Regularization { users: 0.0, items: 0.0, biases: 0.0, damping: 0.0, exponent: 0.0 };

impl Facts {
    /// Explicit ratings, no regularisation, nothing special.
    pub(super) fn new(iterations: u32, rank: u32) -> Self {
        Self {
            rates: true,
            standardises: true,
            biases: true,
            nonnegative: false,
            iterations,
            rank,
            lambda: 0.0,
            regularization: NO_REGULARIZATION,
            unobserved_weight: None,
            objective: String::new(),
            weighting: "none",
            numbers_per_row: 0,
            state_per_row: 0,
            bytes_per_rating: 0,
            starts_from_posterior: false,
            owns_covariances: false,
            folds_in_at_end: false,
            settles_before_search: false,
        }
    }
}

/// A setting: its value, or how the value will be found when the ratings are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Decision<T> {
    /// The value.
    Known(T),
    /// By a law.
    Law,
    /// By a search.
    Search,
}

impl<T: Copy> Decision<T> {
    /// What was said, else the law.
    pub(super) fn said(value: Option<T>) -> Self {
        value.map_or(Self::Law, Self::Known)
    }

    /// The value, if it is known.
    pub(super) fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Law | Self::Search => None,
        }
    }

    /// Puts the value of the law in place where a law decides.
    pub(super) fn settle(&mut self, law: impl FnOnce() -> Option<T>) {
        if let (Self::Law, Some(value)) = (&self, law()) {
            *self = Self::Known(value);
        }
    }
}

/// What a search looks for, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sought {
    /// λ of the vectors.
    Lambda,
    /// The weight of all unobserved pairs together, in observed cells; λ follows it.
    Ratio,
}

impl Sought {
    /// The factor from one trial to the next.
    pub(crate) const fn step(self) -> f64 {
        match self {
            Self::Lambda => 1.6,
            Self::Ratio => 4.0,
        }
    }

    /// The share by which a neighbour must be better to be taken. Rankings are noisier than errors.
    pub(crate) const fn margin(self) -> f64 {
        match self {
            Self::Lambda => 0.0,
            Self::Ratio => 0.01,
        }
    }
}
