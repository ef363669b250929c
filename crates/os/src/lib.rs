//! The only unsafe code of the project: a file per kernel facility.

mod failed;
pub mod link;
pub mod mount;
pub mod namespace;

pub use failed::Failed;
