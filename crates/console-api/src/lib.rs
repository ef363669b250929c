//! The console's API for people and programs: types, and a client.
#![forbid(unsafe_code)]
