//! The folder where network namespaces are named, shared with the mount namespaces of the nodes. Facilities may have
//! it in common: the last to end takes away what a facility made of it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use os::mount;

use crate::failed::{Act, Failed};
use crate::guard::{Guard, Thing};

/// Longer than a facility takes to put its first name there, on a machine however busy.
const HELD_AT_MOST: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(10);

/// While it is held, no other facility comes to use the folder or leaves it.
#[derive(Debug)]
pub(crate) struct Held {
    _parent: File,
}

/// Makes the folder. Until a name is in it, what is given must be held.
pub(crate) fn prepare(names: &Path, guard: &Guard) -> Result<Held, Failed> {
    let act = || format!("prepare {}", names.display());
    let held = hold(names, HELD_AT_MOST)?;
    guard.record(&Thing::NamesFolder(names.to_owned()))?;
    if !names.exists() {
        fs::write(made(names), "").act(act)?;
        fs::create_dir(names).act(act)?;
    }
    if !mount::is_shared(names).act(act)? {
        fs::write(mounted(names), "").act(act)?;
        mount::shared_folder(names).act(act)?;
    }
    Ok(held)
}

/// Takes away what facilities made of the folder, if nothing is named there any more.
pub(crate) fn leave(names: &Path) -> Result<(), Failed> {
    let act = || format!("remove {}", names.display());
    if !names.parent().is_some_and(Path::exists) {
        return Ok(());
    }
    let _held = hold(names, HELD_AT_MOST)?;
    if fs::read_dir(names).is_ok_and(|entries| entries.count() > 0) {
        return Ok(());
    }
    if mounted(names).exists() {
        while mount::is_mounted(names).act(act)? {
            mount::unmount(names).act(act)?;
        }
        fs::remove_file(mounted(names)).act(act)?;
    }
    if made(names).exists() {
        match fs::remove_dir(names) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).act(act),
            Ok(()) | Err(_) => fs::remove_file(made(names)).act(act)?,
        }
    }
    Ok(())
}

/// One that stopped while it held it is named by `/proc/locks`: it would be waited for without end.
fn hold(names: &Path, at_most: Duration) -> Result<Held, Failed> {
    let act = || format!("lock the folder of {}", names.display());
    let parent = File::open(names.parent().unwrap_or(names)).act(act)?;
    let deadline = Instant::now() + at_most;
    loop {
        match parent.try_lock() {
            Ok(()) => return Ok(Held { _parent: parent }),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                os::poll::wait(&[], Some(LOOK)).map(drop).act(act)?;
            }
            Err(TryLockError::WouldBlock) => {
                let told =
                    format!("another facility has held it for {} s: see /proc/locks", at_most.as_secs());
                return Err(told).act(act);
            }
            Err(TryLockError::Error(error)) => return Err(error).act(act),
        }
    }
}

/// Says that a facility made the folder. It lies beside it: the folder goes when it is empty.
fn made(names: &Path) -> PathBuf {
    names.with_extension("made-by-lab")
}

/// Says that a facility mounted it onto itself.
fn mounted(names: &Path) -> PathBuf {
    names.with_extension("mounted-by-lab")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_holds_the_folder_is_waited_for_and_not_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let names = folder.path().join("names");
        let held = hold(&names, HELD_AT_MOST).unwrap();
        let refused = hold(&names, LOOK).unwrap_err().told();
        assert!(refused.contains("another facility has held it"), "{refused}");
        let waits = std::thread::spawn({
            let names = names.clone();
            move || hold(&names, HELD_AT_MOST).map(drop)
        });
        drop(held);
        waits.join().unwrap().unwrap();
    }
}
