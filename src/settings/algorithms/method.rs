//! The interface of an algorithm to the settings: one [`Method`] with its [`Fit`] per algorithm.

use std::fmt::Debug;

use super::super::train::TrainConfig;
use crate::error::Result;
use crate::objective::Regularization;
use crate::ratings::Ratings;
use crate::train::Algorithm;

/// An algorithm as the settings see it.
pub(crate) trait Method: Sync {
    /// Keys of the options that it takes; [`super::super::options::OPTIONS`] lists them all.
    fn takes(&self) -> &'static [&'static str];

    /// Whether it fits events, so that its scores are preferences and not ratings.
    fn reads_events(&self) -> bool {
        false
    }

    /// Whether a row of a published model can be solved exactly, as fold-in and update need.
    fn row_solve(&self) -> RowSolve {
        RowSolve::Never
    }

    /// Decides everything that `config` leaves open, except what follows from the ratings.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] for options that cannot be combined.
    fn plan(&self, config: &TrainConfig) -> Result<Box<dyn Fit>>;

    /// The default that a law derives from the ratings for an option, in words for the help.
    fn law(&self, _key: &str) -> Option<&'static str> {
        None
    }

    /// The space that `lacuna tune` searches by default, as TOML.
    fn space(&self) -> &'static str;
}

/// When a row of a published model can be solved exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowSolve {
    /// Never: the fit minimises no quadratic function of a row.
    Never,
    /// Always.
    Always,
    /// If the model contains its posterior.
    WithPosterior,
}

/// The settings of one fit.
///
/// Every setting is either decided or marked to follow from the ratings, by a law or a search.
pub(crate) trait Fit: Debug + Send + Sync {
    /// The properties of the fit that the rest of the program uses.
    fn facts(&self) -> Facts;

    /// Writes the decided settings into the record of a training.
    fn record(&self, settings: &mut TrainConfig);

    /// Decides by their laws the settings that follow from the ratings.
    fn settle(&mut self, ratings: &Ratings);

    /// The algorithm with these settings.
    ///
    /// Before [`Fit::settle`], its open settings are 0 and an open rank is the largest possible.
    fn algorithm(&self) -> Box<dyn Algorithm>;

    /// Makes the fit run exactly this many iterations.
    fn run_exactly(&mut self, iterations: u32);

    /// Limits the rank to at most `most`.
    fn limit_rank(&mut self, most: u32);

    /// The setting to search for before the fit, if any.
    fn sought(&self) -> Option<SearchedSetting> {
        None
    }

    /// Whether the user asked for the search.
    ///
    /// A search by default is skipped when there are too few ratings.
    fn must_search(&self) -> bool {
        false
    }

    /// Sets the value that a search found and then settles.
    ///
    /// The value is `None` if there were too few ratings for a search.
    fn choose(&mut self, _value: Option<f64>, ratings: &Ratings) {
        self.settle(ratings);
    }

    /// The value at which the search for [`Fit::sought`] begins, given by a law.
    fn law_value(&self, _ratings: &Ratings) -> f64 {
        1.0
    }

    /// Returns a boxed copy.
    fn boxed(&self) -> Box<dyn Fit>;
}

impl Clone for Box<dyn Fit> {
    fn clone(&self) -> Self {
        self.boxed()
    }
}

/// The properties of a fit that the rest of the program uses.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// Whether scores are ratings; otherwise they are preferences.
    pub rates: bool,
    /// Whether ratings are standardised before the fit.
    pub standardises: bool,
    /// Whether biases are fitted.
    pub biases: bool,
    /// Whether all entries of the vectors are at least 0.
    pub nonnegative: bool,
    /// Maximum number of iterations.
    pub iterations: u32,
    /// Entries of a vector; before it is settled, the largest number that the law can give.
    pub rank: u32,
    /// λ of the vectors; 0 for algorithms without one.
    pub lambda: f64,
    /// The whole regularisation, with the overrides of single sides.
    pub regularization: Regularization,
    /// Weight α₀ of unobserved pairs, for implicit feedback.
    pub unobserved_weight: Option<f64>,
    /// Description of the objective for the manifest.
    pub objective: String,
    /// Description for the manifest of how λ grows with a row's number of ratings.
    pub weighting: &'static str,
    /// Numbers that the fit holds per user and item in addition to three copies of the factors.
    pub numbers_per_row: usize,
    /// Numbers per user and item in the saved state of the fit in addition to its factors.
    pub state_per_row: usize,
    /// Bytes that the fit holds per rating in addition to the ratings matrix.
    pub bytes_per_rating: u64,
    /// Whether a warm start needs the posterior of the earlier model.
    pub starts_from_posterior: bool,
    /// Whether every row has its own covariance; such a fit always makes a cold start.
    pub owns_covariances: bool,
    /// Whether users can be folded in only after the last iteration.
    pub folds_in_at_end: bool,
    /// Whether tuning settles the laws first, so that best.toml holds their values.
    pub settles_before_search: bool,
}

/// The regularisation of algorithms that have none.
pub(super) const NO_REGULARIZATION: Regularization =
    Regularization { users: 0.0, items: 0.0, biases: 0.0, damping: 0.0, exponent: 0.0 };

impl Facts {
    /// The facts of a plain fit of explicit ratings: standardised, with biases, not regularised.
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

/// The value of a setting, or the way to find it once the ratings are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Decision<T> {
    /// The value is known.
    Known(T),
    /// A law gives the value.
    Law,
    /// A search finds the value.
    Search,
}

impl<T: Copy> Decision<T> {
    /// The value if it is set, otherwise the law.
    pub(super) fn set(value: Option<T>) -> Self {
        value.map_or(Self::Law, Self::Known)
    }

    /// Returns the value if it is known.
    pub(super) fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Law | Self::Search => None,
        }
    }

    /// Replaces [`Decision::Law`] by the law's value, if it has one.
    pub(super) fn settle(&mut self, law: impl FnOnce() -> Option<T>) {
        if let (Self::Law, Some(value)) = (&self, law()) {
            *self = Self::Known(value);
        }
    }
}

/// The setting that a search looks for, and the steps of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SearchedSetting {
    /// λ of the vectors.
    Lambda,
    /// The total weight of all unobserved pairs as a multiple of the observed cells; λ follows it.
    Ratio,
}

impl SearchedSetting {
    /// The factor from one trial to the next.
    pub(crate) const fn step(self) -> f64 {
        match self {
            Self::Lambda => 1.6,
            Self::Ratio => 4.0,
        }
    }

    /// The relative improvement that a neighbour needs to become the best value.
    ///
    /// Ranking metrics need a margin because they are noisier than errors.
    pub(crate) const fn margin(self) -> f64 {
        match self {
            Self::Lambda => 0.0,
            Self::Ratio => 0.01,
        }
    }
}
