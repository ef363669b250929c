//! Messages between a node's processes.
#![forbid(unsafe_code)]
