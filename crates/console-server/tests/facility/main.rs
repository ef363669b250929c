//! A landlord's and a tenant's consoles, and nodes: Fig. 6 from end to end, and each way in which it can be false.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod boundaries;
mod directory;
mod fig6;
mod grants;
mod handover;
mod incidents;
mod loss;
mod node;
mod orders;
mod party;
mod people;
mod share;
mod spares;
