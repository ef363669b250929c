//! Facilities made of namespaces, for demo, tests and benches.
//!
//! A facility is a router with a bridge, nodes, consoles, and an outside client, each a network namespace. A
//! node has a first process of its own (kill it and the node is off) which runs the real `bmonitor`.
//! Packets, filters and processes are the kernel's; nothing is simulated but the BMC at which consoles turn nodes
//! off and on, and it says so.
//!
//! Whatever is made is recorded first with a *guard*, a process that takes everything away again when
//! the facility ends: by return, panic, Ctrl-C or `SIGKILL`.
//!
//! A program that uses a lab is started by it again, for the guard and the nodes; so its `main`
//! begins with [`serve`].
#![forbid(unsafe_code)]

mod console;
mod core_dump;
mod engine;
mod facility;
mod failed;
mod garbage;
mod guard;
mod host;
mod init;
mod line;
mod machine;
mod names;
mod node;
mod party;
mod plan;
mod power;
mod recording;
mod role;
mod search;
mod secrets;
mod site;
pub mod trial;

pub use console::Console;
pub use core_dump::{Region, core_of};
pub use facility::Facility;
pub use failed::Failed;
pub use garbage::{Door, Garbage, Running};
pub use guard::{Guard, Making, Thing};
pub use host::Host;
pub use host::wire::{Heard, Probed, Streamed, Target, Transport};
pub use node::{Ending, Node};
pub use party::{Caller, Object, Party, Said, Standing};
pub use plan::{ConsolePlan, INTERNET, NodePlan, Plan, RealmPlan};
pub use power::PowerPort;
pub use recording::{Recorded, Recording, Stream};
pub use role::serve;
pub use search::{Form, Found, Search, WINDOW_BYTES};
pub use secrets::{Secrets, VolumeLock, secrets_of_console, secrets_of_custody, secrets_of_locked_custody};
