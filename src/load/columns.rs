//! Blocks become columns: counted, filtered, and their ids turned into dense positions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;

use super::block::{Block, BlockIds, canonical};
use super::layout::Layout;
use super::source::Input;
use super::{BadRows, IdType, InputReport, LoadOptions, Reject, check_stop};
use crate::error::{Error, Result};
use crate::ids::{Axis, Ids};

/// Consecutive rows of the input as columns, ids dense.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Positions of the users.
    pub users: Vec<u32>,
    /// Positions of the items.
    pub items: Vec<u32>,
    /// The ratings.
    pub values: Vec<f32>,
    /// The weights, if there is such a column.
    pub weights: Option<Vec<f32>>,
    /// Seconds since 1970, if every input has times.
    pub times: Option<Vec<i64>>,
    /// Number of the input, from 0.
    pub input: usize,
}

/// All rows of all inputs that can be used, in file order.
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    /// The users' external ids.
    pub users: Ids,
    /// The items' external ids.
    pub items: Ids,
    /// The rows.
    pub chunks: Vec<Chunk>,
    /// What was read.
    pub inputs: Vec<InputReport>,
    /// Rows that were set aside.
    pub rejects: Vec<Reject>,
    /// Rows left out because their weight is 0.
    pub zero_weight: u64,
    /// Rows left out because of `since` and `until`.
    pub outside_time: u64,
}

impl Interactions {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|c| c.values.len()).sum()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether rows have times.
    #[must_use]
    pub fn has_times(&self) -> bool {
        self.chunks.first().is_some_and(|c| c.times.is_some())
    }
}

/// Collects the blocks of all inputs.
pub(super) struct Gather<'a> {
    options: &'a LoadOptions,
    stop: &'a AtomicBool,
    users: IdColumn,
    items: IdColumn,
    rest: Vec<Rest>,
    inputs: Vec<InputReport>,
    rejects: Vec<Reject>,
    path: PathBuf,
    zero_weight: u64,
    outside_time: u64,
}

/// The columns of a chunk besides its ids.
struct Rest {
    values: Vec<f32>,
    weights: Option<Vec<f32>>,
    times: Option<Vec<i64>>,
    input: usize,
}

impl<'a> Gather<'a> {
    pub(super) fn new(options: &'a LoadOptions, stop: &'a AtomicBool) -> Self {
        Self {
            options,
            stop,
            users: IdColumn::new(Axis::User, options.id_type),
            items: IdColumn::new(Axis::Item, options.id_type),
            rest: Vec::new(),
            inputs: Vec::new(),
            rejects: Vec::new(),
            path: PathBuf::new(),
            zero_weight: 0,
            outside_time: 0,
        }
    }

    pub(super) const fn options(&self) -> &LoadOptions {
        self.options
    }

    /// A new input begins.
    pub(super) fn begin(&mut self, input: &Input, layout: &Layout) {
        self.path.clone_from(&input.path);
        self.inputs.push(InputReport {
            uri: input.path.display().to_string(),
            file: input.file.clone(),
            bytes: input.size.unwrap_or(0),
            layout: layout.describe(input.compression),
            rows: 0,
            rows_rejected: 0,
            sha256: None,
            max_timestamp: None,
        });
        if let Layout::Parquet(parquet) = layout {
            self.users.typed(&input.path, parquet.integer_users());
            self.items.typed(&input.path, parquet.integer_items());
        }
    }

    /// The input has ended.
    pub(super) fn end(&mut self, input: &Input) -> Result<()> {
        if let Some(report) = self.inputs.last_mut() {
            if report.rows == 0 {
                let message = "no ratings in this file".to_owned();
                return Err(Error::Format { path: self.path.clone(), message });
            }
            report.sha256 = input.sha256();
            if report.bytes == 0 {
                report.bytes = input.consumed();
            }
        }
        Ok(())
    }

