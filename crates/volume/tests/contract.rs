//! What holds for every kind of volume, on the kernel of this machine. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

use tempfile::TempDir;
use volume::{Driver, Fscrypt, KEY_BYTES, KeyId, Place, Room, Status, VolumeError};

const BYTES: u64 = 16 * 1024 * 1024;
const MARKER: &[u8] = b"marker-of-a-tenant-that-nobody-else-may-read";

/// The key that a landlord's and a tenant's part make.
fn key(landlord: u8, tenant: u8) -> [u8; KEY_BYTES] {
    std::array::from_fn(|place| if place % 2 == 0 { landlord } else { tenant })
}

/// A driver, with how custody gives its kind of volume a key.
struct Kind<D> {
    driver: D,
    give: fn(&OwnedFd, &[u8; KEY_BYTES]) -> KeyId,
}

fn by_fscrypt() -> Kind<Fscrypt> {
    Kind {
        driver: Fscrypt { room: Room::Reserved },
        give: |within, key| os::fscrypt::add_key(within, key).unwrap(),
    }
}

/// A folder in a mount namespace of the test's own, which takes all mounts along when it ends.
fn medium() -> TempDir {
    os::mount::own_namespace().unwrap();
    let folder = TempDir::new().unwrap();
    os::mount::private_folder(folder.path()).unwrap();
    folder
}

fn place(medium: &TempDir) -> Place {
    Place::new(medium.path().join("tier"), Some(&"data".parse().unwrap()), 1)
}

impl<D: Driver> Kind<D> {
    fn opened(&self, place: &Place, with: &[u8; KEY_BYTES]) -> Result<(), VolumeError> {
        self.driver.provision(place, BYTES)?;
        let within = self.driver.attach(place)?;
        let key = (self.give)(&within, with);
        drop(within);
        self.driver.open(place, key)
    }

    fn is_open(&self, place: &Place) -> bool {
        matches!(self.driver.status(place).unwrap(), Status::Open(_))
    }
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn write_markers(content: &Path) {
    let name = String::from_utf8(MARKER.to_vec()).unwrap();
    fs::write(content.join("plain"), MARKER.repeat(1000)).unwrap();
    fs::create_dir(content.join(&name)).unwrap();
    fs::write(content.join(&name).join("below"), b"").unwrap();
    symlink(format!("/{name}/{name}"), content.join("link")).unwrap();
}

fn medium_shows_nothing(kind: &Kind<impl Driver>) {
    let (medium, right) = (medium(), key(1, 2));
    let place = place(&medium);
    assert_eq!(kind.driver.status(&place).unwrap(), Status::Absent);
    kind.opened(&place, &right).unwrap();
    kind.opened(&place, &right).unwrap();
    let Status::Open(space) = kind.driver.status(&place).unwrap() else { panic!("it is not open") };
    assert!(space.size <= BYTES && space.free > BYTES / 2 && space.free <= space.size, "{space:?}");
    write_markers(&place.content());
    kind.driver.close(&place).unwrap();
    assert_eq!(kind.driver.status(&place).unwrap(), Status::Closed);
    assert!(!place.content().join("plain").exists());
    assert!(!holds(&fs::read(place.image()).unwrap(), MARKER));
    kind.opened(&place, &right).unwrap();
    assert_eq!(fs::read(place.content().join("plain")).unwrap(), MARKER.repeat(1000));
    kind.driver.close(&place).unwrap();
    kind.driver.close(&place).unwrap();
}

fn refuses_other_keys(kind: &Kind<impl Driver>) {
    let (medium, right) = (medium(), key(1, 2));
    let place = place(&medium);
    kind.opened(&place, &right).unwrap();
    write_markers(&place.content());
    kind.driver.close(&place).unwrap();
    for other in [key(3, 2), key(1, 3), key(2, 1)] {
        assert!(matches!(kind.opened(&place, &other), Err(VolumeError::OtherKey)));
        assert!(!kind.is_open(&place) && !place.content().join("plain").exists());
        kind.driver.close(&place).unwrap();
    }
    let within = kind.driver.attach(&place).unwrap();
    let id = (kind.give)(&within, &right);
    drop(within);
    kind.driver.close(&place).unwrap();
    // The key went with the closing, though nothing was open under it.
    drop(kind.driver.attach(&place).unwrap());
    assert!(matches!(kind.driver.open(&place, id), Err(VolumeError::NoKey)));
    kind.opened(&place, &right).unwrap();
    assert!(place.content().join("plain").exists());
    kind.driver.close(&place).unwrap();
}

fn closes_by_the_kernels_word(kind: &Kind<impl Driver>) {
    let (medium, right) = (medium(), key(1, 2));
    let place = place(&medium);
    kind.opened(&place, &right).unwrap();
    write_markers(&place.content());
    assert!(matches!(kind.driver.remove(&place), Err(VolumeError::NotClosed)));
    let held = fs::File::open(place.content().join("plain")).unwrap();
    for _again in 0..2 {
        assert!(matches!(kind.driver.close(&place), Err(VolumeError::Busy { .. })));
        assert_eq!(kind.driver.status(&place).unwrap(), Status::Attached);
        assert!(matches!(kind.driver.remove(&place), Err(VolumeError::NotClosed)));
    }
    drop(held);
    kind.driver.close(&place).unwrap();
    assert_eq!(kind.driver.status(&place).unwrap(), Status::Closed);
    kind.driver.remove(&place).unwrap();
    kind.driver.remove(&place).unwrap();
    assert_eq!(kind.driver.status(&place).unwrap(), Status::Absent);
    assert_eq!(
        fs::read_dir(place.folder())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().is_file())
            .count(),
        0
    );
}

