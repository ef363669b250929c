//! A node's tree of tiers: decide, apply, effects; pure.
#![forbid(unsafe_code)]
