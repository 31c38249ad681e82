//! Finds the most similar items or users of a published model.

use std::path::PathBuf;

use serde::Serialize;

use super::lists::{Destination, List, Taker, TitleConfig, keys_per_chunk};
use crate::error::{Error, Result};
use crate::ids::{Axis, Ids};
use crate::job::{Event, Job, with_threads};
use crate::model::{Neighbours, Similarity};
use crate::param::{Count, Threads};
use crate::store::{RowShape, Rows, read_model};

/// The settings of `lacuna similar`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct SimilarConfig {
    /// Model directory, or its URL (feature cloud). The URL of a directory of runs stands for its
    /// published run.
    #[cfg_attr(feature = "cli", arg(value_name = "MODEL"))]
    pub model: PathBuf,
    /// An item to find neighbours of; may be repeated.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "ID",
            allow_hyphen_values = true,
            required_unless_present_any = ["user", "all"]
        )
    )]
    pub item: Vec<String>,
    /// A user to find neighbours of; may be repeated.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "ID", allow_hyphen_values = true, conflicts_with = "item")
    )]
    pub user: Vec<String>,
    /// Find neighbours of all items, or with --side user of all users.
    #[cfg_attr(feature = "cli", arg(long, conflicts_with_all = ["item", "user"]))]
    pub all: bool,
    /// Side that --all compares; items by default.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SIDE",
            requires = "all",
            conflicts_with_all = ["item", "user"]
        )
    )]
    pub side: Option<Axis>,
    /// Measure of similarity.
    #[cfg_attr(feature = "cli", arg(long, value_name = "MEASURE", default_value = "cosine"))]
    pub similarity: Similarity,
    /// Largest number of neighbours of each item or user.
    #[cfg_attr(
        feature = "cli",
        arg(short = 'n', long, value_name = "N", default_value_t = Self::COUNT)
    )]
    pub count: Count,
    /// Number of threads; all cores by default. The result does not depend on it.
    #[cfg_attr(feature = "cli", arg(short = 'j', long, value_name = "N"))]
    pub threads: Option<Threads>,
    /// Titles.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub titles: TitleConfig,
}

impl SimilarConfig {
    const COUNT: Count = Count::literal(10);

    /// Returns the defaults, for all items of the model in a directory.
    #[must_use]
    pub fn new(model: PathBuf) -> Self {
        Self {
            model,
            item: Vec::new(),
            user: Vec::new(),
            all: true,
            side: None,
            similarity: Similarity::Cosine,
            count: Self::COUNT,
            threads: None,
            titles: TitleConfig::default(),
        }
    }
}

/// The outcome of a search for neighbours.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Similars {
    /// Identity of the model.
    pub model_version: String,
    /// The compared side.
    pub side: Axis,
    /// The measure of similarity.
    pub similarity: Similarity,
    /// Number of requested items or users.
    pub keys: usize,
    /// Number of requested items or users without neighbours, because their vector is zero.
    pub without_direction: usize,
    /// Number of neighbours in all lists.
    pub rows: usize,
    /// The lists, if they are not written elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<List>,
    /// Warnings; nothing failed.
    pub warnings: Vec<String>,
}

/// Finds the nearest neighbours of items or users.
///
/// # Errors
/// [`Error::Model`] for a damaged model, [`Error::Usage`] for a model without vectors,
/// [`Error::UnknownId`], and the errors of reading and writing.
pub fn similar(config: &SimilarConfig, to: Destination, job: &Job<'_>) -> Result<Similars> {
    let (model, manifest) = read_model(&config.model)?;
    let side = config.side.unwrap_or(Axis::Item);
    let axis = if config.user.is_empty() { side } else { Axis::User };
    let (trained, embedding) = match axis {
        Axis::User => (&model.users, &model.factors.users),
        Axis::Item => (&model.items, &model.factors.items),
    };
    let ids = &trained.ids;
    if model.factors.rank() == 0 {
        let message = "the model has no vectors to compare: it was trained with --factors 0";
        return Err(Error::Usage(message.into()));
    }
    let find = |id: &String| {
        let unknown = || Error::UnknownId { axis, id: id.clone(), known: ids.len() };
        ids.find(id).map(|row| row as u32).ok_or_else(unknown)
    };
    let keys: Vec<u32> = match config.all {
        true => (0..ids.len() as u32).collect(),
        false => config.item.iter().chain(&config.user).map(find).collect::<Result<_>>()?,
    };
    let mut warnings = Vec::new();
    let titles = config.titles.titles(&model.items.ids, &mut warnings)?;
    let title = |row: u32| if axis == Axis::Item { titles.of(row) } else { None };
    let integer = matches!(ids, Ids::Int(_));
    let (key, listed) = match axis {
        Axis::User => ("user_id", "similar_user_id"),
        Axis::Item => ("item_id", "similar_item_id"),
    };
    let shape = RowShape {
        key: (key, integer),
        listed: (listed, integer),
        fallback: false,
        title: titles.is_set() && axis == Axis::Item,
        because: false,
    };
    with_threads(config.threads, || {
        let mut taker = Taker::new(to, shape)?;
        let neighbours = Neighbours::new(embedding, config.similarity);
        let n = config.count.get() as usize;
        let (mut done, mut rows_in_all, mut without_direction) = (0, 0, 0);
        for chunk in keys.chunks(keys_per_chunk(n)) {
            job.check_stop()?;
            let lists = neighbours.of(chunk, n);
            let mut rows = Rows::default();
            for (&key, list) in chunk.iter().zip(&lists) {
                without_direction += usize::from(list.is_empty() && ids.len() > 1);
                for (rank, near) in (1..).zip(list) {
                    rows.keys.push(ids.get(key as usize));
                    rows.listed.push(ids.get(near.item as usize));
                    rows.ranks.push(rank);
                    rows.scores.push(f64::from(near.score));
                    if shape.title {
                        rows.titles.push(title(near.item));
                    }
                }
            }
            rows_in_all += rows.len();
            let shown = chunk.iter().map(|&key| (ids.get(key as usize), false, title(key)));
            let wanted = taker.take(shown, &rows)?;
            done += chunk.len();
            job.report(&Event::Ranked(done, keys.len()));
            if !wanted {
                break;
            }
        }
        if without_direction > 0 {
            warnings.push(format!(
                "{without_direction} of {} have a zero vector, so they have no cosine to anything",
                keys.len()
            ));
        }
        Ok(Similars {
            model_version: manifest.model_version,
            side: axis,
            similarity: config.similarity,
            keys: keys.len(),
            without_direction,
            rows: rows_in_all,
            lists: taker.finish()?,
            warnings,
        })
    })
}
