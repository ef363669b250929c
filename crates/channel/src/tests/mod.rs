//! The channel against honest and hostile peers, over loopback and in memory.

mod handshakes;
mod limits;
mod links;
mod page;
mod replays;
mod tap;
mod world;
