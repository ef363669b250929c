//! A command's side of the supervisor's socket: one call, one answer, with a deadline.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use node_protocol::call::{Answer, Call, Refused};
use node_protocol::{FrameError, frame};

use crate::failure::{Exit, Failure};

/// Where the supervisor listens, and how long to wait for it.
#[derive(Args)]
pub(crate) struct Reach {
    /// The supervisor's socket
    #[arg(long, default_value = "/run/bmonitor/bmonitor.sock")]
    pub(crate) socket: PathBuf,
    /// Seconds to wait for an answer
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
    /// Wait for a supervisor that is not there yet, too
    #[arg(long)]
    pub(crate) wait: bool,
}

/// A connection to the supervisor.
pub(crate) struct Client {
    stream: UnixStream,
    socket: PathBuf,
}

impl Client {
    pub(crate) fn connect(reach: &Reach) -> Result<Self, Failure> {
        let socket = reach.socket.clone();
        let stream = connect(reach).map_err(|error| unreachable(&socket, &error))?;
        let patience = Some(Duration::from_secs(reach.timeout));
        let limited = stream.set_read_timeout(patience).and_then(|()| stream.set_write_timeout(patience));
        limited.map_err(|error| Failure::because("cannot limit the wait", &error))?;
        Ok(Self { stream, socket })
    }

    /// Asks one thing. A refusal is an answer.
    pub(crate) fn ask(&mut self, call: &Call, attachment: &[u8]) -> Result<(Answer, Vec<u8>), Failure> {
        frame::write(&mut self.stream, call, attachment).map_err(|error| self.broken(&error))?;
        let frame = frame::read(&mut self.stream).map_err(|error| self.broken(&error))?;
        let Some(frame) = frame else { return Err(self.broken(&FrameError::Ended)) };
        let answer = frame.message().map_err(|error| self.broken(&error))?;
        Ok((answer, frame.attachment))
    }

    fn broken(&self, error: &FrameError) -> Failure {
        let socket = self.socket.display();
        if let FrameError::Stream(cause) = error
            && matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        {
            return Failure::new(
                Exit::TimedOut,
                format!("the supervisor at {socket} did not answer in time"),
            )
            .hint("--timeout SECONDS waits longer");
        }
        Failure::because(format!("the supervisor at {socket} did not answer"), error)
            .hint("its uid may not be allowed (`orderers` in bmonitor.toml), or it has just ended")
    }
}

/// How often a supervisor that is not there is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn connect(reach: &Reach) -> std::io::Result<UnixStream> {
    let give_up = os::clock::boot() + Duration::from_secs(reach.timeout);
    loop {
        match UnixStream::connect(&reach.socket) {
            Err(error) if reach.wait && is_absent(&error) && os::clock::boot() < give_up => {
                std::thread::sleep(LOOK_EVERY);
            }
            connected => return connected,
        }
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

/// A refusal as a command's end.
pub(crate) fn refused(refused: Refused) -> Failure {
    let exit = match refused.exit {
        2 => Exit::Usage,
        3 => Exit::Refused,
        4 => Exit::NotAuthenticated,
        5 => Exit::NotFound,
        6 => Exit::Stale,
        7 => Exit::TimedOut,
        _ => Exit::Failed,
    };
    let failure = Failure::new(exit, format!("{} ({})", refused.message, refused.code));
    match refused.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What cannot be: an answer to another question.
pub(crate) fn unexpected() -> Failure {
    Failure::new(Exit::Failed, "the supervisor answered something else")
        .hint("it may be of another version: compare `bmonitor --version`")
}

fn unreachable(socket: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::because(format!("cannot reach the supervisor at {}", socket.display()), error);
    if is_absent(error) {
        return failure
            .exit(Exit::NotFound)
            .hint("is it running? its socket is bmonitor.sock in the folder `run`");
    }
    failure
}
