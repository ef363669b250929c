//! Messages between a node's processes, and how they travel over a stream socket or a pipe.
//!
//! [`call`] is what `bmonitor order` and a courier say to the supervisor. A message is JSON with, where content goes along, an attachment of plain bytes:
//! see [`frame`].
#![forbid(unsafe_code)]

pub mod call;
pub mod frame;

pub use frame::{Decoder, Frame, FrameError, encode};

#[cfg(test)]
mod tests;
