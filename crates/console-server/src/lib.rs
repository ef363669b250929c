//! The console: what the API serves, and the nodes that dialled it.
#![forbid(unsafe_code)]
