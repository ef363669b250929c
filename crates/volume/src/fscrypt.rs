//! Volumes by `fscrypt`: an ext4 file system in the image, and in it one folder that is encrypted under the
//! volume's key. What shows is that folder alone.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use os::fscrypt::{self, KeyId, KeyStatus};
use os::loop_device::LoopDevice;
use os::{mount, shutdown, space};

use crate::driver::{Driver, Place, Status, VolumeError};

/// What a file system that was shut answers to everything.
const EIO: i32 = 5;
/// The encrypted folder: the root of an ext4 file system cannot be one.
const CONTENT: &str = "content";

/// Whether the medium gives its room when the volume is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// All of it: nothing that others write takes it away.
    Reserved,
    /// As it is written.
    Sparse,
}

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Fscrypt {
    /// How images are made.
    pub room: Room,
}

impl Driver for Fscrypt {
    fn provision(&self, place: &Place, bytes: u64) -> Result<(), VolumeError> {
        if place.image().exists() {
            return Ok(());
        }
        make_folder(place.folder(), 0o711)?;
        let unfinished = place.image().with_extension("image.new");
        let shown = unfinished.display().to_string();
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(because("remove", &shown)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&unfinished);
        let file = file.map_err(because("make", &shown))?;
        file.set_len(bytes).map_err(because("size", &shown))?;
        if self.room == Room::Reserved {
            space::reserve(&file, bytes).map_err(because("reserve the room of", &shown))?;
        }
        format(&unfinished)?;
        file.sync_all().map_err(because("sync", &shown))?;
        fs::rename(&unfinished, place.image()).map_err(because("name", &shown))?;
        sync_folder(place.folder())
    }

    fn attach(&self, place: &Place) -> Result<OwnedFd, VolumeError> {
        let image = locked(place)?;
        let device = match LoopDevice::of(&image)? {
            Some(device) => device,
            None => LoopDevice::attach(&for_device(place)?)?,
        };
        let top = mounted(place, &device)?;
        if top.sync_all().is_err_and(|error| error.raw_os_error() == Some(EIO)) {
            // While it is mounted here it is held by us.
            drop(top);
            mount::unmount(&place.content())?;
            return Err(VolumeError::Shut);
        }
        Ok(top.into())
    }

    fn open(&self, place: &Place, key: KeyId) -> Result<(), VolumeError> {
        let image = locked(place)?;
        let device = LoopDevice::of(&image)?.ok_or(VolumeError::NoKey)?;
        let top = mounted(place, &device)?;
        let target = place.content();
        let shown = target.display().to_string();
        if let Some(present) = fscrypt::policy(&top).map_err(because("look at", &shown))? {
            return if present == key { Ok(()) } else { refuse(&top, key, &shown) };
        }
        if fscrypt::key_status(&top, key).map_err(because("ask for the key of", &shown))?
            != KeyStatus::Present
        {
            return Err(VolumeError::NoKey);
        }
        let content = target.join(CONTENT);
        make_folder(&content, 0o711)?;
        let folder = File::open(&content).map_err(because("open", &shown))?;
        match fscrypt::policy(&folder).map_err(because("look at", &shown))? {
            Some(present) if present == key => {}
            Some(_other) => {
                drop(folder);
                return refuse(&top, key, &shown);
            }
            None => {
                fscrypt::set_policy(&folder, key).map_err(because("encrypt", &shown))?;
                space::sync(&folder).map_err(because("sync", &shown))?;
            }
        }
        Ok(mount::bind(&content, &target)?)
    }

    fn close(&self, place: &Place) -> Result<(), VolumeError> {
        if !place.image().exists() && !mount::is_mounted(&place.content())? {
            return Ok(());
        }
        let image = locked(place)?;
        // A file system in an image needs a device: without one nothing is open, and no key is held.
        let Some(device) = LoopDevice::of(&image)? else { return Ok(()) };
        let number = device_number(&device)?;
        let shown = place.content().display().to_string();
        let mut top = mounted(place, &device)?;
        let mut key = None;
        while let Some(present) = fscrypt::policy(&top).map_err(because("look at", &shown))? {
            key = Some(present);
            drop(top);
            mount::unmount(&place.content())?;
            top = mounted(place, &device)?;
        }
        let key = match key {
            Some(key) => Some(key),
            None => policy_within(place)?,
        };
        unless_shut(space::sync(&top)).map_err(because("sync", &shown))?;
        while is_of(place, number)? {
            mount::unmount(&place.content())?;
        }
        let Some(key) = key else { return Ok(()) };
        let removed = unless_shut(fscrypt::remove_key(&top, key));
        removed.map_err(because("take the key away from", &shown))?;
        match fscrypt::key_status(&top, key).map_err(because("ask for the key of", &shown))? {
            KeyStatus::Absent => Ok(()),
            KeyStatus::Present | KeyStatus::FilesBusy => Err(VolumeError::Busy { device: number }),
        }
    }

    fn shut(&self, place: &Place) -> Result<(), VolumeError> {
        let image = locked(place)?;
        let Some(device) = LoopDevice::of(&image)? else { return Ok(()) };
        let number = device_number(&device)?;
        let shown = place.content().display().to_string();
        let top = mounted(place, &device)?;
        let shut = shutdown::shut_down(&top).map_err(because("shut", &shown));
        drop(top);
        while is_of(place, number)? {
            mount::unmount(&place.content())?;
        }
        shut
    }

