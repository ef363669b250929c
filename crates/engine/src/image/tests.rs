use std::os::unix::fs::MetadataExt;

use tar::{Builder, Header};

use super::*;

const SMALL: Bounds = Bounds { bytes: 64 * 1024, entries: 40, path_bytes: 200, depth: 6 };

/// An entry whose path and link may be anything: the library's own checks are passed by.
fn entry(kind: EntryType, path: &[u8], link: &[u8], mode: u32, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    let raw = header.as_gnu_mut().unwrap();
    raw.name[..path.len()].copy_from_slice(path);
    raw.linkname[..link.len()].copy_from_slice(link);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(path: &str, content: &[u8]) -> Vec<u8> {
    entry(EntryType::Regular, path.as_bytes(), b"", 0o644, content)
}

fn link(path: &str, target: &str) -> Vec<u8> {
    entry(EntryType::Symlink, path.as_bytes(), target.as_bytes(), 0o777, b"")
}

fn unpacked(entries: &[Vec<u8>]) -> (tempfile::TempDir, Result<(), String>) {
    let outer = tempfile::tempdir().unwrap();
    fs::write(outer.path().join("secret"), b"not the image's").unwrap();
    let folder = outer.path().join("image");
    fs::create_dir(&folder).unwrap();
    let tar = [entries.concat(), vec![0; 1024]].concat();
    let done = unpack(tar.as_slice(), &folder, &SMALL).map_err(|error| error.to_string());
    assert_eq!(fs::read(outer.path().join("secret")).unwrap(), b"not the image's");
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 2, "something was made outside");
    (outer, done)
}

#[test]
fn an_image_is_unpacked_with_plain_modes() {
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o6777);
    header.set_uid(4711);
    builder.append_data(&mut header, "./bin/busybox", &b"\x7fELF"[..]).unwrap();
    let mut tar = builder.into_inner().unwrap();
    tar.truncate(tar.len() - 1024);
    let hard = entry(EntryType::Link, b"bin/httpd", b"bin/busybox", 0o644, b"");
    let world = entry(EntryType::Directory, b"dev/", b"", 0o777, b"");
    let (outer, done) =
        unpacked(&[tar, link("bin/sh", "./busybox"), link("sh", "bin/../bin/sh"), hard, world]);
    done.unwrap();
    let at = |path: &str| outer.path().join("image").join(path);
    assert_eq!(fs::read(at("sh")).unwrap(), b"\x7fELF");
    let metadata = fs::metadata(at("bin/busybox")).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o755);
    assert_eq!(fs::read(at("bin/httpd")).unwrap(), b"\x7fELF");
    assert_ne!(metadata.uid(), 4711);
    for folder in WORLD {
        assert_eq!(fs::symlink_metadata(at(folder)).unwrap().mode(), 0o40755);
    }
}

#[test]
fn what_leads_out_or_is_no_file_is_refused() {
    let out = "leads out of the image";
    let other = "neither file nor folder nor link";
    let cases: Vec<(Vec<Vec<u8>>, &str)> = vec![
        (vec![file("/etc/passwd", b"x")], out),
        (vec![file("../secret", b"x")], out),
        (vec![file("a/../../secret", b"x")], out),
        (vec![link("a", "/etc/passwd")], out),
        (vec![link("a", "../secret")], out),
        (vec![link("a/b", "../../secret")], out),
        (vec![link("a", "")], out),
        // Through a link, though it stays inside.
        (vec![link("a", "bin"), file("a/x", b"x")], "another's place"),
        (vec![link("a", "."), link("a/b", "x")], "another's place"),
        (vec![file("a", b"x"), file("a/b", b"x")], "another's place"),
        (vec![file("a", b"x"), file("a", b"y")], "twice"),
        (vec![link("a", "b"), file("a", b"y")], "twice"),
        (vec![link("dev", "tmp")], "twice"),
        (vec![entry(EntryType::Link, b"a", b"../secret", 0o644, b"")], "no file of the image"),
        (vec![entry(EntryType::Link, b"a", b"/etc/passwd", 0o644, b"")], "no file of the image"),
        (vec![link("b", "dev"), entry(EntryType::Link, b"a", b"b", 0o644, b"")], "no file of the image"),
        (vec![entry(EntryType::Block, b"disk", b"", 0o666, b"")], other),
        (vec![entry(EntryType::Char, b"mem", b"", 0o666, b"")], other),
        (vec![entry(EntryType::Fifo, b"pipe", b"", 0o666, b"")], other),
        (vec![entry(EntryType::new(b'S'), b"sparse", b"", 0o666, b"")], ""),
        (vec![entry(EntryType::new(b'?'), b"odd", b"", 0o666, b"")], other),
        (vec![file("", b"x")], "no name"),
        (vec![file("a/b/c/d/e/f/g", b"x")], "too deep"),
        (vec![file("big", &[0; 70_000])], ""),
        ((0..41).map(|number| file(&format!("f{number}"), b"")).collect(), "too many entries"),
        (vec![b"no tar file at all, and longer than nothing".repeat(20)], "cannot be read"),
    ];
    for (entries, wanted) in cases {
        let (_outer, done) = unpacked(&entries);
        let why = done.expect_err(wanted);
        assert!(why.contains(wanted), "{why:?} instead of {wanted:?}");
    }
}

#[test]
fn many_files_together_have_a_bound() {
    let entries: Vec<_> = (0..5).map(|number| file(&format!("f{number}"), &[1; 20_000])).collect();
    let (_outer, done) = unpacked(&entries);
    done.unwrap_err();
}

#[test]
fn a_digest_is_of_all_bytes_and_of_so_many_alone() {
    let bytes = vec![7; 300_000];
    assert_eq!(digest(&mut bytes.as_slice(), &BOUNDS).unwrap(), Digest::of(&bytes));
    assert!(matches!(digest(&mut bytes.as_slice(), &SMALL), Err(NotUnpacked::TooMany("bytes"))));
}
