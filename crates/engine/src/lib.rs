//! What an engine is, and how one is started, confined, watched and ended.
#![forbid(unsafe_code)]
