//! What any store must do, whatever it is made of.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use store::{Failed, Key, PAGE_ENTRIES_MAX, Sqlite, Store, Transaction, VALUE_BYTES_MAX, WRITES_MAX};

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

/// Each store that there is, empty.
fn each(check: impl Fn(&dyn Store)) {
    let folder = tempfile::tempdir().unwrap();
    check(&Sqlite::open(&folder.path().join("store.sqlite")).unwrap());
}

#[test]
fn what_was_written_is_read() {
    each(|store| {
        let first = store.commit(Transaction::new().put(&key("a/1"), b"one".to_vec())).unwrap();
        let second =
            store.commit(Transaction::new().put(&key("a/2"), b"two".to_vec()).remove(&key("a/1"))).unwrap();
        assert!(second > first);
        assert_eq!(store.get(&key("a/1")).unwrap(), None);
        let entry = store.get(&key("a/2")).unwrap().unwrap();
        assert_eq!((entry.value.as_slice(), entry.revision), (b"two".as_slice(), second));
    });
}

#[test]
fn a_range_is_in_order_and_in_pages() {
    each(|store| {
        for text in ["b/1", "a/2", "a/1", "a/3", "a", "ab/1", "a/~"] {
            store.commit(Transaction::new().put(&key(text), text.as_bytes().to_vec())).unwrap();
        }
        let keys = |prefix: &str, after: Option<&str>, max| {
            let page = store.range(prefix, after.map(key).as_ref(), max).unwrap();
            let keys: Vec<_> = page.entries.iter().map(|entry| entry.key.to_string()).collect();
            (keys.join(" "), page.more)
        };
        assert_eq!(keys("a/", None, 9), ("a/1 a/2 a/3 a/~".to_owned(), false));
        assert_eq!(keys("a/", None, 2), ("a/1 a/2".to_owned(), true));
        assert_eq!(keys("a/", Some("a/2"), 2), ("a/3 a/~".to_owned(), false));
        assert_eq!(keys("a/", Some("a/~"), 2), (String::new(), false));
        assert_eq!(keys("", None, usize::MAX).0.split(' ').count(), 7);
        assert_eq!(keys("none/", None, 1), (String::new(), false));
    });
}

#[test]
fn a_page_has_its_limit() {
    each(|store| {
        for part in 0..5 {
            let all = (0..250).fold(Transaction::new(), |all, number| {
                all.put(&key(&format!("k/{part}/{number:04}")), Vec::new())
            });
            store.commit(all).unwrap();
        }
        let page = store.range("k/", None, usize::MAX).unwrap();
        assert_eq!((page.entries.len(), page.more), (PAGE_ENTRIES_MAX, true));
    });
}

#[test]
fn what_rests_on_something_else_is_not_written() {
    each(|store| {
        let (counter, other) = (key("counter"), key("other"));
        store.commit(Transaction::new().expect(&counter, None).put(&counter, vec![1])).unwrap();
        let again = Transaction::new().expect(&counter, None).put(&other, vec![9]).put(&counter, vec![2]);
        assert!(matches!(store.commit(again), Err(Failed::Conflict { key }) if key == counter));
        assert_eq!(store.get(&other).unwrap(), None);

        let read = store.get(&counter).unwrap();
        let next = Transaction::new().expect(&counter, read.as_ref());
        store.commit(next.clone().put(&counter, vec![2])).unwrap();
        assert!(matches!(store.commit(next.put(&counter, vec![3])), Err(Failed::Conflict { .. })));
        assert_eq!(store.get(&counter).unwrap().unwrap().value, [2]);
        // The same value written again is another writing.
        let read = store.get(&counter).unwrap();
        store.commit(Transaction::new().put(&counter, vec![2])).unwrap();
        let late = Transaction::new().expect(&counter, read.as_ref()).remove(&counter);
        assert!(matches!(store.commit(late), Err(Failed::Conflict { .. })));
    });
}

#[test]
fn of_many_who_count_none_counts_twice() {
    each(|store| {
        let (counter, conflicts) = (key("counter"), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut counted = 0;
                    while counted < 25 {
                        let read = store.get(&counter).unwrap();
                        let next = read.as_ref().map_or(0, |entry| entry.value[0]) + 1;
                        let write =
                            Transaction::new().expect(&counter, read.as_ref()).put(&counter, vec![next]);
                        match store.commit(write) {
                            Ok(_) => counted += 1,
                            Err(Failed::Conflict { .. }) => {
                                conflicts.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
        });
        assert_eq!(store.get(&counter).unwrap().unwrap().value, [100]);
    });
}

#[test]
fn limits_are_told_and_write_nothing() {
    each(|store| {
        let long = Transaction::new().put(&key("a"), vec![]).put(&key("b"), vec![0; VALUE_BYTES_MAX + 1]);
        assert!(matches!(store.commit(long), Err(Failed::Limit { what: "bytes of a value", .. })));
        let many = (0..=WRITES_MAX)
            .fold(Transaction::new(), |all, number| all.put(&key(&format!("k/{number}")), Vec::new()));
        assert!(matches!(store.commit(many), Err(Failed::Limit { .. })));
        assert_eq!(store.range("", None, 9).unwrap().entries, []);
        store.commit(Transaction::new().put(&key("b"), vec![0; VALUE_BYTES_MAX])).unwrap();
    });
    for text in ["", "a b", "ä", "a\n", &"k".repeat(513)] {
        assert!(text.parse::<Key>().is_err(), "{text:?}");
    }
}

#[test]
fn a_store_has_one_holder_and_remembers() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let store = Arc::new(Sqlite::open(&path).unwrap());
    let first = store.commit(Transaction::new().put(&key("a"), b"1".to_vec())).unwrap();
    assert!(matches!(Sqlite::open(&path), Err(Failed::Held)));
    drop(store);
    let store = Sqlite::open(&path).unwrap();
    assert_eq!(store.get(&key("a")).unwrap().unwrap().revision, first);
    assert!(store.commit(Transaction::new().remove(&key("a"))).unwrap() > first);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
    }
}

#[test]
fn a_later_format_and_garbage_are_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    drop(Sqlite::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("PRAGMA user_version = 2").unwrap();
    drop(raw);
    assert!(matches!(Sqlite::open(&path), Err(Failed::Format { found: 2, known: 1 })));
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, [0x55; 8192]).unwrap();
    assert!(matches!(Sqlite::open(&garbage), Err(Failed::Medium { .. })));
}
