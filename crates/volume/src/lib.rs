//! The encrypted volumes of tiers. Keys go from custody to the kernel; this crate knows their ids only.
#![forbid(unsafe_code)]
