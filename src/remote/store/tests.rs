//! Tests with a store in memory.

use std::collections::HashMap;
use std::sync::Mutex;

use object_store::memory::InMemory;

use super::*;

/// Stores in memory by name, which all of a test's parts see.
pub(in crate::remote) fn memory(name: &str) -> Arc<dyn ObjectStore> {
    static ALL: LazyLock<Mutex<HashMap<String, Arc<InMemory>>>> = LazyLock::new(Mutex::default);
    let mut all = ALL.lock().expect("no test failed within");
    all.entry(name.to_owned()).or_default().clone()
}

#[test]
fn objects_are_written_read_listed_and_removed() {
    let remote = Remote::open("memory://store/base").expect("memory");
    let stop = AtomicBool::new(false);
    assert_eq!(remote.head("a").ok(), Some(None));
    assert!(remote.get("a").expect("asked").is_none());
    let first = remote.put("a", b"one", Put::Create).expect("put").expect("created");
    assert!(remote.put("a", b"two", Put::Create).expect("put").is_none());
    let second = remote.put("a", b"two", Put::Replace(first.clone())).expect("put");
    assert!(second.is_some());
    assert!(remote.put("a", b"three", Put::Replace(first)).expect("put").is_none());
    assert_eq!(remote.get("a").expect("get").map(|(content, _)| content), Some(b"two".to_vec()));
    remote.put("b/c", b"", Put::Always).expect("put");
    let names = |under| -> Vec<String> {
        let found = remote.list(under, &stop).expect("list");
        found.into_iter().map(|object| object.name).collect()
    };
    assert_eq!(names(""), ["a", "b/c"]);
    assert_eq!(names("b"), ["b/c"]);
    let children = remote.children(&stop).expect("list");
    assert_eq!(children.iter().map(|object| &*object.name).collect::<Vec<_>>(), ["a"]);
    let all = remote.get_all(&["b/c".into(), "a".into()], &stop).expect("both");
    assert_eq!(all, [b"".to_vec(), b"two".to_vec()]);
    remote.remove(&["a".into(), "none".into()]).expect("removed");
    assert_eq!(names(""), ["b/c"]);
    let missing = remote.get_all(&["a".into()], &stop).map_err(|e| (e.exit_code(), e.to_string()));
    assert!(missing.is_err_and(|(code, text)| code == 3 && text.contains("memory://store/base")));
}

#[test]
fn large_files_go_and_come_in_parts() {
    let remote = Remote::open("memory://large").expect("memory");
    let stop = AtomicBool::new(false);
    let content: Vec<u8> = (0..3 * PART as usize + 17).map(|n| (n % 251) as u8).collect();
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&content).expect("written");
    remote.upload("deep/file", file.path(), &stop).expect("sent");
    let object = remote.head("deep/file").expect("asked").expect("there");
    assert_eq!(object.size, content.len() as u64);
    let copy = tempfile::NamedTempFile::new().expect("a file");
    let sha256 = remote.fetch(&object, copy.path(), (&stop, &|_| {})).expect("fetched");
    assert_eq!(sha256, <[u8; 32]>::from(Sha256::digest(&content)));
    assert_eq!(std::fs::read(copy.path()).expect("read"), content);
    // Another object under the same name is not mixed into the first.
    remote.put("deep/file", &content[1..], Put::Always).expect("put");
    let changed = remote.fetch(&object, copy.path(), (&stop, &|_| {}));
    assert!(changed.is_err_and(|e| e.to_string().contains("changed while it was read")));
    stop.store(true, Ordering::Relaxed);
    let stopped = remote.upload("other", file.path(), &stop);
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    assert_eq!(remote.head("other").ok(), Some(None));
}
