//! A node's journal: hash-chained records that only grow, and the objects that they name.
//!
//! A record is one line, `<64 hex digits: SHA-256 of the JSON> <JSON>`, and the JSON is
//! `{"number":…,"at":…,"previous":…,"entry":…}` or, at the beginning of a segment, with `"snapshot"` in
//! the place of `"entry"`. What an entry or a snapshot says is its writer's business.
//!
//! # What must stay true
//! - [`Journal::append`] returns after the record is on the medium, or fails with nothing of it left.
//! - Only the last line of the last segment may be bad: a crash tore it before it was acknowledged.
//!   It is cut and reported. Any other bad line has a [`Flaw`] and stops the reader.
//! - A new segment appears whole, with its snapshot, or not at all.
//! - Ordinary records never take the space that is kept for a severing.
//!
//! A journal that lost its end at a line's border is still a good, shorter one: only a signed head
//! kept elsewhere shows it (`keys::Head`).
#![forbid(unsafe_code)]

mod disk;
mod export;
mod journal;
mod line;
mod object;
mod reserve;

pub use disk::{Disk, Folder};
pub use export::{Broken, Summary, Vouched, Why, verify};
pub use journal::{
    Error, Held, Journal, Opened, Read, SEGMENT_BYTES_MAX, SEGMENT_BYTES_WANTED, Torn, holds, inspect,
};
pub use line::{Body, End, Flaw, RECORD_BYTES_MAX, Record, SNAPSHOT_BYTES_MAX};
pub use object::{OBJECT_BYTES_MAX, Object, ObjectError, Objects, SALT_BYTES};
pub use reserve::RESERVE_BYTES;

#[cfg(test)]
mod tests;
