//! What an engine is, and how one is started, confined, watched and ended.
//!
//! ```text
//! specification (TOML, an object) ─┐
//! image (tar, unpacked) ───────────┼─▶ shim ─▶ init ─▶ the engine's processes
//! volume (data, logs) ─────────────┘    │ notices, exits, logs      in namespaces, cgroups, landlock, seccomp
//!                                       ▼
//!                              one report a change to whoever asks
//! ```
//!
//! [`specification`], [`notice`], [`run`], [`keeper`] and [`log`] are pure; [`image`] writes files below one
//! folder; [`shim`] talks to the kernel, through [`cgroups`] and [`sandbox`].
#![forbid(unsafe_code)]

pub mod cgroups;
pub mod image;
pub mod keeper;
pub mod log;
pub mod notice;
pub mod run;
pub mod sandbox;
pub mod shim;
pub mod specification;
