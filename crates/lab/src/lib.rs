//! Facilities made of namespaces, for demo, tests and benches.
#![forbid(unsafe_code)]
