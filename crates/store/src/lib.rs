//! What a console remembers: range, compare-and-swap, watch, session.
#![forbid(unsafe_code)]
