//! The fuzzing program for all targets. `FUZZ_TARGET` names the target.

#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

mod readers;

/// The target and a temporary directory of this process.
fn setting() -> &'static (String, PathBuf) {
    static SETTING: OnceLock<(String, PathBuf)> = OnceLock::new();
    SETTING.get_or_init(|| {
        let target = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
        assert!(readers::TARGETS.contains(&target.as_str()), "no target {target}");
        let directory = std::env::temp_dir().join(format!("lacuna-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory for inputs");
        // A panic inside a decoder becomes an error. Any other panic still ends the fuzzing.
        let abort = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !lacuna::load::is_decoding() {
                abort(panic);
            }
        }));
        (target, directory)
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (target, directory) = setting();
    readers::read(target, bytes, directory);
});
