//! BMonitor: the node monitor.
#![forbid(unsafe_code)]

fn main() {}
