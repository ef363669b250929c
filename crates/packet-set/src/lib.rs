//! Exact algebra of packet sets: interval decision diagrams.
#![forbid(unsafe_code)]
