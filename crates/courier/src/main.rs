//! A courier: one tier's connections to its consoles. Network, and no rights (decision 14).
#![forbid(unsafe_code)]

fn main() {}
