//! A courier: one tier's connections to its consoles. It has the network and no rights: its own uid, no
//! capability, no key. The supervisor starts it, tells it whom to dial, and answers what the consoles ask;
//! custody signs its handshakes. To sever a tier, the supervisor kills it.
//!
//! It is a program of its own, so that the node monitor links no TLS, no HTTP and no async runtime
//! (decision 18).
#![forbid(unsafe_code)]

mod confine;
mod consoles;
mod custody;
mod supervisor;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;

use channel::{Dialler, Limits};
use clap::Parser;
use node_protocol::FrameError;
use thiserror::Error;

use crate::confine::NotConfined;
use crate::consoles::Consoles;
use crate::custody::Custody;
use crate::supervisor::Beginning;

/// One tier's connections to its consoles; the supervisor of bmonitor starts it
#[derive(Parser)]
#[command(name = "bmonitor-courier", version)]
struct Arguments {
    /// What it may do, as the supervisor's table of rights says
    #[arg(long, value_name = "JSON")]
    confinement: String,
}

/// Why a courier ends.
#[derive(Debug, Error)]
enum Ended {
    #[error("the courier cannot be confined")]
    Confinement(#[from] NotConfined),
    #[error("the supervisor is gone")]
    Gone,
    #[error("what the supervisor says is not understood")]
    Frame(#[from] FrameError),
    #[error("the supervisor did not begin with what a courier needs")]
    Beginning,
    #[error("custody does not sign")]
    Custody,
    #[error("cannot {0}")]
    System(&'static str, #[source] io::Error),
}

fn main() -> ExitCode {
    match run(&Arguments::parse().confinement) {
        Ok(never) => match never {},
        Err(ended) => {
            say(&chain(&ended));
            ExitCode::FAILURE
        }
    }
}

fn run(confinement: &str) -> Result<std::convert::Infallible, Ended> {
    confine::enforce(confinement)?;
    let stream = io::stdin().as_fd().try_clone_to_owned().map_err(system("take its stdin"))?;
    let (beginning, stream) = Beginning::read(UnixStream::from(stream))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system("start"))?;
    Err(runtime.block_on(work(beginning, stream)))
}

/// Dials and serves until something is wrong: the supervisor starts another one.
async fn work(beginning: Beginning, stream: UnixStream) -> Ended {
    let (custody, refused) = match Custody::new(beginning.custody, beginning.begin.identity) {
        Ok(custody) => custody,
        Err(error) => return Ended::System("use its socket to custody", error),
    };
    let (calls, mut supervisor) = match supervisor::join(stream, beginning.rest) {
        Ok(joined) => joined,
        Err(error) => return Ended::System("use its socket to the supervisor", error),
    };
    let dialler = Dialler::new(Arc::new(custody), Limits::default());
    let mut consoles = Consoles::new(dialler, Arc::new(calls));
    consoles.are(beginning.begin.consoles);
    let refused = refused.notified();
    tokio::pin!(refused);
    loop {
        tokio::select! {
            () = &mut refused => return Ended::Custody,
            told = supervisor.next() => match told {
                Ok(now) => consoles.are(now),
                Err(ended) => return ended,
            },
        }
    }
}

fn system(act: &'static str) -> impl FnOnce(io::Error) -> Ended {
    move |error| Ended::System(act, error)
}

/// A line in the supervisor's log. That it cannot be written changes nothing.
fn say(line: &str) {
    let line = format!("bmonitor-courier: {line}\n");
    // In one piece: others write there too.
    io::stderr().lock().write_all(line.as_bytes()).unwrap_or_default();
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
