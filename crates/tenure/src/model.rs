//! The model: every row of actions of a small world, up to a depth, against the real `decide`, `apply`,
//! `effects` and `view`.
//!
//! Four tiers to begin with, two of them siblings: the owner (1), the operator (2) below it, and below that
//! the users 3 and 4. Actions are orders from a menu ([`menu`]), sent at once, withheld and delivered later, or
//! delivered again; the steps of procedures, done in a simulated machine ([`machine`]) and told, done and not
//! told, or told and not done; crashes, custody dying, and the clock going on and back. What must hold is
//! checked at every step ([`check`]) by code that shares none with the code under test: it walks the tree
//! itself, compares rights one by one, and evaluates sets packet by packet.
//!
//! Each invariant counts how often there was something to check, so that none holds for want of a case; and
//! [`mutants`] breaks the rules of the product, one at a time, and demands a counterexample of each.

mod check;
mod explore;
mod machine;
mod menu;
mod mutants;
mod scenario;
mod state;
