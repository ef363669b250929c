//! The mail server that the demo's parties are told by: a real one, at the router, on the management network.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use lab::{Facility, Failed};
use serde::Deserialize;

use super::world::PATIENCE;

const PYTHON: &str = "/usr/bin/python3";
const SERVER: &str = include_str!("mail.py");
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PORT: &str = "25";

/// The server, and what it was given.
pub(crate) struct Post {
    server: Child,
    lines: Receiver<String>,
    /// Those that nobody has looked for yet.
    mails: Vec<Mail>,
}

/// A mail as it was received.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mail {
    pub(crate) to: Vec<String>,
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl Post {
    /// Starts it, and waits until it takes mails.
    pub(crate) fn open(facility: &Facility) -> Result<Self, Failed> {
        let act = || "start a mail server".to_owned();
        let mut command = facility.command_at("router", Path::new(PYTHON));
        command.args(["-c", SERVER, &ADDRESS.to_string(), PORT]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = command.spawn().map_err(|error| Failed::new(act(), error))?;
        let stdout = server.stdout.take().ok_or_else(|| Failed::new(act(), "it has no output"))?;
        let (say, lines) = mpsc::channel();
        // Ends with the server.
        thread::spawn(move || {
            let all = BufReader::new(stdout).lines().map_while(Result::ok);
            all.into_iter().try_for_each(|line| say.send(line)).ok()
        });
        let mut post = Self { server, lines, mails: Vec::new() };
        match post.lines.recv_timeout(PATIENCE) {
            Ok(ready) if ready == "\"ready\"" => Ok(post),
            _ => Err(Failed::new(act(), post.last_words())),
        }
    }

    /// Waits for a mail to that address whose subject has all these words, and takes it.
    pub(crate) fn received(&mut self, to: &str, words: &[&str]) -> Result<Mail, Failed> {
        let is_it = |mail: &Mail| {
            mail.to.iter().any(|one| one == to) && words.iter().all(|word| mail.subject.contains(word))
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(place) = self.mails.iter().position(is_it) {
                return Ok(self.mails.swap_remove(place));
            }
            let act = || format!("receive a mail about {}", words.join(" "));
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).map_err(|error| Failed::new(act(), error))?;
            self.mails.push(serde_json::from_str(&line).map_err(|error| Failed::new(act(), error))?);
        }
    }

    /// A table `receiver` of a console's settings.
    pub(crate) fn receiver(from: &str, to: &str) -> String {
        format!(
            "\n[[receiver]]\nname = \"ops\"\n[receiver.mail]\nserver = \"{ADDRESS}\"\nport = {PORT}\n\
             security = \"none\"\nfrom = \"{from}\"\nto = [\"{to}\"]\n"
        )
    }

    /// Why it did not start.
    fn last_words(&mut self) -> String {
        // One that hangs says nothing more by itself; one that has ended cannot be killed.
        drop(self.server.kill());
        let mut said = String::new();
        let read = self.server.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
        match (read, said.trim_end().lines().last()) {
            (Some(Ok(_)), Some(last)) => format!("{last} (Debian's python3-aiosmtpd is needed)"),
            _ => "it said nothing".to_owned(),
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        // The guard ends what does not end here.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
