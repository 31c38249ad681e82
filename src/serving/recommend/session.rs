//! Recommends the best items for all or some users of a published model, in bounded memory.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::super::lists::{Destination, List, Taker, Titles, keys_per_chunk};
use super::config::RecommendConfig;
use super::explain::Explainer;
use crate::error::{Error, Result};
use crate::ids::{Axis, Id, Ids};
use crate::job::{Event, Job, with_threads};
use crate::load::table::{Table, read_ids};
use crate::model::{Asked, Caps, Model, RankBy, Recommendation, Recommender, Rules, by_relevance};
use crate::replay::{History, Published, Seen, solves_rows};
use crate::store::{Manifest, RowShape, Rows, read_model};

/// The outcome of a recommendation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommended {
    /// Identity of the model.
    pub model_version: String,
    /// Number of requested users.
    pub users: usize,
    /// Number of requested users that are unknown to the model. They get the most rated items.
    pub fallback_users: usize,
    /// Number of requested users who got fewer items than requested, because no more were left.
    pub short_users: usize,
    /// Number of items that may be recommended.
    pub candidates: usize,
    /// Number of recommendations in all lists.
    pub rows: usize,
    /// The lists, if they are not written elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<List>,
    /// Warnings; nothing failed.
    pub warnings: Vec<String>,
    /// Seconds per stage.
    pub durations_s: RecommendSeconds,
}

/// Seconds per stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct RecommendSeconds {
    /// Reading the model and the ratings of the users.
    pub read: f64,
    /// Ranking.
    pub rank: f64,
    /// Explaining and writing.
    pub write: f64,
}

/// Recommends items of a published model.
///
/// # Errors
/// [`Error::Model`] for a damaged model, [`Error::Usage`] for settings that do not go together, and
/// the errors of reading and writing.
pub fn recommend(config: &RecommendConfig, to: Destination, job: &Job<'_>) -> Result<Recommended> {
    let since = Instant::now();
    if config.max_per_category.is_some()
        && config.item_table.is_none()
        && config.titles.item_names.is_none()
    {
        let message = "--max-per-category needs the categories of the items; add --item-table FILE \
                       or --item-names FILE";
        return Err(Error::Usage(message.into()));
    }
    let (model, manifest) = read_model(&config.model)?;
    with_threads(config.threads, || {
        let integer = |ids: &Ids| matches!(ids, Ids::Int(_));
        let shape = RowShape {
            key: ("user_id", integer(&model.users.ids)),
            listed: ("item_id", integer(&model.items.ids)),
            fallback: config.users.is_some() || !config.user.is_empty(),
            title: config.titles.item_names.is_some(),
            because: config.explain.is_some(),
        };
        // The output is opened before the ratings are read, so that an existing output is reported
        // at once.
        let taker = Taker::new(to, shape)?;
        let published = Published { path: config.model.clone(), manifest };
        let ranked = ranked(config, &model, &published.manifest)?;
        let ranked = ranked.as_ref().unwrap_or(&model);
        let session = Session::new(config, &model, ranked, &published, job)?;
        session.run(taker, since)
    })
}

/// Returns the model whose scores order the lists; `None` if it is the model itself.
fn ranked(config: &RecommendConfig, model: &Model, manifest: &Manifest) -> Result<Option<Model>> {
    let rank_by = RankBy::chosen(config.rank_by, model.scale.rates())?;
    Ok((rank_by == RankBy::Relevance).then(|| {
        let mut ranked = model.clone();
        let items = &model.factors.items;
        ranked.factors.items = by_relevance(items, &model.items.counts, manifest.data.std);
        ranked
    }))
}

/// A requested user.
struct Key<'a> {
    id: Id<'a>,
    row: Option<u32>,
}

fn key<'k>(id: &'k str, ids: &'k Ids) -> Result<Key<'k>> {
    if let Some(row) = ids.find(id) {
        return Ok(Key { id: ids.get(row), row: Some(row as u32) });
    }
    if let Ids::Text(_) = ids {
        return Ok(Key { id: Id::Text(id), row: None });
    }
    let number = id.trim().parse();
    let wrong =
        |_| Error::Usage(format!("user \"{id}\" is not an integer, but the model's user ids are"));
    number.map(|number| Key { id: Id::Int(number), row: None }).map_err(wrong)
}

