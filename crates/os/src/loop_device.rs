//! Files as block devices: `loop(4)`. A device that is made here lets go of its file by itself when nobody uses it
//! any more.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::failed::{Act, Failed};

/// How often another process may be quicker to take the free device.
const TRIES: usize = 16;

const CONFIGURE: u32 = 0x4c0a;
const GET_STATUS: u32 = 0x4c05;
const GET_FREE: u32 = 0x4c82;
const AUTOCLEAR: u32 = 4;

/// `struct loop_info64`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

const NOTHING: Info = Info {
    device: 0,
    inode: 0,
    rdevice: 0,
    offset: 0,
    size_limit: 0,
    number: 0,
    encrypt_type: 0,
    encrypt_key_size: 0,
    flags: 0,
    file_name: [0; 64],
    crypt_name: [0; 64],
    encrypt_key: [0; 32],
    init: [0; 2],
};

/// `struct loop_config`.
#[repr(C)]
struct Config {
    descriptor: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// A device that has a file. While this lives the device stays.
#[derive(Debug)]
pub struct LoopDevice {
    _device: File,
    path: PathBuf,
}

impl LoopDevice {
    /// Makes a device of a file.
    ///
    /// # Errors
    /// The kernel's.
    pub fn attach(image: &File) -> Result<Self, Failed> {
        let act = || "make a loop device".to_owned();
        let control = File::open("/dev/loop-control").act(act)?;
        for _try in 0..TRIES {
            // SAFETY: the request takes no argument.
            let free = unsafe { libc::ioctl(control.as_raw_fd(), libc::Ioctl::from(GET_FREE)) };
            if free < 0 {
                return Err(Failed::new(act(), io::Error::last_os_error()));
            }
            let path = PathBuf::from(format!("/dev/loop{free}"));
            let device = File::options().read(true).write(true).open(&path).act(act)?;
            match configure(&device, image) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                Err(error) => return Err(Failed::new(act(), error)),
                Ok(()) => return Ok(Self { _device: device, path }),
            }
        }
        Err(Failed::new(act(), io::Error::from(io::ErrorKind::ResourceBusy)))
    }

    /// The device that has a file, if there is one: held by a mount somewhere.
    ///
    /// # Errors
    /// The kernel's.
    pub fn of(image: &File) -> Result<Option<Self>, Failed> {
        let act = || "look for a loop device".to_owned();
        let wanted = image.metadata().act(act)?;
        for entry in fs::read_dir("/sys/block").act(act)? {
            let entry = entry.act(act)?;
            let name = entry.file_name();
            let is_loop = name.to_str().is_some_and(|name| name.starts_with("loop"));
            if !is_loop || !entry.path().join("loop").exists() {
                continue;
            }
            let path = PathBuf::from("/dev").join(name);
            // One that has just gone is not the one.
            let Ok(device) = File::open(&path) else { continue };
            let Ok(info) = status(&device) else { continue };
            if (info.device, info.inode) == (wanted.dev(), wanted.ino()) {
                return Ok(Some(Self { _device: device, path }));
            }
        }
        Ok(None)
    }

    /// Its file in `/dev`.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

fn configure(device: &File, image: &File) -> io::Result<()> {
    let descriptor = image.as_raw_fd().cast_unsigned();
    let info = Info { flags: AUTOCLEAR, ..NOTHING };
    let mut config = Config { descriptor, block_size: 0, info, reserved: [0; 8] };
    ioctl(device, CONFIGURE, &mut config)
}

fn status(device: &File) -> io::Result<Info> {
    let mut info = NOTHING;
    ioctl(device, GET_STATUS, &mut info)?;
    Ok(info)
}

fn ioctl<T>(device: &File, request: u32, argument: &mut T) -> io::Result<()> {
    let pointer: *mut T = argument;
    // SAFETY: each request reads or writes the structure that is handed in with it, which lives until the call
    // returns; the file whose descriptor stands in it is borrowed by the caller.
    let answer = unsafe { libc::ioctl(device.as_raw_fd(), libc::Ioctl::from(request), pointer) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