/// Who cannot be ended reads and writes nothing any more, and nothing is lost by that.
fn shuts_out_whoever_holds_it(kind: &Kind<impl Driver>) {
    let (medium, right) = (medium(), key(1, 2));
    let place = place(&medium);
    kind.opened(&place, &right).unwrap();
    write_markers(&place.content());
    let plain = place.content().join("plain");
    let held = fs::File::options().read(true).write(true).open(&plain).unwrap();
    let reads = || held.read_at(&mut [0; 16], 0);
    assert!(matches!(kind.driver.close(&place), Err(VolumeError::Busy { .. })));
    assert_eq!(reads().unwrap(), 16);
    for _again in 0..2 {
        kind.driver.shut(&place).unwrap();
        assert!(reads().is_err() && held.write_at(b"x", 0).is_err());
        let closed = kind.driver.close(&place);
        assert!(matches!(closed, Err(VolumeError::Busy { .. })), "{closed:?}");
        assert!(matches!(kind.driver.attach(&place), Err(VolumeError::Shut)));
        assert_eq!(kind.driver.status(&place).unwrap(), Status::Attached);
    }
    drop(held);
    kind.driver.close(&place).unwrap();
    assert_eq!(kind.driver.status(&place).unwrap(), Status::Closed);
    kind.driver.shut(&place).unwrap();
    kind.opened(&place, &right).unwrap();
    assert_eq!(fs::read(plain).unwrap(), MARKER.repeat(1000));
    kind.driver.close(&place).unwrap();
}

/// A monitor that died: its mounts went with it, but an engine has a copy of one.
fn finds_what_another_holds(kind: &Kind<impl Driver + Sync>) {
    let (medium, right) = (medium(), key(1, 2));
    let place = place(&medium);
    kind.opened(&place, &right).unwrap();
    write_markers(&place.content());
    let held = fs::File::open(place.content()).unwrap();
    while os::mount::is_mounted(&place.content()).unwrap() {
        os::mount::unmount(&place.content()).unwrap();
    }
    assert_eq!(kind.driver.status(&place).unwrap(), Status::Attached);
    let within = kind.driver.attach(&place).unwrap();
    let id = (kind.give)(&within, &right);
    drop(within);
    kind.driver.open(&place, id).unwrap();
    assert!(kind.is_open(&place) && place.content().join("plain").exists());
    while os::mount::is_mounted(&place.content()).unwrap() {
        os::mount::unmount(&place.content()).unwrap();
    }
    assert!(matches!(kind.driver.close(&place), Err(VolumeError::Busy { .. })));
    drop(held);
    kind.driver.close(&place).unwrap();
    assert_eq!(kind.driver.status(&place).unwrap(), Status::Closed);
}

fn has_a_wall(kind: &Kind<impl Driver>) {
    let medium = medium();
    let place = place(&medium);
    kind.opened(&place, &key(1, 2)).unwrap();
    let flood = vec![7; usize::try_from(2 * BYTES).unwrap()];
    let full = fs::write(place.content().join("flood"), flood).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    kind.driver.close(&place).unwrap();
    assert_eq!(fs::metadata(place.image()).unwrap().len(), BYTES);
}

// Each part of the contract, with every kind of volume.

#[test]
fn the_medium_shows_nothing() {
    medium_shows_nothing(&by_fscrypt());
}

#[test]
fn other_keys_are_refused() {
    refuses_other_keys(&by_fscrypt());
}

#[test]
fn closed_is_what_the_kernel_says() {
    closes_by_the_kernels_word(&by_fscrypt());
}

#[test]
fn who_holds_it_and_cannot_be_ended_is_shut_out() {
    shuts_out_whoever_holds_it(&by_fscrypt());
}

#[test]
fn what_another_holds_is_found_again() {
    finds_what_another_holds(&by_fscrypt());
}

#[test]
fn a_size_is_a_wall() {
    has_a_wall(&by_fscrypt());
}
