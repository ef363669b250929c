//! The filter of one realm: packet sets compiled to a map image (pure), the eBPF program that judges
//! every frame by it, and its loader.
//!
//! [`compile()`] turns a stack of packet sets into an [`Image`]. A [`Filter`] is the program with its
//! maps in the kernel, pinned in a folder of a bpffs and attached to the host's end of the realm's
//! link; both outlive the process that loaded them. A new filter is closed: it passes nothing until it
//! has an image ([`Filter::switch`]), a deadline ([`Filter::set_deadline`]) and an open gate
//! ([`Filter::admit`]). Whatever is unset, missing or not understood is dropped (M20, M21).
#![forbid(unsafe_code)]

mod compile;
mod error;
mod filter;
mod image;
mod layout;
mod report;

pub use compile::{CompileError, TooLarge, compile};
pub use error::FilterError;
pub use filter::{Filter, Fitting, FlowTable, Live, Observed, Prepared, Program, Settings};
pub use image::{ADDRESSES_MAX, Image, Lease, TIERS_MAX, WORDS_MAX};
pub use report::{Counters, Denial, Direction, Flow, Reason, Tally};
