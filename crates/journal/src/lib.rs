//! Records, snapshots, objects, verification.
#![forbid(unsafe_code)]
