//! The only unsafe code of the project: a file per kernel facility.
