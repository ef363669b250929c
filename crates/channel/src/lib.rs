//! The channel between a node and a console: TLS 1.3 with raw public keys, HTTP/2 the other way round.
#![forbid(unsafe_code)]
