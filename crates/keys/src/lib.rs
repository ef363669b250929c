//! Signatures, envelopes, receipts: bytes only.
#![forbid(unsafe_code)]
