//! From symptom to incident to remedy: decisions without I/O, time or randomness.
#![forbid(unsafe_code)]
