//! Messages between a node's processes, and how they travel over a stream socket or a pipe.
//!
//! [`call`] is what `bmonitor order` and a console say to the supervisor. A message is JSON with, where
//! content goes along, an attachment of plain bytes: see [`frame`]. A [`courier`] carries a console's calls,
//! and has custody sign its handshakes ([`signing`]). What the supervisor says to its other children (helpers,
//! custody) is theirs alone and stands in `bmonitor`.
#![forbid(unsafe_code)]

pub mod call;
pub mod courier;
pub mod frame;
pub mod signing;

pub use frame::{Decoder, Frame, FrameError, encode};

#[cfg(test)]
mod tests;