    fn status(&self, place: &Place) -> Result<Status, VolumeError> {
        let image = match File::open(place.image()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Status::Absent),
            opened => opened.map_err(because("open", &place.image().display().to_string()))?,
        };
        let Some(device) = LoopDevice::of(&image)? else { return Ok(Status::Closed) };
        if !is_of(place, device_number(&device)?)? {
            return Ok(Status::Attached);
        }
        let shown = place.content().display().to_string();
        let top = File::open(place.content()).map_err(because("open", &shown))?;
        let key = fscrypt::policy(&top).map_err(because("look at", &shown))?;
        let held = |key| fscrypt::key_status(&top, key).map_err(because("ask for the key of", &shown));
        match key.map(held).transpose()? {
            Some(KeyStatus::Present) => {
                Ok(Status::Open(space::of(&top).map_err(because("measure", &shown))?))
            }
            Some(KeyStatus::Absent | KeyStatus::FilesBusy) | None => Ok(Status::Attached),
        }
    }

    fn remove(&self, place: &Place) -> Result<(), VolumeError> {
        if place.image().exists() {
            let image = locked(place)?;
            if LoopDevice::of(&image)?.is_some() {
                return Err(VolumeError::NotClosed);
            }
        }
        gone(fs::remove_dir(place.content()))
            .map_err(because("remove", &place.content().display().to_string()))?;
        for path in [place.image(), place.image().with_extension("image.new")] {
            gone(fs::remove_file(&path)).map_err(because("remove", &path.display().to_string()))?;
        }
        if place.folder().exists() { sync_folder(place.folder()) } else { Ok(()) }
    }
}

/// The image, until it is dropped of nobody else's who asks like this.
fn locked(place: &Place) -> Result<File, VolumeError> {
    let shown = place.image().display().to_string();
    let image = File::open(place.image()).map_err(because("open", &shown))?;
    image.lock().map_err(because("lock", &shown))?;
    Ok(image)
}

/// Opened anew: a device keeps what it is made of, and a lock with it.
fn for_device(place: &Place) -> Result<File, VolumeError> {
    let image = File::options().read(true).write(true).open(place.image());
    image.map_err(because("open", &place.image().display().to_string()))
}

/// What is on top at the volume's place, which has the volume's file system mounted at least.
fn mounted(place: &Place, device: &LoopDevice) -> Result<File, VolumeError> {
    let target = place.content();
    if !is_of(place, device_number(device)?)? {
        if mount::is_mounted(&target)? {
            return Err(VolumeError::Taken(target.display().to_string()));
        }
        make_folder(&target, 0o700)?;
        mount::ext4(device.path(), &target)?;
    }
    File::open(&target).map_err(because("open", &target.display().to_string()))
}

/// Whether the file system on that device shows at the volume's place.
fn is_of(place: &Place, device: u64) -> Result<bool, VolumeError> {
    match fs::metadata(place.content()) {
        Ok(metadata) => Ok(metadata.dev() == device),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(because("look at", &place.content().display().to_string())(error)),
    }
}

fn device_number(device: &LoopDevice) -> Result<u64, VolumeError> {
    let metadata = fs::metadata(device.path());
    Ok(metadata.map_err(because("look at", &device.path().display().to_string()))?.rdev())
}

/// The key of a volume that is mounted and does not show.
fn policy_within(place: &Place) -> Result<Option<KeyId>, VolumeError> {
    let path = place.content().join(CONTENT);
    let shown = path.display().to_string();
    match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => {
            fscrypt::policy(opened.map_err(because("open", &shown))?).map_err(because("look at", &shown))
        }
    }
}

/// One that was shut, or whose medium is broken, answers so to everything: that keeps nothing open. What is left of it, the
/// status of its key says.
fn unless_shut(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.raw_os_error() == Some(EIO) => Ok(()),
        done => done,
    }
}

/// A key that opens nothing here does not stay in the kernel.
fn refuse(top: &File, key: KeyId, shown: &str) -> Result<(), VolumeError> {
    fscrypt::remove_key(top, key).map_err(because("take the key away from", shown))?;
    Err(VolumeError::OtherKey)
}

fn format(image: &Path) -> Result<(), VolumeError> {
    let mut command = Command::new("mkfs.ext4");
    command.env_clear().env("PATH", "/usr/sbin:/sbin");
    // Nothing is kept for root; what need not be written now is written by the kernel while it is mounted.
    command.args(["-q", "-F", "-m", "0", "-O", "encrypt"]);
    command.args(["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"]).arg(image);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().map_err(|error| VolumeError::Format(error.to_string()))?;
    if output.status.success() {
        Ok(())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(VolumeError::Format(format!("{}: {}", output.status, said.trim())))
    }
}

fn make_folder(path: &Path, mode: u32) -> Result<(), VolumeError> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(because("make", &path.display().to_string())(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sync_folder(path: &Path) -> Result<(), VolumeError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(because("sync", &path.display().to_string()))
}

/// What is not there needs not be removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn because(act: &'static str, path: &str) -> impl FnOnce(io::Error) -> VolumeError {
    move |source| VolumeError::File { act, path: path.to_owned(), source }
}
