//! Encryption of folders by the file system: version 2 policies of `fscrypt` (the kernel's
//! `Documentation/filesystems/fscrypt.rst`). A key lives in the mounted file system that it was given to; any
//! process with a descriptor there may give one, only root takes it away for all users.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Bytes of a master key.
pub const KEY_BYTES: usize = 64;

/// What the kernel calls a master key: made of the key by the kernel, one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for KeyId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no key id: 32 hexadecimal digits are wanted");
        let right = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| right).ok_or_else(wrong)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// What the kernel says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// The kernel does not have it.
    Absent,
    /// The kernel has it.
    Present,
    /// The kernel has wiped it, but files are open that it still reads and writes.
    FilesBusy,
}

const AES_256_XTS: u8 = 1;
const AES_256_CTS: u8 = 4;
/// Names are padded to 32 bytes, so that they tell less of their lengths.
const PAD_32: u8 = 3;
const VERSION: u8 = 2;
const BY_IDENTIFIER: u32 = 2;

const SET_POLICY: u32 = 0x800c_6613;
const GET_POLICY: u32 = 0xc009_6616;
const ADD_KEY: u32 = 0xc050_6617;
const REMOVE_KEY_ALL_USERS: u32 = 0xc040_6619;
const GET_KEY_STATUS: u32 = 0xc080_661a;

/// `struct fscrypt_key_specifier`.
#[repr(C)]
struct Specifier {
    kind: u32,
    reserved: u32,
    identifier: [u8; 16],
    padding: [u8; 16],
}

impl Specifier {
    const fn of(key: KeyId) -> Self {
        Self { kind: BY_IDENTIFIER, reserved: 0, identifier: key.0, padding: [0; 16] }
    }
}

/// `struct fscrypt_add_key_arg`, with its bytes behind it.
#[repr(C)]
struct AddKey {
    specifier: Specifier,
    raw_size: u32,
    key_id: u32,
    reserved: [u32; 8],
    raw: [u8; KEY_BYTES],
}

/// `struct fscrypt_remove_key_arg`.
#[repr(C)]
struct RemoveKey {
    specifier: Specifier,
    status_flags: u32,
    reserved: [u32; 5],
}

/// `struct fscrypt_get_key_status_arg`.
#[repr(C)]
struct GetKeyStatus {
    specifier: Specifier,
    reserved: [u32; 6],
    status: u32,
    status_flags: u32,
    user_count: u32,
    out_reserved: [u32; 13],
}

/// `struct fscrypt_policy_v2`.
#[repr(C)]
struct Policy {
    version: u8,
    contents: u8,
    names: u8,
    flags: u8,
    reserved: [u8; 4],
    identifier: [u8; 16],
}

/// `struct fscrypt_get_policy_ex_arg`.
#[repr(C)]
struct GetPolicy {
    size: u64,
    policy: Policy,
}

/// Gives the kernel a key for the file system in which the descriptor is. It needs no right but that.
///
/// # Errors
/// The kernel's.
pub fn add_key(within: impl AsFd, key: &[u8; KEY_BYTES]) -> io::Result<KeyId> {
    let specifier = Specifier::of(KeyId([0; 16]));
    let raw_size = u32::try_from(KEY_BYTES).unwrap_or(0);
    let mut argument = AddKey { specifier, raw_size, key_id: 0, reserved: [0; 8], raw: *key };
    let answer = ioctl(within, ADD_KEY, &mut argument);
    for byte in &mut argument.raw {
        // SAFETY: a reference of ours; a volatile write is not left out.
        unsafe { std::ptr::write_volatile(byte, 0) };
    }
    answer.map(|()| KeyId(argument.specifier.identifier))
}

/// Has the kernel wipe a key, whoever gave it, and lock what is not in use. One that is not there is no error.
///
/// # Errors
/// The kernel's.
pub fn remove_key(within: impl AsFd, key: KeyId) -> io::Result<()> {
    let mut argument = RemoveKey { specifier: Specifier::of(key), status_flags: 0, reserved: [0; 5] };
    match ioctl(within, REMOVE_KEY_ALL_USERS, &mut argument) {
        Err(error) if error.raw_os_error() == Some(libc::ENOKEY) => Ok(()),
        removed => removed,
    }
}

/// Whether the kernel has a key.
///
/// # Errors
/// The kernel's; and a status that is not known.
pub fn key_status(within: impl AsFd, key: KeyId) -> io::Result<KeyStatus> {
    let mut argument = GetKeyStatus {
        specifier: Specifier::of(key),
        reserved: [0; 6],
        status: 0,
        status_flags: 0,
        user_count: 0,
        out_reserved: [0; 13],
    };
    ioctl(within, GET_KEY_STATUS, &mut argument)?;
    match argument.status {
        1 => Ok(KeyStatus::Absent),
        2 => Ok(KeyStatus::Present),
        3 => Ok(KeyStatus::FilesBusy),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Has everything that will be in an empty folder encrypted under a key, which the kernel must have. A folder that
/// has this policy already is no error.
///
/// # Errors
/// The kernel's: [`io::ErrorKind::AlreadyExists`] for another policy.
pub fn set_policy(folder: impl AsFd, key: KeyId) -> io::Result<()> {
    let mut policy = Policy {
        version: VERSION,
        contents: AES_256_XTS,
        names: AES_256_CTS,
        flags: PAD_32,
        reserved: [0; 4],
        identifier: key.0,
    };
    ioctl(folder, SET_POLICY, &mut policy)
}

/// The key under which a folder is encrypted, if it is.
///
/// # Errors
/// The kernel's; and a policy of another version.
pub fn policy(folder: impl AsFd) -> io::Result<Option<KeyId>> {
    let policy =
        Policy { version: 0, contents: 0, names: 0, flags: 0, reserved: [0; 4], identifier: [0; 16] };
    let mut argument = GetPolicy { size: 24, policy };
    match ioctl(folder, GET_POLICY, &mut argument) {
        Err(error) if error.raw_os_error() == Some(libc::ENODATA) => return Ok(None),
        got => got?,
    }
    if argument.policy.version == VERSION {
        Ok(Some(KeyId(argument.policy.identifier)))
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

fn ioctl<T>(descriptor: impl AsFd, request: u32, argument: &mut T) -> io::Result<()> {
    let descriptor = descriptor.as_fd().as_raw_fd();
    let pointer: *mut T = argument;
    // SAFETY: each request above reads and writes a structure of exactly the type that is handed in with it
    // (its size stands in the request's number, but for the key's bytes, which follow in the same structure, and
    // the policy's, whose length stands in the structure); it lives until the call returns.
    let answer = unsafe { libc::ioctl(descriptor, libc::Ioctl::from(request), pointer) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
