//! Text of many rows, formatted in parallel and written in order.

use std::io::{self, Write};
use std::ops::Range;

use rayon::prelude::*;

/// Rows that one task formats.
const ROWS_PER_TASK: usize = 1 << 11;

/// Writes the output of `text` for consecutive ranges of `rows`, of which memory holds only a few.
pub(super) fn write_rows(
    rows: Range<usize>,
    to: &mut dyn Write,
    text: &(dyn Fn(Range<usize>) -> io::Result<Vec<u8>> + Sync),
) -> io::Result<()> {
    let tasks: Vec<usize> = rows.clone().step_by(ROWS_PER_TASK).collect();
    for group in tasks.chunks(rayon::current_num_threads() * 2) {
        let range = |&first: &usize| text(first..rows.end.min(first + ROWS_PER_TASK));
        let texts: Vec<io::Result<Vec<u8>>> = group.par_iter().map(range).collect();
        texts.into_iter().try_for_each(|text| to.write_all(&text?))?;
    }
    Ok(())
}
