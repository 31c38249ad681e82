//! Chooses the algorithm, and derives what follows from it before a plan is made.

use super::algorithms::method;
use super::criterion::Criterion;
use super::names::AlgorithmName;
use super::options;
use super::train::TrainConfig;
use crate::metric::ranking::RankingMetric;

impl TrainConfig {
    /// The algorithm: the one that is set, or the default, `bayes`.
    ///
    /// Without a name, `positive_from` implies ials, and options that als takes but bayes does not
    /// imply als. Such a configuration meant als before bayes became the default.
    #[must_use]
    pub fn algorithm_name(&self) -> AlgorithmName {
        match self.algorithm {
            Some(name) => name,
            None if self.positive_from.is_some() => AlgorithmName::Ials,
            None if self.option_of_als().is_some() => AlgorithmName::Als,
            None => AlgorithmName::Bayes,
        }
    }

    fn option_of_als(&self) -> Option<&'static str> {
        let option = options::distinguishing(self, AlgorithmName::Als, AlgorithmName::Bayes);
        option.map(|option| option.flag)
    }

    /// The warning for an option that implies als when no algorithm is named.
    #[must_use]
    pub fn implied_algorithm(&self) -> Option<String> {
        let flag = self.option_of_als()?;
        (self.algorithm.is_none() && self.positive_from.is_none()).then(|| {
            format!(
                "{flag} is a setting of als, so als is trained instead of the default, bayes; pass \
                 -a als to train it without this warning"
            )
        })
    }

    /// Whether rows of files without a rating column may be read as events.
    ///
    /// They may if no algorithm and no rating column are set and no input is standard input.
    pub(crate) fn may_be_events(&self) -> bool {
        let stdin = self.input.iter().any(|input| input == "-");
        self.algorithm.is_none() && self.load.rating_col.is_none() && !stdin
    }

    /// These settings with the algorithm for events, ials.
    pub(crate) fn of_events(&self) -> Self {
        Self { algorithm: Some(AlgorithmName::Ials), ..self.clone() }
    }

    /// Whether the algorithm fits events, so that its scores are preferences and not ratings.
    pub(crate) fn reads_events(&self) -> bool {
        method(self.algorithm_name()).reads_events()
    }

    /// Whether values are counts of events.
    ///
    /// Otherwise they are ratings, also under `positive_from`, where high ratings become events.
    #[must_use]
    pub(crate) fn reads_counts(&self) -> bool {
        self.reads_events() && self.positive_from.is_none()
    }

    /// The criterion of `--patience` and tuning; `rates` says whether scores are ratings.
    pub(super) fn criterion_for(&self, rates: bool) -> Criterion {
        self.criterion.unwrap_or(match rates {
            true => Criterion::Rmse,
            false => Criterion::Ranking(RankingMetric::ndcg(10)),
        })
    }
}
