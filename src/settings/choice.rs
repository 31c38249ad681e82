//! Which algorithm is meant, and what follows from that before anything is decided.

use super::algorithms::method;
use super::criterion::Criterion;
use super::names::AlgorithmName;
use super::options;
use super::train::TrainConfig;
use crate::metric::ranking::RankingMetric;

impl TrainConfig {
    /// The algorithm: the one that was set, or the default, `bayes`. Options that als takes and bayes
    /// does not decide for als: such a configuration meant als before bayes became the default.
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

    /// The warning for an option that selects als where no algorithm is named.
    #[must_use]
    pub fn implied_algorithm(&self) -> Option<String> {
        let flag = self.option_of_als()?;
        (self.algorithm.is_none() && self.positive_from.is_none()).then(|| {
            format!(
                "{flag} is a setting of als, so als is trained instead of the default, bayes: give \
                 -a als if that is meant"
            )
        })
    }

    /// Whether rows without ratings may be taken for events: nothing was said about it.
    pub(crate) fn may_be_events(&self) -> bool {
        let stdin = self.input.iter().any(|input| input == "-");
        self.algorithm.is_none() && self.load.rating_col.is_none() && !stdin
    }

    /// The same settings for events.
    pub(crate) fn of_events(&self) -> Self {
        Self { algorithm: Some(AlgorithmName::Ials), ..self.clone() }
    }

    /// Whether the algorithm fits events: its scores are preferences, not ratings.
    pub(crate) fn reads_events(&self) -> bool {
        method(self.algorithm_name()).reads_events()
    }

    /// Whether values are counts of events. They are ratings otherwise, also where the high ones become
    /// events.
    #[must_use]
    pub(crate) fn reads_counts(&self) -> bool {
        self.reads_events() && self.positive_from.is_none()
    }

    /// What `--patience` and tuning compare by, for scores that are ratings or not.
    pub(super) fn criterion_for(&self, rates: bool) -> Criterion {
        self.criterion.unwrap_or(match rates {
            true => Criterion::Rmse,
            false => Criterion::Ranking(RankingMetric::ndcg(10)),
        })
    }
}
