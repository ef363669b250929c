//! Boundary to map image; the eBPF program; its loader.
#![forbid(unsafe_code)]
