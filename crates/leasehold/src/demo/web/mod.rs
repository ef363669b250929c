//! The tenant's real engine: a web server as an image with a specification, deployed, killed and hung through the
//! tenant's console, and what lies of it on the medium.

mod failed;
mod image;
mod medium;
mod served;
mod stolen;

pub(super) use failed::{hung, killed};
pub(super) use served::{Page, run as served};
pub(super) use stolen::Stolen;

/// The engine's name, its volume's, and where it listens.
const ENGINE: &str = "web";
const VOLUME: &str = "data";
pub(super) const PORT: u16 = 8000;

/// Its specification. The image's digest is written in when it is deployed.
const SPECIFICATION: &str = r#"version = 1
engine  = "web"
volume  = "data"
command = ["/usr/bin/perl", "/serve.pl"]
ready   = "notify"
watchdog_seconds = 3
stop_seconds     = 1
ports   = [8000]

[limits]
memory_mib = 64
processes  = 32
"#;

/// What the tenant's console tries when an engine fails: its people are told first.
const LADDERS: &str = r#"version = 1

[[ladder]]
name = "engines"
kinds = ["engine-exited", "engine-hung", "engine-out-of-memory", "engine-not-ready"]
settle_s = 1
step = [
    { do = "notify", wait_s = 10 },
    { do = "restart-engine", wait_s = 10, times = 2 },
    { do = "reload-image", wait_s = 30 },
]

[[ladder]]
name = "anything"
step = [{ do = "notify" }]
"#;