struct Session<'a> {
    config: &'a RecommendConfig,
    model: &'a Model,
    published: &'a Published,
    history: History<'a>,
    recommender: Recommender<'a>,
    explainer: Option<Explainer<'a>>,
    titles: Titles,
    /// The requested users; `None` for all users of the model.
    listed: Option<Vec<String>>,
    warnings: Vec<String>,
    job: Job<'a>,
}

impl<'a> Session<'a> {
    fn new(
        config: &'a RecommendConfig,
        model: &'a Model,
        ranked: &'a Model,
        published: &'a Published,
        job: &Job<'a>,
    ) -> Result<Self> {
        let mut warnings = Vec::new();
        // Errors in small files are reported before large files are read.
        let listed = listed_users(config, &model.users.ids, &mut warnings)?;
        let titles = config.titles.titles(&model.items.ids, &mut warnings)?;
        let recommender = Recommender::new(ranked, rules(config, &model.items.ids, &mut warnings)?);
        if recommender.candidates() == 0 {
            let message = "no item may be recommended; relax --allow, --deny or --min-support";
            return Err(Error::Usage(message.into()));
        }
        let explaining = config.explain.is_some();
        if explaining {
            solves_rows(model, &published.manifest, "--explain")?;
        }
        let seen = Seen { files: &config.seen, reading: &config.load, fitted: explaining };
        let history = match config.include_seen && !explaining {
            true => History::none(model),
            false => History::read(model, published, &seen, job, &mut warnings)?,
        };
        let explainer = match config.explain {
            Some(most) => {
                Some(Explainer::new(model, &published.manifest, most.get() as usize, job)?)
            }
            None => None,
        };
        Ok(Self {
            config,
            model,
            published,
            history,
            recommender,
            explainer,
            titles,
            listed,
            warnings,
            job: *job,
        })
    }

    fn keys(&self) -> Result<Vec<Key<'_>>> {
        let ids = &self.model.users.ids;
        let Some(listed) = &self.listed else {
            let key = |row: usize| Key { id: ids.get(row), row: Some(row as u32) };
            return Ok((0..ids.len()).map(key).collect());
        };
        let mut keys = listed.iter().map(|id| key(id, ids)).collect::<Result<Vec<_>>>()?;
        // Each user counts once, whatever the form of its id.
        let mut met = std::collections::HashSet::new();
        keys.retain(|key| met.insert(key.id));
        Ok(keys)
    }

    fn run(self, mut taker: Taker, since: Instant) -> Result<Recommended> {
        let keys = self.keys()?;
        let mut outcome = Recommended {
            model_version: self.published.manifest.model_version.clone(),
            users: keys.len(),
            fallback_users: keys.iter().filter(|key| key.row.is_none()).count(),
            short_users: 0,
            candidates: self.recommender.candidates(),
            rows: 0,
            lists: Vec::new(),
            warnings: self.warnings.clone(),
            durations_s: RecommendSeconds {
                read: since.elapsed().as_secs_f64(),
                ..RecommendSeconds::default()
            },
        };
        let n = self.config.count.get() as usize;
        let mut done = 0;
        for chunk in keys.chunks(keys_per_chunk(n)) {
            self.job.check_stop()?;
            let since = Instant::now();
            let lists = self.lists(chunk, n);
            outcome.durations_s.rank += since.elapsed().as_secs_f64();
            let since = Instant::now();
            outcome.short_users += lists.iter().filter(|list| list.len() < n).count();
            let rows = self.rows(chunk, &lists)?;
            outcome.rows += rows.len();
            let shown = chunk.iter().map(|key| (key.id, key.row.is_none(), None));
            let wanted = taker.take(shown, &rows)?;
            outcome.durations_s.write += since.elapsed().as_secs_f64();
            done += chunk.len();
            self.job.report(&Event::Ranked(done, keys.len()));
            if !wanted {
                break;
            }
        }
        let since = Instant::now();
        outcome.lists = taker.finish()?;
        outcome.durations_s.write += since.elapsed().as_secs_f64();
        Ok(outcome)
    }

    fn lists(&self, keys: &[Key<'_>], n: usize) -> Vec<Vec<Recommendation>> {
        let seen = |key: &Key<'_>| match (self.config.include_seen, key.row) {
            (true, _) => &[],
            (false, Some(row)) => self.history.seen_by(row),
            (false, None) => self.history.seen(&key.id.text()),
        };
        let asked: Vec<Asked<'_>> =
            keys.iter().map(|key| Asked { row: key.row, seen: seen(key) }).collect();
        self.recommender.recommend(&asked, n)
    }

    fn rows<'r>(&'r self, keys: &[Key<'r>], lists: &[Vec<Recommendation>]) -> Result<Rows<'r>> {
        let items = &self.model.items.ids;
        let mut rows = Rows::default();
        for (key, list) in keys.iter().zip(lists) {
            for (rank, recommendation) in (1..).zip(list) {
                rows.keys.push(key.id);
                rows.listed.push(items.get(recommendation.item as usize));
                rows.ranks.push(rank);
                rows.scores.push(recommendation.score);
            }
        }
        let listed = || lists.iter().flatten().map(|r| r.item);
        if self.listed.is_some() {
            let fallback = keys.iter().zip(lists);
            let fallback =
                fallback.flat_map(|(key, list)| std::iter::repeat_n(key.row.is_none(), list.len()));
            rows.fallback = fallback.collect();
        }
        if self.titles.is_set() {
            rows.titles = listed().map(|item| self.titles.of(item)).collect();
        }
        if let Some(explainer) = &self.explainer {
            let users: Vec<Option<u32>> = keys.iter().map(|key| key.row).collect();
            rows.because = explainer.reasons(&self.history.fitted, &users, lists, &self.titles)?;
        }
        Ok(rows)
    }
}

