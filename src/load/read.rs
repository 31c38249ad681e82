//! Reads rating files.

use std::sync::atomic::AtomicBool;

use super::collector::Collector;
use super::columns::Interactions;
use super::directory::LeftOut;
use super::formats::format_of;
use super::options::LoadOptions;
use super::reports::Progress;
use super::roles::InputColumns;
use super::source::{Source, expand_noting};
use crate::error::Result;

/// Reads rating files, then test files. `tests` may be empty.
///
/// # Errors
/// Every error names the file and, if they are known, the line, the column and the text.
pub fn load(
    inputs: &[String],
    tests: &[String],
    options: &LoadOptions,
    stop: &AtomicBool,
    progress: &Progress<'_>,
) -> Result<Interactions> {
    let mut left_out = LeftOut::default();
    let mut sources = expand_noting(inputs, options.recursive, stop, &mut left_out)?;
    let tests = expand_noting(tests, options.recursive, stop, &mut left_out)?;
    let n_test = tests.len();
    sources.extend(tests);
    let total = sources.iter().map(Source::size).sum::<Option<u64>>();
    let mut gather = Collector::new(options, n_test, stop);
    let mut done = 0;
    for source in &sources {
        // An object is first fetched and then read.
        let passes = if matches!(source, Source::Object(_)) { 2 } else { 1 };
        let fetched = |bytes: u64| progress(done + bytes / passes, total);
        let size = source.size().unwrap_or(0);
        let report = |bytes: u64| progress(done + (size * (passes - 1) + bytes) / passes, total);
        let mut input = source.open(stop, &fetched)?;
        if input.is_blank() {
            gather.begin(&input, InputColumns::empty());
            gather.end(&input);
            done += size;
            continue;
        }
        let layout = format_of(&input.head).recognise(&mut input, options)?;
        gather.begin(&input, layout.columns());
        layout.read(&mut input, &mut gather, &report)?;
        gather.end(&input);
        done += size;
    }
    let mut found = gather.finish()?;
    found.warnings.extend(left_out.warning());
    Ok(found)
}
