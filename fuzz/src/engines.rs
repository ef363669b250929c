//! What comes with an engine: a tenant's specification and image, what the engine says of itself, and the lines between
//! shims and the supervisor.

use std::fs;
use std::path::{Path, PathBuf};

use engine::image::{self, Bounds, WORLD};
use engine::notice::{self, Notice, STATUS_CHARACTERS_MAX};
use engine::shim::{Command, Launch, Report};
use engine::specification::Specification;

/// A specification that is taken can be written down and says the same again.
pub fn specification(bytes: &[u8]) {
    match Specification::parse(bytes) {
        Ok(read) => {
            let text = toml::to_string(&read).expect("what was read can be written");
            assert_eq!(Specification::parse(text.as_bytes()), Ok(read));
        }
        Err(wrong) => assert!(!wrong.to_string().is_empty()),
    }
}

/// Nothing that an engine says of itself moves a cursor, or is longer than is kept.
pub fn notice(bytes: &[u8]) {
    for said in notice::parse(bytes) {
        if let Notice::Status(status) = said {
            assert!(status.chars().count() <= STATUS_CHARACTERS_MAX);
            assert!(!status.contains(char::is_control));
        }
    }
}

/// The lines between shims and whoever has them started.
pub fn shim_lines(bytes: &[u8]) {
    reads_back::<Launch>(bytes);
    reads_back::<Command>(bytes);
    reads_back::<Report>(bytes);
}

fn reads_back<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(bytes) else { return };
    let text = serde_json::to_vec(&read).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&text).ok(), Some(read));
}

const BOUNDS: Bounds = Bounds { bytes: 64 * 1024, entries: 24, path_bytes: 64, depth: 4 };

/// Whatever a tar file says, nothing is made outside its folder, nothing but files, folders and links, and no more than
/// the bounds allow.
pub fn image(bytes: &[u8]) {
    let around = Around::new();
    let folder = around.0.join("image");
    fs::create_dir(&folder).expect("a folder of our own");
    let taken = image::unpack(bytes, &folder, &BOUNDS).is_ok();
    let beside: Vec<_> = fs::read_dir(&around.0).expect("it is there").collect();
    assert_eq!(beside.len(), 1, "something was made outside");
    let (mut entries, mut size) = (0, 0);
    look(&folder, 0, &mut entries, &mut size);
    assert!(entries <= BOUNDS.entries && size <= BOUNDS.bytes);
    assert!(!taken || WORLD.iter().all(|name| folder.join(name).is_dir()));
}

fn look(folder: &Path, depth: usize, entries: &mut usize, size: &mut u64) {
    assert!(depth <= BOUNDS.depth);
    for entry in fs::read_dir(folder).expect("a folder that was made") {
        let path = entry.expect("an entry").path();
        let found = fs::symlink_metadata(&path).expect("it is there");
        *entries += 1;
        if found.is_dir() {
            look(&path, depth + 1, entries, size);
        } else if found.is_symlink() {
            assert!(fs::read_link(&path).expect("a link").is_relative());
        } else {
            assert!(found.is_file());
            *size += found.len();
        }
    }
}

/// A folder beside this program, where a finding may leave it. It goes with the value.
struct Around(PathBuf);

impl Around {
    fn new() -> Self {
        let own = std::env::current_exe().expect("a program");
        let path = own.with_extension(format!("{}", std::process::id()));
        fs::create_dir(&path).expect("nobody else has the name");
        Self(path)
    }
}

impl Drop for Around {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("it was made here");
    }
}