/// Returns the requested users; `None` if all users are requested.
fn listed_users(
    config: &RecommendConfig,
    ids: &Ids,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<String>>> {
    let mut listed = config.user.clone();
    if let Some(path) = &config.users {
        let found = read_ids(path, Axis::User, matches!(ids, Ids::Int(_)))?;
        if found.is_empty() {
            warnings.push(format!("{} lists no users", path.display()));
        }
        listed.extend(found);
    } else if listed.is_empty() {
        return Ok(None);
    }
    Ok(Some(listed))
}

fn rules(config: &RecommendConfig, items: &Ids, warnings: &mut Vec<String>) -> Result<Rules> {
    let mut positions = |path: &Path| -> Result<Vec<u32>> {
        let listed = read_ids(path, Axis::Item, matches!(items, Ids::Int(_)))?;
        let mut found: Vec<u32> =
            listed.iter().filter_map(|id| items.find(id)).map(|row| row as u32).collect();
        let unknown = listed.len() - found.len();
        if found.is_empty() && unknown > 0 {
            let message = "no item in it is an item of the model; give one id per line, or a \
                           table with a column item_id";
            return Err(Error::Format { path: path.to_owned(), message: message.into() });
        }
        if unknown > 0 {
            warnings.push(format!("{unknown} items in {} are unknown", path.display()));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    };
    let allowed = config.allow.as_deref().map(&mut positions).transpose()?;
    let denied = config.deny.as_deref().map(&mut positions).transpose()?.unwrap_or_default();
    let table = config.item_table.as_ref().or(config.titles.item_names.as_ref());
    let caps = match (config.max_per_category, table) {
        (Some(most), Some(path)) => {
            let id = config.category_id_col.as_ref().or(config.titles.table_id_col.as_ref());
            let id = id.map(String::as_str);
            let table = Table::read(path)?;
            let categories = table.categories(id, config.category_col.as_deref(), items)?;
            if categories.iter().all(Vec::is_empty) {
                warnings.push(format!("{} has no category for any known item", path.display()));
            }
            Some(Caps { categories, most: most.get() as usize })
        }
        _ => None,
    };
    Ok(Rules { allowed, denied, minimum_support: config.min_support.get(), caps })
}
