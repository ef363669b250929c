//! The launcher and what it starts: `bmonitor launcher`, `bmonitor shim`; and `bmonitor unpacker`.
//!
//! Engines inherit the list of system calls of whoever starts their shims, and must not die of what they try. So
//! a process of its own starts them, which the supervisor has started before it narrowed itself; it does nothing
//! else, and understands nothing: what a shim is to do, the supervisor tells it by the stream that is handed over.

mod messages;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use engine::image::{self, BOUNDS};
use engine::shim::NotStarted;
use id::Digest;
use node_protocol::Decoder;
use os::descriptor;
use os::poll::{Wanted, wait};
use os::signal::Signals;

pub(crate) use self::messages::{StartShim, Unpacked};
use crate::failure::chain;
use crate::rights::{self, Begin, Role};

/// The longest message to a launcher: it has none to understand.
const MESSAGE_BYTES_MAX: usize = 1024;

/// The role: `bmonitor launcher`.
pub(crate) fn launcher(parent: u32) -> io::Result<()> {
    rights::enforce(Begin { role: Role::Launcher, parent: Some(parent) }).map_err(io::Error::other)?;
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let signals = Signals::open()?;
    let mut decoder = Decoder::limited(MESSAGE_BYTES_MAX, 0);
    let (mut buffer, mut handed) = ([0; 1024], Vec::new());
    loop {
        let ready = wait(&[(stream.as_fd(), Wanted::READ), (signals.as_fd(), Wanted::READ)], None)?;
        while signals.next()?.is_some() {}
        while os::process::reap()?.is_some() {}
        if ready.first() != Some(&true) {
            continue;
        }
        let length = descriptor::receive(&stream, &mut buffer, &mut handed)?;
        if length == 0 {
            return Ok(());
        }
        decoder.push(buffer.get(..length).unwrap_or_default());
        while decoder.frame().map_err(io::Error::other)?.is_some() {
            if handed.is_empty() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            // A shim that cannot be started is told of by the end of its stream.
            start_shim(handed.remove(0)).unwrap_or_default();
        }
    }
}

fn start_shim(stream: OwnedFd) -> io::Result<()> {
    Command::new("/proc/self/exe").arg("shim").env_clear().stdin(stream).stdout(Stdio::null()).spawn()?;
    Ok(())
}

/// The role: `bmonitor shim`.
pub(crate) fn shim() -> Result<(), NotStarted> {
    let act = "begin";
    let begun = || {
        os::signal::unblock()?;
        os::process::new_session()?;
        Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
    };
    let control: io::Result<UnixStream> = begun();
    let control = control.map_err(|source| NotStarted::Step { act, source })?;
    engine::shim::run(control, || {
        rights::enforce(Begin { role: Role::Shim, parent: None }).map_err(io::Error::other)
    })
}

/// Where an image is and is to lie.
#[derive(Debug, clap::Args)]
pub(crate) struct Unpacking {
    #[arg(long)]
    parent: u32,
    /// The tar file.
    #[arg(long)]
    blob: PathBuf,
    /// The folder of unpacked images, which is the unpacker's.
    #[arg(long)]
    images: PathBuf,
    /// The digest that the tar file must have.
    #[arg(long)]
    image: Digest,
    /// What its folder is to be called; others of the same image go.
    #[arg(long)]
    folder: String,
}

/// The role: `bmonitor unpacker`.
pub(crate) fn unpacker(unpacking: &Unpacking) -> io::Result<()> {
    let mut blob = OpenOptions::new().read(true).open(&unpacking.blob)?;
    std::env::set_current_dir(&unpacking.images)?;
    rights::enforce(Begin { role: Role::Unpacker, parent: Some(unpacking.parent) })
        .map_err(io::Error::other)?;
    let unpacked = match unpack(&mut blob, unpacking) {
        Ok(()) => Unpacked::Done {},
        Err(why) => Unpacked::Failed { why },
    };
    node_protocol::frame::write(&mut io::stdout().lock(), &unpacked, &[]).map_err(io::Error::other)
}

fn unpack(blob: &mut File, unpacking: &Unpacking) -> Result<(), String> {
    let found = image::digest(blob, &BOUNDS).map_err(|error| chain(&error))?;
    if found != unpacking.image {
        return Err(chain(&image::NotUnpacked::OtherBytes { found, wanted: unpacking.image }));
    }
    let failed = |error: io::Error| chain(&error);
    blob.rewind().map_err(failed)?;
    let new = format!("{}.new", unpacking.folder);
    remove_older(&unpacking.folder).map_err(failed)?;
    fs::create_dir(&new).map_err(failed)?;
    // Engines, which are other users, look into it.
    fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o755)).map_err(failed)?;
    image::unpack(blob, Path::new(&new), &BOUNDS).map_err(|error| chain(&error))?;
    fs::rename(&new, &unpacking.folder).map_err(failed)
}

/// What was unpacked of the same image before, whole or not.
fn remove_older(folder: &str) -> io::Result<()> {
    let image = folder.split('.').next().unwrap_or_default();
    for entry in fs::read_dir(".")? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| name.split('.').next() == Some(image)) {
            fs::remove_dir_all(&name)?;
        }
    }
    Ok(())
}