    /// A bad row: an error, or set aside while there is room.
    pub(super) fn reject(
        &mut self,
        line: u64,
        column: &str,
        text: &str,
        reason: &str,
    ) -> Result<()> {
        // A cell may hold anything: what is shown of it is one short printable line.
        let text: String = text.chars().take(80).flat_map(char::escape_debug).collect();
        let error = |(text, reason): (&str, &str)| Error::BadCell {
            path: self.path.clone(),
            line,
            column: column.to_owned(),
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        if self.options.bad_rows == BadRows::Error {
            return Err(error((&text, reason)));
        }
        if let Some(report) = self.inputs.last_mut() {
            report.rows += 1;
            report.rows_rejected += 1;
        }
        let reject = Reject {
            file: self.path.clone(),
            line,
            reason: format!("column \"{column}\": {reason}"),
            text,
        };
        if self.rejects.len() as u64 >= self.options.max_bad_rows {
            let first = self.rejects.first().unwrap_or(&reject);
            return Err(Error::TooManyBadRows {
                rejected: self.rejects.len() as u64 + 1,
                allowed: self.options.max_bad_rows,
                first: format!(
                    "{}:{}: {}: \"{}\"",
                    first.file.display(),
                    first.line,
                    first.reason,
                    first.text
                ),
            });
        }
        self.rejects.push(reject);
        Ok(())
    }

    /// Good rows, in order.
    pub(super) fn push(&mut self, mut block: Block) -> Result<()> {
        check_stop(self.stop)?;
        if let Some(report) = self.inputs.last_mut() {
            report.rows += block.rows() as u64;
            let latest = block.times.as_ref().and_then(|t| t.par_iter().copied().max());
            report.max_timestamp = report.max_timestamp.max(latest);
        }
        self.filter(&mut block);
        if block.rows() == 0 {
            return Ok(());
        }
        let Block { users, items, values, weights, times } = block;
        self.users.push(&self.path, users)?;
        self.items.push(&self.path, items)?;
        self.rest.push(Rest { values, weights, times, input: self.inputs.len() - 1 });
        Ok(())
    }

    fn filter(&mut self, block: &mut Block) {
        if let (Some(times), true) =
            (&block.times, self.options.since.is_some() || self.options.until.is_some())
        {
            let since = self.options.since.unwrap_or(i64::MIN);
            let until = self.options.until.unwrap_or(i64::MAX);
            let keep: Vec<bool> = times.iter().map(|&t| since <= t && t < until).collect();
            self.outside_time += keep.iter().filter(|&&k| !k).count() as u64;
            block.retain(&keep);
        }
        if let Some(weights) = &block.weights
            && weights.contains(&0.0)
        {
            let keep: Vec<bool> = weights.iter().map(|&w| w != 0.0).collect();
            self.zero_weight += keep.iter().filter(|&&k| !k).count() as u64;
            block.retain(&keep);
        }
    }

    pub(super) fn finish(self) -> Result<Interactions> {
        if self.rest.is_empty() {
            let after = match (self.outside_time, self.rejects.len(), self.zero_weight) {
                (1.., _, _) => "--since and --until",
                (_, 1.., _) => "setting bad rows aside",
                (_, _, 1..) => "leaving out rows of weight 0",
                _ => "reading",
            };
            return Err(Error::NothingLeft { after: after.to_owned() });
        }
        check_stop(self.stop)?;
        let (users, user_codes) = self.users.finish()?;
        check_stop(self.stop)?;
        let (items, item_codes) = self.items.finish()?;
        // Times of some inputs only cannot order the rows of all.
        let all_times = self.rest.iter().all(|r| r.times.is_some());
        let chunks = user_codes
            .into_iter()
            .zip(item_codes)
            .zip(self.rest)
            .map(|((users, items), Rest { values, weights, times, input })| Chunk {
                users,
                items,
                values,
                weights,
                times: times.filter(|_| all_times),
                input,
            })
            .collect();
        Ok(Interactions {
            users,
            items,
            chunks,
            inputs: self.inputs,
            rejects: self.rejects,
            zero_weight: self.zero_weight,
            outside_time: self.outside_time,
        })
    }
}

/// The ids of one side as they come in: integers as long as all of them are, then text.
struct IdColumn {
    axis: Axis,
    kind: IdType,
    ints: Vec<Vec<i64>>,
    text: Option<Dictionary>,
    /// The first typed file with integers, and the first input with text.
    typed_int: Option<PathBuf>,
    first_text: Option<PathBuf>,
}

/// Text ids by order of appearance.
#[derive(Default)]
struct Dictionary {
    codes_of: HashMap<Box<str>, u32>,
    codes: Vec<Vec<u32>>,
}

impl Dictionary {
    fn push<S: AsRef<str> + Into<Box<str>>>(
        &mut self,
        axis: Axis,
        ids: impl Iterator<Item = S>,
    ) -> Result<()> {
        let mut codes = Vec::with_capacity(ids.size_hint().0);
        for id in ids {
            let code = match self.codes_of.get(id.as_ref()) {
                Some(&code) => code,
                None => {
                    let code = u32::try_from(self.codes_of.len()).map_err(|_| too_many(axis))?;
                    self.codes_of.insert(id.into(), code);
                    code
                }
            };
            codes.push(code);
        }
        self.codes.push(codes);
        Ok(())
    }
}

fn too_many(axis: Axis) -> Error {
    Error::Usage(format!("more than {} different {}s", u32::MAX, axis.name()))
}

impl IdColumn {
    fn new(axis: Axis, kind: IdType) -> Self {
        Self {
            axis,
            kind,
            ints: Vec::new(),
            text: (kind == IdType::Text).then(Dictionary::default),
            typed_int: None,
            first_text: None,
        }
    }

