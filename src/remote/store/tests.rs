//! Tests with a store in memory.

use std::sync::atomic::Ordering;

use super::*;

#[test]
fn objects_are_written_read_listed_and_removed() {
    let remote = Remote::open("memory://store/base").expect("memory");
    let stop = AtomicBool::new(false);
    assert_eq!(remote.head("a", &stop).ok(), Some(None));
    assert!(remote.get("a", &stop).expect("asked").is_none());
    let first = remote.put("a", b"one", Put::Create, &stop).expect("put").expect("created");
    assert!(remote.put("a", b"two", Put::Create, &stop).expect("put").is_none());
    let second = remote.put("a", b"two", Put::Replace(first.clone()), &stop).expect("put");
    assert!(second.is_some());
    assert!(remote.put("a", b"three", Put::Replace(first), &stop).expect("put").is_none());
    assert_eq!(
        remote.get("a", &stop).expect("get").map(|(content, _)| content),
        Some(b"two".to_vec())
    );
    remote.put("b/c", b"", Put::Always, &stop).expect("put");
    let names = |under| -> Vec<String> {
        let found = remote.list(under, &stop).expect("list");
        found.into_iter().map(|object| object.name).collect()
    };
    assert_eq!(names(""), ["a", "b/c"]);
    assert_eq!(names("b"), ["b/c"]);
    let children = remote.children(&stop).expect("list");
    assert_eq!(children.iter().map(|object| &*object.name).collect::<Vec<_>>(), ["a"]);
    let all = remote.get_all(&["b/c".into(), "a".into()], &stop).expect("both");
    assert_eq!(all, [Some(b"".to_vec()), Some(b"two".to_vec())]);
    remote.remove(&["a".into(), "none".into()], &stop).expect("removed");
    assert_eq!(names(""), ["b/c"]);
    assert_eq!(remote.get_all(&["a".into()], &stop).ok(), Some(vec![None]));
}

#[test]
fn large_files_go_and_come_in_parts() {
    let remote = Remote::open("memory://large").expect("memory");
    let stop = AtomicBool::new(false);
    let content: Vec<u8> = (0..3 * PART as usize + 17).map(|n| (n % 251) as u8).collect();
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&content).expect("written");
    remote.upload("deep/file", file.path(), &stop).expect("sent");
    let object = remote.head("deep/file", &stop).expect("asked").expect("there");
    assert_eq!(object.size, content.len() as u64);
    let copy = tempfile::NamedTempFile::new().expect("a file");
    let sha256 =
        remote.fetch(&object, copy.as_file(), copy.path(), &stop, &|_| {}).expect("fetched");
    assert_eq!(sha256, <[u8; 32]>::from(Sha256::digest(&content)));
    assert_eq!(std::fs::read(copy.path()).expect("read"), content);
    // Parts of another object under the same name are not mixed into the first.
    remote.put("deep/file", &content[1..], Put::Always, &stop).expect("put");
    let changed = remote.fetch(&object, copy.as_file(), copy.path(), &stop, &|_| {});
    assert!(changed.is_err_and(|e| e.to_string().contains("changed while it was read")));
    stop.store(true, Ordering::Relaxed);
    let stopped = remote.upload("other", file.path(), &stop);
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    assert_eq!(remote.head("other", Duration::from_secs(5)).ok(), Some(None));
}
