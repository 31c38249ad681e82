//! Replays every kept fuzzing input. Each must give a result or an error, never a panic.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

#[path = "../fuzz/readers.rs"]
#[expect(unreachable_pub, reason = "the fuzzing program uses it, too")]
mod readers;

#[test]
fn the_corpora_are_read_without_a_panic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for target in readers::TARGETS {
        let (mut good, mut all) = (0, 0);
        for entry in fs::read_dir(root.join(target)).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            let directory = TempDir::new().unwrap();
            all += 1;
            good += usize::from(readers::read(target, &bytes, directory.path()));
        }
        // Every corpus has valid and invalid inputs, so both outcomes are tested.
        assert!(good > 0 && all > good, "{target}: {good} of {all} are good");
    }
}
