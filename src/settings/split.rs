//! What the settings say about the holdout: the rule that splits the ratings.

use std::path::Path;

use super::defaults::FOLD_IN_RATIO;
use super::holdout::Holdout;
use super::train::TrainConfig;
use crate::error::{Error, Result};
use crate::load::TimeUse;
use crate::split::{Last, Split};

impl TrainConfig {
    /// Checks inputs, output and holdout, and returns the output directory.
    pub(super) fn check_files(&self) -> Result<&Path> {
        let wrong = |message: &str| Err(Error::Usage(message.to_owned()));
        if self.input.is_empty() {
            return wrong(
                "no input: pass rating files, or set input = [...] in the configuration file",
            );
        }
        let Some(output) = &self.output else {
            return wrong(
                "no output: pass -o DIR, or set output = \"DIR\" in the configuration file",
            );
        };
        if self.holdout == Holdout::Time && self.split_time.is_none() {
            return wrong("--holdout time needs --split-time DATE");
        }
        if self.holdout != Holdout::Time && self.split_time.is_some() {
            return wrong("--split-time needs --holdout time");
        }
        if self.holdout != Holdout::Last && self.leave_out.is_some() {
            return wrong("--leave-out needs --holdout last");
        }
        if !self.test_file.is_empty()
            && matches!(self.holdout, Holdout::Last | Holdout::Time | Holdout::User)
        {
            return wrong(
                "--test-file is the holdout, so it cannot be combined with --holdout last, time or \
                 user",
            );
        }
        if self.holdout != Holdout::User && self.fold_in_ratio.is_some() {
            return wrong("--fold-in-ratio needs --holdout user");
        }
        if self.relevant_from.is_some_and(|from| !from.is_finite()) {
            return wrong("--relevant-from needs a number");
        }
        if self.criterion.is_some() && self.patience.is_none() {
            return wrong("--criterion needs --patience N, which compares iterations by it");
        }
        Ok(output)
    }

    /// The rule that splits the ratings; [`Split::None`] with test files.
    #[must_use]
    pub fn split(&self) -> Split {
        let ratio = self.test_ratio.get();
        if !self.test_file.is_empty() {
            return Split::None;
        }
        match (self.holdout, self.split_time) {
            (Holdout::Hash, _) => Split::Hash { ratio, salt: self.holdout_salt.clone() },
            (Holdout::Random, _) => Split::Random { ratio, seed: self.seed },
            (Holdout::Last, _) => {
                Split::Last(self.leave_out.map_or(Last::Ratio(ratio), |k| Last::Count(k.get())))
            }
            (Holdout::Time, Some(at)) => Split::Time { at: at.0 },
            (Holdout::User, _) => Split::User {
                ratio,
                fold_in_ratio: self.fold_in_ratio.unwrap_or(FOLD_IN_RATIO).get(),
                salt: self.holdout_salt.clone(),
            },
            (Holdout::Time | Holdout::None, _) => Split::None,
        }
    }

    /// Whether the holdout needs the times of the ratings.
    #[must_use]
    pub const fn time_use(&self) -> TimeUse {
        match self.holdout {
            Holdout::Last | Holdout::Time => TimeUse::Required,
            _ => TimeUse::Ignore,
        }
    }
}
