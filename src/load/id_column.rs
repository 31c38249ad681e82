//! Collects the ids of one side block by block and turns them into dense positions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::block::{BlockIds, RowNumbers, TextIds, canonical, integer};
use super::id_findings::IdFindings;
use super::options::IdType;
use crate::error::{Error, Result};
use crate::ids::{Axis, Ids};

/// The ids of one side so far: integers as long as all of them are integers, otherwise text.
pub(super) struct IdColumn {
    axis: Axis,
    kind: IdType,
    ints: Vec<Vec<i64>>,
    text: Option<Dictionary>,
    /// The first typed file with integers, and the first input with text.
    typed_int: Option<PathBuf>,
    first_text: Option<PathBuf>,
    findings: IdFindings,
}

/// The ids of a side, and the positions of the rows among them.
pub(super) struct DenseIds {
    pub ids: Ids,
    pub positions: Vec<Vec<u32>>,
    /// What is odd about the ids.
    pub warnings: Vec<String>,
}

/// Text ids, numbered in the order of their first occurrence.
#[derive(Default)]
struct Dictionary {
    codes_of: HashMap<Box<str>, u32>,
    codes: Vec<Vec<u32>>,
}

impl Dictionary {
    fn push(&mut self, axis: Axis, ids: TextIds) -> Result<()> {
        let mut overall = Vec::with_capacity(ids.unique.len());
        for id in ids.unique {
            let next = u32::try_from(self.codes_of.len()).map_err(|_| too_many(axis))?;
            overall.push(*self.codes_of.entry(id).or_insert(next));
        }
        let mut codes = ids.codes;
        codes.par_iter_mut().for_each(|code| *code = overall[*code as usize]);
        self.codes.push(codes);
        Ok(())
    }

    fn push_ints(&mut self, axis: Axis, ids: &[i64]) -> Result<()> {
        let cells: Vec<String> = ids.iter().map(ToString::to_string).collect();
        self.push(axis, cells.iter().map(String::as_str).collect())
    }
}

fn too_many(axis: Axis) -> Error {
    Error::Usage(format!("more than {} different {}s are not supported", u32::MAX, axis.name()))
}

impl IdColumn {
    pub(super) fn new(axis: Axis, kind: IdType) -> Self {
        Self {
            axis,
            kind,
            ints: Vec::new(),
            text: (kind == IdType::Text).then(Dictionary::default),
            typed_int: None,
            first_text: None,
            findings: IdFindings::default(),
        }
    }

    /// Begins a typed file.
    pub(super) fn typed(&mut self, path: &Path, integer: bool) {
        if integer {
            self.typed_int.get_or_insert_with(|| path.to_owned());
        }
    }

    /// Notes the type of a block's ids. Text ids turn all earlier integer ids into text.
    pub(super) fn note(&mut self, path: &Path, ids: &BlockIds, numbers: &RowNumbers) -> Result<()> {
        if self.kind == IdType::Auto {
            self.findings.note(path, ids, numbers);
        }
        if matches!(ids, BlockIds::Int(_)) {
            return Ok(());
        }
        self.first_text.get_or_insert_with(|| path.to_owned());
        if self.text.is_none() {
            // Canonical integers are printed as they were written, so nothing is lost.
            let mut text = Dictionary::default();
            for ints in std::mem::take(&mut self.ints) {
                text.push_ints(self.axis, &ints)?;
            }
            self.text = Some(text);
        }
        Ok(())
    }

    /// Adds ids after a call of [`IdColumn::note`].
    pub(super) fn push(&mut self, ids: BlockIds) -> Result<()> {
        match (ids, &mut self.text) {
            (BlockIds::Int(ids), None) => self.ints.push(ids),
            (BlockIds::Int(ids), Some(text)) => text.push_ints(self.axis, &ids)?,
            (BlockIds::Text(ids), text) => {
                text.get_or_insert_with(Dictionary::default).push(self.axis, ids)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<DenseIds> {
        let Some(text) = self.text else { return dense_ints(self.axis, self.ints) };
        if let (IdType::Auto, Some(integers)) = (self.kind, self.typed_int) {
            let texts = self.first_text.unwrap_or_default();
            return Err(Error::MixedIds { axis: self.axis, integers, texts });
        }
        let warnings = match self.kind {
            IdType::Auto => {
                self.findings.warnings(self.axis, text.codes_of.keys().map(|id| &**id), |id| {
                    text.codes_of.contains_key(id)
                })
            }
            IdType::Int | IdType::Text => Vec::new(),
        };
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
        let ids = Ids::Text(ids.into_iter().map(|(id, _)| id).collect());
        Ok(DenseIds { ids, positions: chunks, warnings })
    }
}

/// The sorted unique integers, and the position of each row's id among them.
fn dense_ints(axis: Axis, chunks: Vec<Vec<i64>>) -> Result<DenseIds> {
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
    // A table over the whole span is fastest if it is small relative to the number of rows.
    if span <= (4 * rows).max(1 << 20) {
        let words: Vec<AtomicU64> = (0..span.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        chunks.par_iter().for_each(|chunk| {
            for &id in chunk {
                let at = (id - lo) as usize;
                let bit = 1 << (at % 64);
                // Most ids occurred before, and a plain read is much cheaper than an atomic write.
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
        return Ok(DenseIds {
            ids: Ids::Int(ids),
            positions: codes.collect(),
            warnings: Vec::new(),
        });
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
    Ok(DenseIds { ids: Ids::Int(ids), positions: codes, warnings: Vec::new() })
}

/// Turns text cells into ids: integers if all cells are integers and `kind` allows it.
pub(super) fn block_ids<'t>(
    kind: IdType,
    cells: impl Iterator<Item = &'t str> + Clone,
) -> BlockIds {
    if kind != IdType::Text {
        let ints: Option<Vec<i64>> = cells
            .clone()
            .map(|c| if kind == IdType::Int { integer(c) } else { canonical(c.as_bytes()) })
            .collect();
        if let Some(ints) = ints {
            return BlockIds::Int(ints);
        }
    }
    BlockIds::Text(cells.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(kind: IdType, blocks: Vec<BlockIds>) -> (Ids, Vec<u32>) {
        let mut column = IdColumn::new(Axis::User, kind);
        for block in blocks {
            column.note(Path::new("f"), &block, &RowNumbers::From(1)).expect("fits");
            column.push(block).expect("fits");
        }
        let DenseIds { ids, positions, .. } = column.finish().expect("fits");
        (ids, positions.concat())
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
        column.push(BlockIds::Int(vec![1])).expect("fits");
        column.typed(Path::new("b.parquet"), false);
        column.note(Path::new("b.parquet"), &text(&["x"]), &RowNumbers::From(1)).expect("fits");
        column.push(text(&["x"])).expect("fits");
        assert!(matches!(column.finish(), Err(Error::MixedIds { axis: Axis::Item, .. })));
    }
}
