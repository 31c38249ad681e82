//! Shared by recommend and similar: destinations of lists, titles, and chunks of keys.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use crate::error::Result;
use crate::ids::{Id, Ids};
use crate::load::table::Table;
use crate::model::USERS_PER_BLOCK;
use crate::store::{Reason, RowFormat, RowShape, RowTarget, RowWriter, Rows, json_id};

/// Approximate number of list entries that are made together. Memory holds only these.
const ENTRIES_PER_CHUNK: usize = 500_000;

/// Returns the number of keys whose lists of at most `n` entries are made together.
///
/// It is at least one block of users. For short lists it is 85 blocks, enough for many cores.
pub(super) fn keys_per_chunk(n: usize) -> usize {
    (ENTRIES_PER_CHUNK / n.max(1)).clamp(USERS_PER_BLOCK, 85 * USERS_PER_BLOCK)
}

/// Titles of items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct TitleConfig {
    /// File with the titles of items, to show them next to the ids: CSV with header, movies.dat or
    /// Parquet.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub item_names: Option<PathBuf>,
    /// Column of the item ids in the file of titles. If it is not specified, common names are
    /// recognised (movieId, item_id ...).
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub table_id_col: Option<String>,
    /// Column of the titles. If it is not specified, common names are recognised (title, name ...).
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME", requires = "item_names"))]
    pub title_col: Option<String>,
}

impl TitleConfig {
    /// Reads the titles of a model's items. Warns if the file has no title for any of them.
    pub(super) fn titles(&self, items: &Ids, warnings: &mut Vec<String>) -> Result<Titles> {
        let Some(path) = &self.item_names else { return Ok(Titles::default()) };
        let table = Table::read(path)?;
        let titles =
            table.titles(self.table_id_col.as_deref(), self.title_col.as_deref(), items)?;
        if titles.iter().all(Option::is_none) {
            warnings.push(format!("{} has no title for any known item", path.display()));
        }
        Ok(Titles { titles: Some(titles) })
    }
}

/// Titles by the position of the item, if a file of titles is specified.
#[derive(Debug, Default)]
pub(super) struct Titles {
    titles: Option<Vec<Option<Box<str>>>>,
}

impl Titles {
    pub(super) const fn is_set(&self) -> bool {
        self.titles.is_some()
    }

    pub(super) fn of(&self, item: u32) -> Option<&str> {
        self.titles.as_ref()?[item as usize].as_deref()
    }
}

/// The destination of lists.
pub enum Destination {
    /// The lists are part of the outcome, for a few keys.
    Memory,
    /// The lists are written as rows to a stream or a file.
    Rows(RowTarget, RowFormat),
}

impl Destination {
    /// Whether the lists go into the outcome.
    #[must_use]
    pub const fn is_memory(&self) -> bool {
        matches!(self, Self::Memory)
    }

    /// Whether the lists go to a stream.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        matches!(self, Self::Rows(RowTarget::Stream(_), _))
    }
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory => "Memory",
            Self::Rows(RowTarget::Stream(_), _) => "Stream",
            Self::Rows(RowTarget::File { .. }, _) => "File",
        })
    }
}

/// One list of an outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct List {
    /// Id of the user or item that the list is for.
    pub id: Value,
    /// Title, if the list is for an item and its title is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether the user is unknown to the model. The list then holds the most rated items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<bool>,
    /// The entries, best first.
    pub items: Vec<Listed>,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// Id of the listed item or user.
    pub id: Value,
    /// Title of the item, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Score of the entry.
    pub score: f64,
    /// The ratings that contributed most to the score, largest contribution first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<Vec<Because>>,
}

/// A rating that contributed to a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Because {
    /// The rated item.
    pub id: Value,
    /// Title of the item, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The rating.
    pub rating: f32,
    /// Contribution of the rating, in units of the score.
    pub share: f32,
}

/// Receives lists in the order of their keys.
pub(super) enum Taker {
    Memory(RowShape, Vec<List>),
    Rows(Box<RowWriter>),
}

impl Taker {
    pub(super) fn new(to: Destination, shape: RowShape) -> Result<Self> {
        match to {
            Destination::Memory => Ok(Self::Memory(shape, Vec::new())),
            Destination::Rows(target, format) => {
                Ok(Self::Rows(Box::new(RowWriter::create(target, format, shape)?)))
            }
        }
    }

    /// Receives the rows of a chunk of keys. Returns false if no more rows are wanted.
    pub(super) fn take<'r>(
        &mut self,
        keys: impl Iterator<Item = (Id<'r>, bool, Option<&'r str>)>,
        rows: &Rows<'r>,
    ) -> Result<bool> {
        let (shape, lists) = match self {
            Self::Rows(writer) => return writer.write(rows),
            Self::Memory(shape, lists) => (shape, lists),
        };
        let owned = |title: Option<&str>| title.map(str::to_owned);
        let mut at = 0;
        for (key, fallback, title) in keys {
            let mut items = Vec::new();
            while at < rows.len() && rows.keys[at] == key && rows.ranks[at] as usize > items.len() {
                let because = |reasons: &Vec<Reason<'_>>| {
                    let because = reasons.iter().map(|r| Because {
                        id: json_id(r.item),
                        title: owned(r.title),
                        rating: r.value,
                        share: r.share as f32,
                    });
                    because.collect()
                };
                items.push(Listed {
                    id: json_id(rows.listed[at]),
                    title: rows.titles.get(at).and_then(|t| owned(*t)),
                    score: rows.scores[at],
                    because: rows.because.get(at).map(because),
                });
                at += 1;
            }
            let fallback = shape.fallback.then_some(fallback);
            lists.push(List { id: json_id(key), title: owned(title), fallback, items });
        }
        Ok(true)
    }

    /// Completes the output, and returns the lists that are kept in memory.
    pub(super) fn finish(self) -> Result<Vec<List>> {
        match self {
            Self::Memory(_, lists) => Ok(lists),
            Self::Rows(writer) => writer.finish().map(|()| Vec::new()),
        }
    }
}