    /// A typed file begins.
    fn typed(&mut self, path: &Path, integer: bool) {
        if integer {
            self.typed_int.get_or_insert_with(|| path.to_owned());
        }
    }

    fn push(&mut self, path: &Path, ids: BlockIds) -> Result<()> {
        match ids {
            BlockIds::Int(ids) => match &mut self.text {
                None => self.ints.push(ids),
                Some(text) => text.push(self.axis, ids.into_iter().map(|id| id.to_string()))?,
            },
            BlockIds::Text(ids) => {
                if self.text.is_none() {
                    // Canonical integers print as they were written, so nothing is lost.
                    let mut text = Dictionary::default();
                    for ints in std::mem::take(&mut self.ints) {
                        text.push(self.axis, ints.into_iter().map(|id| id.to_string()))?;
                    }
                    self.text = Some(text);
                }
                self.first_text.get_or_insert_with(|| path.to_owned());
                if let Some(text) = &mut self.text {
                    text.push(self.axis, ids.into_iter())?;
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(Ids, Vec<Vec<u32>>)> {
        let Some(text) = self.text else { return dense_ints(self.axis, self.ints) };
        if let (IdType::Auto, Some(integers)) = (self.kind, self.typed_int) {
            let texts = self.first_text.unwrap_or_default();
            return Err(Error::MixedIds { side: self.axis.name(), integers, texts });
        }
        let mut ids: Vec<(Box<str>, u32)> = text.codes_of.into_iter().collect();
        ids.par_sort_unstable();
        let mut position = vec![0; ids.len()];
        for (at, (_, code)) in ids.iter().enumerate() {
            position[*code as usize] = at as u32;
        }
        let mut chunks = text.codes;
        chunks
            .par_iter_mut()
            .for_each(|codes| codes.iter_mut().for_each(|c| *c = position[*c as usize]));
        Ok((Ids::Text(ids.into_iter().map(|(id, _)| id).collect()), chunks))
    }
}

/// Sorted unique integers, and each row's position among them.
fn dense_ints(axis: Axis, chunks: Vec<Vec<i64>>) -> Result<(Ids, Vec<Vec<u32>>)> {
    let rows: usize = chunks.iter().map(Vec::len).sum();
    let bounds = |chunk: &Vec<i64>| {
        chunk.iter().fold((i64::MAX, i64::MIN), |(lo, hi), &id| (lo.min(id), hi.max(id)))
    };
    let (lo, hi) = chunks
        .par_iter()
        .map(bounds)
        .reduce(|| (i64::MAX, i64::MIN), |a, b| (a.0.min(b.0), a.1.max(b.1)));
    let span =
        hi.checked_sub(lo).and_then(|s| usize::try_from(s).ok()).map_or(usize::MAX, |s| s + 1);
    // A table over the whole span is fastest while it stays small beside the rows.
    if span <= (4 * rows).max(1 << 20) {
        let words: Vec<AtomicU64> = (0..span.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        chunks.par_iter().for_each(|chunk| {
            for &id in chunk {
                let at = (id - lo) as usize;
                let bit = 1 << (at % 64);
                // Most ids were seen before: a plain read is much cheaper than an atomic write.
                if words[at / 64].load(Ordering::Relaxed) & bit == 0 {
                    words[at / 64].fetch_or(bit, Ordering::Relaxed);
                }
            }
        });
        let mut ids = Vec::new();
        let mut position = vec![0_u32; span];
        for (at, position) in position.iter_mut().enumerate() {
            if words[at / 64].load(Ordering::Relaxed) >> (at % 64) & 1 == 1 {
                *position = u32::try_from(ids.len()).map_err(|_| too_many(axis))?;
                ids.push(lo + at as i64);
            }
        }
        let codes = chunks
            .into_par_iter()
            .map(|c| c.into_iter().map(|id| position[(id - lo) as usize]).collect());
        let codes = codes.collect();
        return Ok((Ids::Int(ids), codes));
    }
    let unique = |mut ids: Vec<i64>| {
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let parts: Vec<Vec<i64>> = chunks.par_iter().map(|c| unique(c.clone())).collect();
    let ids = unique(parts.concat());
    u32::try_from(ids.len()).map_err(|_| too_many(axis))?;
    let position: HashMap<i64, u32> =
        ids.iter().enumerate().map(|(at, &id)| (id, at as u32)).collect();
    let codes =
        chunks.into_par_iter().map(|c| c.into_iter().map(|id| position[&id]).collect()).collect();
    Ok((Ids::Int(ids), codes))
}

/// Text cells as ids: integers if all are and the options allow it.
pub(super) fn block_ids<'t>(
    kind: IdType,
    cells: impl Iterator<Item = &'t str> + Clone,
) -> BlockIds {
    if kind != IdType::Text {
        let ints: Option<Vec<i64>> =
            cells
                .clone()
                .map(|c| {
                    if kind == IdType::Int {
                        c.trim().parse().ok()
                    } else {
                        canonical(c.as_bytes())
                    }
                })
                .collect();
        if let Some(ints) = ints {
            return BlockIds::Int(ints);
        }
    }
    BlockIds::Text(cells.map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(kind: IdType, blocks: Vec<BlockIds>) -> (Ids, Vec<u32>) {
        let mut column = IdColumn::new(Axis::User, kind);
        for block in blocks {
            column.push(Path::new("f"), block).expect("fits");
        }
        let (ids, chunks) = column.finish().expect("fits");
        (ids, chunks.concat())
    }

    fn text(cells: &[&str]) -> BlockIds {
        block_ids(IdType::Auto, cells.iter().copied())
    }

    #[test]
    fn integers_stay_integers_until_a_cell_is_not_one() {
        let (ids, codes) = finish(IdType::Auto, vec![text(&["10", "-3"]), text(&["9", "10"])]);
        assert_eq!((ids, codes), (Ids::Int(vec![-3, 9, 10]), vec![2, 0, 1, 2]));
        let (ids, codes) =
            finish(IdType::Auto, vec![text(&["10", "9"]), text(&["09"]), text(&["10"])]);
        assert_eq!(ids, Ids::Text(vec!["09".into(), "10".into(), "9".into()]));
        assert_eq!(codes, [1, 2, 0, 1]);
    }

    #[test]
    fn far_apart_integers_take_the_other_path_to_the_same_result() {
        let (ids, codes) =
            finish(IdType::Auto, vec![BlockIds::Int(vec![i64::MAX, i64::MIN, 5, 5])]);
        assert_eq!((ids, codes), (Ids::Int(vec![i64::MIN, 5, i64::MAX]), vec![2, 0, 1, 1]));
    }

    #[test]
    fn the_type_can_be_given() {
        assert_eq!(block_ids(IdType::Int, ["007", " 8"].into_iter()), BlockIds::Int(vec![7, 8]));
        assert_eq!(
            finish(IdType::Text, vec![BlockIds::Int(vec![7])]).0,
            Ids::Text(vec!["7".into()])
        );
    }

    #[test]
    fn integers_in_one_typed_file_and_text_in_another_are_refused() {
        let mut column = IdColumn::new(Axis::Item, IdType::Auto);
        column.typed(Path::new("a.parquet"), true);
        column.push(Path::new("a.parquet"), BlockIds::Int(vec![1])).expect("fits");
        column.typed(Path::new("b.parquet"), false);
        column.push(Path::new("b.parquet"), text(&["x"])).expect("fits");
        assert!(matches!(column.finish(), Err(Error::MixedIds { side: "item", .. })));
    }
}
