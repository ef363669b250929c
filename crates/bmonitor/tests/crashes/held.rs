//! What the journal demands of volumes and engines, and what the kernel, the medium and custody's folder have.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use os::fscrypt::KeyStatus;
use tenure::World;
use volume::{Driver, Fscrypt, Place, Room, Status};

use crate::subject::{LOOK, PATIENCE, Subject, TENANT};

const DRIVER: Fscrypt = Fscrypt { room: Room::Sparse };

/// The medium of the node's volumes.
pub(crate) fn volumes(subject: &Subject) -> PathBuf {
    subject.node().folder().join("volumes")
}

/// The shims of the node.
pub(crate) fn shims(subject: &Subject) -> usize {
    subject.node().processes().unwrap().iter().filter(|(name, _)| name == "shim").count()
}

/// A path as the supervisor sees it, which has a mount namespace of its own.
pub(crate) fn in_the_supervisor(subject: &Subject, path: &Path) -> PathBuf {
    let supervisor = format!("/proc/{}/root", supervisor(subject));
    Path::new(&supervisor).join(path.strip_prefix("/").unwrap())
}

fn supervisor(subject: &Subject) -> u32 {
    let processes = subject.node().processes().unwrap();
    processes.into_iter().find(|(name, _)| name == "supervisor").unwrap().1
}

/// Compares.
pub(crate) fn check(subject: &Subject, world: &World) {
    let each =
        || world.realms.iter().flat_map(|realm| realm.volumes.iter().map(move |volume| (realm, volume)));
    let places: BTreeSet<String> =
        each().map(|(realm, volume)| format!("{}/{}", realm.tier, volume.volume.number)).collect();
    assert_eq!(images(subject), places, "images on the medium\n{}", subject.log());
    assert_eq!(salts(subject), places.iter().cloned().collect::<Vec<_>>(), "salts\n{}", subject.log());
    let open = || each().filter(|(_, volume)| volume.open);
    let shown: BTreeSet<String> =
        open().map(|(realm, volume)| format!("{}/{}", realm.tier, volume.name)).collect();
    let devices: BTreeSet<String> =
        open().map(|(realm, volume)| format!("{}/{}.image", realm.tier, volume.volume.number)).collect();
    becomes(subject, "loop devices", &devices, || backing_files(subject));
    becomes(subject, "mounts", &shown, || mounts(subject));
    for name in &shown {
        let content = in_the_supervisor(subject, &volumes(subject).join(name));
        let content = File::open(content).unwrap();
        let key = os::fscrypt::policy(&content).unwrap().unwrap();
        assert_eq!(os::fscrypt::key_status(&content, key).unwrap(), KeyStatus::Present, "{name}");
    }
    let runs = world.realms.iter().flat_map(|realm| &realm.wanted).filter(|engine| engine.runs).count();
    becomes(subject, "engines with control groups", &runs, || groups(subject));
    if runs == 0 {
        becomes(subject, "processes in the realm", &0, || in_the_realm(subject));
    }
}

/// What a supervisor has asked the kernel for, and what follows from a process that ended, may take a moment.
fn becomes<T: PartialEq + std::fmt::Debug>(subject: &Subject, what: &str, wanted: &T, found: impl Fn() -> T) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = found();
        if found == *wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {found:?}, not {wanted:?}\n{}", subject.log());
        os::poll::wait(&[], Some(LOOK)).unwrap();
    }
}

/// `TIER/NUMBER` of each image, whole or not.
fn images(subject: &Subject) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for tier in names(&volumes(subject)) {
        let numbers = names(&volumes(subject).join(&tier)).into_iter();
        found.extend(numbers.filter_map(|name| Some(format!("{tier}/{}", Place::number_in(&name)?))));
    }
    found
}

/// `TIER/NUMBER` of each salt in custody's folder, sorted: twice there means that an old one is left.
fn salts(subject: &Subject) -> Vec<String> {
    let kept = names(&subject.node().folder().join("state/custody"));
    let salt = |name: &String| match name.split('.').collect::<Vec<_>>()[..] {
        [tier, _epoch, number, "volume"] => Some(format!("{tier}/{number}")),
        _ => None,
    };
    let mut found: Vec<_> = kept.iter().filter_map(salt).collect();
    found.sort_unstable();
    found
}

/// `TIER/FILE` of each of the node's files that a loop device has. Of one that was made in the mount namespace of a
/// supervisor that is dead the kernel knows no more than that: ids of tiers are no other node's.
fn backing_files(subject: &Subject) -> BTreeSet<String> {
    let medium = volumes(subject);
    let devices = names(Path::new("/sys/block")).into_iter().filter(|name| name.starts_with("loop"));
    // A device that goes meanwhile has no file.
    let files =
        devices.filter_map(|name| fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).ok());
    let own = |file: String| {
        let mut parts = file.trim_end().rsplit('/');
        let (file, tier) = (parts.next()?, parts.next()?);
        medium.join(tier).exists().then(|| format!("{tier}/{file}"))
    };
    files.filter_map(own).collect()
}

/// What the supervisor's mount namespace has below the medium, however often.
fn mounts(subject: &Subject) -> BTreeSet<String> {
    let medium = volumes(subject);
    let text = fs::read_to_string(format!("/proc/{}/mountinfo", supervisor(subject))).unwrap();
    let places = text.lines().filter_map(|line| line.split(' ').nth(4));
    let below = places.filter_map(|place| Path::new(place).strip_prefix(&medium).ok());
    below.filter(|path| !path.as_os_str().is_empty()).map(|path| path.display().to_string()).collect()
}

/// How many engines the node's control groups are for.
fn groups(subject: &Subject) -> usize {
    let own = format!("{}-n1", subject.facility.plan().prefix);
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = names(root).into_iter().map(|name| root.join(name)).chain([root.to_owned()]);
    let of = |hierarchy: PathBuf| {
        let folders = fs::read_dir(hierarchy.join(&own)).into_iter().flatten().filter_map(Result::ok);
        folders.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name()).collect::<Vec<_>>()
    };
    hierarchies.flat_map(of).collect::<BTreeSet<_>>().len()
}

/// How many processes have the realm's network.
fn in_the_realm(subject: &Subject) -> usize {
    let Ok(realm) = fs::metadata(subject.facility.path_of(&format!("n1-{TENANT}"))) else { return 0 };
    let link = format!("net:[{}]", realm.ino());
    let ids =
        names(Path::new("/proc")).into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    ids.filter(|id| {
        fs::read_link(format!("/proc/{id}/ns/net")).is_ok_and(|its| its.as_os_str() == link.as_str())
    })
    .count()
}

/// Nothing that is left opens the image that was stolen: no kernel has its key, no salt is left, no image on the
/// medium, and with another key it is refused.
pub(crate) fn is_erased(subject: &Subject, stolen: &Path) {
    assert!(salts(subject).is_empty() && images(subject).is_empty(), "{}", subject.log());
    let place = Place::new(stolen.to_owned(), None, 1);
    assert_eq!(DRIVER.status(&place).unwrap(), Status::Closed, "{}", subject.log());
    let opened = std::thread::spawn(move || {
        os::mount::own_namespace().unwrap();
        os::mount::private_folder(place.folder()).unwrap();
        let within = DRIVER.attach(&place).unwrap();
        let key = os::fscrypt::add_key(&within, &[7; 64]).unwrap();
        drop(within);
        let opened = DRIVER.open(&place, key).is_ok();
        DRIVER.close(&place).unwrap();
        opened
    });
    assert!(!opened.join().unwrap());
}

/// What lies in a folder; nothing in one that is not there.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
