use rustix::fs::{FlockOperation, flock};

use super::files::{REPLACED, exchange_in_steps};
use super::*;

#[test]
fn a_directory_appears_whole_and_replaces_only_a_model() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let target = dir.path().join("deep/er/model");
    let out = OutDir::create(&target, false, DirKind::Model).expect("creates");
    out.write("a", b"1").expect("writes");
    assert!(!target.exists());
    out.publish(&AtomicBool::new(false)).expect("publishes");
    assert_eq!(fs::read(target.join("a")).expect("reads"), b"1");
    assert!(matches!(
        OutDir::create(&target, false, DirKind::Model),
        Err(Error::OutputExists { .. })
    ));
    assert!(matches!(OutDir::create(&target, true, DirKind::Model), Err(Error::NotOurs { .. })));
    fs::write(target.join(MANIFEST), br#"{"outputs":[{"path":"a"}]}"#).expect("writes");
    fs::write(target.join("mine"), b"").expect("writes");
    assert!(matches!(OutDir::create(&target, true, DirKind::Model), Err(Error::NotOurs { .. })));
    fs::remove_file(target.join("mine")).expect("removes");
    let export = OutDir::create(&target, true, DirKind::Export).map(|_| ());
    assert!(export.is_err_and(|e| e.to_string().contains("is a model, not an export")));
    let out = OutDir::create(&target, true, DirKind::Model).expect("creates");
    out.write("b", b"2").expect("writes");
    assert!(target.join("a").exists());
    out.publish(&AtomicBool::new(false)).expect("publishes");
    assert!(!target.join("a").exists() && target.join("b").exists());
    // Nothing temporary is left over.
    assert_eq!(fs::read_dir(dir.path().join("deep/er")).expect("lists").count(), 1);
    assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1);
}

#[test]
fn leftovers_of_killed_processes_are_swept_and_those_of_living_ones_are_not() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let target = dir.path().join("model");
    // The process id in the name proves nothing: it may come from another container.
    let dead = dir.path().join(format!(".model.lacuna-{}-x", std::process::id()));
    let alive = dir.path().join(".model.lacuna-4194305-y");
    fs::create_dir(&dead).and_then(|()| fs::create_dir(&alive)).expect("creates");
    let lock = File::open(&alive).expect("opens");
    flock(&lock, FlockOperation::LockExclusive).expect("locks");
    let first = OutDir::create(&target, false, DirKind::Model).expect("creates");
    assert!(!dead.exists() && alive.exists());
    drop(OutDir::create(&target, false, DirKind::Model).expect("creates"));
    assert!(first.file("").exists());
    drop(lock);
    drop(OutDir::create(&target, false, DirKind::Model).expect("creates"));
    assert!(!alive.exists() && first.file("").exists());
}

#[test]
fn a_model_that_was_moved_aside_goes_back() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (old, new) = (dir.path().join("model"), dir.path().join(".model.lacuna-7-x"));
    fs::create_dir(&old).and_then(|()| fs::create_dir(&new)).expect("creates");
    fs::write(old.join(MANIFEST), br#"{"outputs":[]}"#).expect("writes");
    // Repeated exchanges do not collide.
    exchange_in_steps(&new, &old).and_then(|()| exchange_in_steps(&new, &old)).expect("swaps");
    assert!(old.join(MANIFEST).exists());
    // A process was killed between its two renames.
    let aside = dir.path().join(format!(".model.lacuna-7-x{REPLACED}"));
    fs::rename(&old, &aside).expect("moves");
    let refused = OutDir::create(&old, false, DirKind::Model);
    assert!(matches!(refused, Err(Error::OutputExists { .. })));
    assert!(old.join(MANIFEST).exists() && !aside.exists() && !new.exists());
}

#[test]
fn who_waits_for_a_lock_can_be_stopped() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let target = dir.path().join("model");
    fs::create_dir(&target).expect("creates");
    let create = || OutDir::create(&target, true, DirKind::Model).expect("creates");
    let holder = create().hold(&AtomicBool::new(false)).expect("holds");
    let stopped = create().hold(&AtomicBool::new(true));
    assert!(matches!(stopped, Err(Error::Stopped)));
    drop(holder);
    create().hold(&AtomicBool::new(true)).expect("nothing to wait for");
}

#[test]
fn dropped_before_publishing_nothing_remains() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let out = OutDir::create(&dir.path().join("model"), false, DirKind::Model).expect("creates");
    out.write("a", b"1").expect("writes");
    drop(out);
    assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 0);
}
