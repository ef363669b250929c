//! The only unsafe code of the project: a file per kernel facility.
//!
//! Everything here is a thin, typed door to one facility of Linux. It decides nothing: who may use
//! what stands in the programs that call it.
#![expect(unsafe_code, reason = "the one place where a kernel facility may need it")]

pub mod capability;
pub mod child;
pub mod classifier;
pub mod clock;
pub mod descriptor;
mod failed;
pub mod folder;
pub mod fscrypt;
pub mod link;
pub mod loop_device;
pub mod mount;
pub mod namespace;
pub mod packet;
pub mod peer;
pub mod poll;
pub mod privilege;
pub mod process;
pub mod random;
pub mod seccomp;
pub mod secret;
pub mod shutdown;
pub mod signal;
pub mod space;
pub mod wiping;

pub use failed::Failed;
