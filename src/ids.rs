//! External ids, and the dense positions that replace them internally.

use std::borrow::Cow;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

pub use crate::pair::{Axis, UnknownSide};

/// The external ids of one side, sorted and unique: position `i` is the dense index of `ids[i]`.
///
/// Integers are sorted by value, and text is sorted by its UTF-8 bytes. External ids are converted
/// to positions on input and back on export. Everything in between works on positions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ids {
    /// Signed 64-bit integers.
    Int(Vec<i64>),
    /// Any text.
    Text(Vec<Box<str>>),
}

/// One external id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Id<'a> {
    /// An integer.
    Int(i64),
    /// Text.
    Text(&'a str),
}

impl<'a> Id<'a> {
    /// The text of the id: integers in canonical decimal form.
    #[must_use]
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Self::Int(v) => Cow::Owned(v.to_string()),
            Self::Text(v) => Cow::Borrowed(v),
        }
    }
}

impl std::fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(v) => v.fmt(f),
            Self::Text(v) => v.fmt(f),
        }
    }
}

impl Default for Ids {
    fn default() -> Self {
        Self::Int(Vec::new())
    }
}

impl Ids {
    /// Creates the integer ids `0..n`.
    #[must_use]
    pub fn range(n: usize) -> Self {
        Self::Int((0..n as i64).collect())
    }

    /// Number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Int(ids) => ids.len(),
            Self::Text(ids) => ids.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `int` or `text`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) => "int",
            Self::Text(_) => "text",
        }
    }

    /// The id at a position.
    ///
    /// # Panics
    /// If there is no such position.
    #[must_use]
    pub fn get(&self, position: usize) -> Id<'_> {
        match self {
            Self::Int(ids) => Id::Int(ids[position]),
            Self::Text(ids) => Id::Text(&ids[position]),
        }
    }

    /// Finds the position of an id in the form a person types it.
    ///
    /// For integer ids, surrounding whitespace is ignored and any text that parses is accepted.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<usize> {
        match self {
            Self::Int(ids) => ids.binary_search(&text.trim().parse().ok()?).ok(),
            Self::Text(ids) => ids.binary_search_by(|id| (**id).cmp(text)).ok(),
        }
    }

    /// Finds the position of an integer id. Text ids are searched for its decimal form.
    #[must_use]
    pub fn find_int(&self, id: i64) -> Option<usize> {
        match self {
            Self::Int(ids) => ids.binary_search(&id).ok(),
            Self::Text(_) => self.find(&id.to_string()),
        }
    }

    /// The position of each id among `others`, or `None` if it is not one of them.
    #[must_use]
    pub fn rows_among(&self, others: &Self) -> Vec<Option<u32>> {
        let find = |at: usize| match self.get(at) {
            Id::Int(id) => others.find_int(id),
            Id::Text(id) => others.find(id),
        };
        (0..self.len()).map(|at| find(at).map(|row| row as u32)).collect()
    }

    /// The ids whose position satisfies `keep`, in order.
    #[must_use]
    pub fn select(&self, keep: impl Fn(usize) -> bool) -> Self {
        match self {
            Self::Int(ids) => Self::Int(
                ids.iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, v)| *v).collect(),
            ),
            Self::Text(ids) => Self::Text(
                ids.iter().enumerate().filter(|(i, _)| keep(*i)).map(|(_, v)| v.clone()).collect(),
            ),
        }
    }

    /// A stable 64-bit key per id.
    ///
    /// It consists of the first 8 bytes, big-endian, of SHA-256 over `domain`, a zero byte and the
    /// id's text. Integer 42 and text "42" have the same key.
    #[must_use]
    pub fn keys(&self, domain: &str) -> Vec<u64> {
        let prefix = Sha256::new().chain_update(domain.as_bytes()).chain_update([0]);
        let key = |text: &str| {
            let digest = prefix.clone().chain_update(text.as_bytes()).finalize();
            digest.iter().take(8).fold(0, |key, &byte| (key << 8) | u64::from(byte))
        };
        match self {
            Self::Int(ids) => ids.par_iter().map(|id| key(&id.to_string())).collect(),
            Self::Text(ids) => ids.par_iter().map(|id| key(id)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_their_text_have_the_same_key() {
        let int = Ids::Int(vec![-7, 42]).keys("user");
        let text = Ids::Text(vec!["-7".into(), "42".into()]).keys("user");
        assert_eq!(int, text);
        assert_ne!(int, Ids::Int(vec![-7, 42]).keys("item"));
        // printf 'user\000%s' 42 | sha256sum
        assert_eq!(format!("{:016x}", int[1]), "7b9c38e874da9540");
    }

    #[test]
    fn ids_are_found_as_typed() {
        let ids = Ids::Int(vec![-7, 3, 42]);
        assert_eq!(
            (ids.find("42"), ids.find(" 42"), ids.find("043"), ids.find("x")),
            (Some(2), Some(2), None, None)
        );
        let ids = Ids::Text(vec!["007".into(), "a b".into()]);
        assert_eq!((ids.find("007"), ids.find("7"), ids.find("a b")), (Some(0), None, Some(1)));
    }
}
