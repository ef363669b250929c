//! Power drivers: how a console switches a machine off and on when the machine itself does not answer.
//!
//! `redfish` speaks the part of Redfish (DSP0266) that every management controller has: a system's `PowerState`, and
//! its `Reset`. `command` runs a program of the operator's.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use console_api::Exit;
use data_encoding::BASE64;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use id::Name;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::api::{No, not_found};
use crate::records::KnownNode;
use crate::settings::power::{Power, Redfish, is_on};
use crate::state::Console;

/// How long a controller may take for one answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(15);

/// How long a machine may take until it is off.
const OFF_PATIENCE: Duration = Duration::from_secs(30);

/// How often that is looked at: nothing tells of it.
const LOOK: Duration = Duration::from_millis(200);

const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What is asked of a machine's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    On,
    Off,
    Restart,
}

/// A driver, and the folder of the console's files.
pub(crate) struct Driver<'a> {
    power: &'a Power,
    folder: &'a Path,
}

impl Console {
    /// How a node's power is switched.
    pub(crate) fn power(&self, node: &KnownNode) -> Result<Driver<'_>, No> {
        let found = self.opened.settings.power.iter().find(|power| power.is_for(&node.name));
        let none = || not_found(format!("this console has no power driver for node {}", node.name));
        Ok(Driver { power: found.ok_or_else(none)?, folder: &self.opened.path })
    }
}

impl Driver<'_> {
    /// Switches it off, and comes back when it says that it is.
    pub(crate) async fn off(&self, node: &KnownNode) -> Result<(), No> {
        if !self.is_on(node).await? {
            return Ok(());
        }
        self.act(node, Action::Off).await?;
        let deadline = Instant::now() + OFF_PATIENCE;
        while self.is_on(node).await? {
            if Instant::now() >= deadline {
                return Err(No::new("timed-out", Exit::TimedOut, format!("node {} stays on", node.name)));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Has it begin anew, whether it is on or off.
    pub(crate) async fn restart(&self, node: &KnownNode) -> Result<&'static str, No> {
        if self.is_on(node).await? {
            self.act(node, Action::Restart).await?;
            Ok("it was reset")
        } else {
            self.act(node, Action::On).await?;
            Ok("it was off, and was switched on")
        }
    }

    /// What is neither clearly on nor clearly off is on: it may still use its addresses.
    async fn is_on(&self, node: &KnownNode) -> Result<bool, No> {
        match (&self.power.redfish, &self.power.command) {
            (Some(redfish), _) => {
                let path = format!("/redfish/v1/Systems/{}", node.name);
                let answer = self.ask(redfish, Method::GET, &path, None).await?;
                is_on(&answer).ok_or_else(|| failed("it told no PowerState"))
            }
            (None, Some(command)) => Ok(run(command, "status", &node.name).await?.trim() != "off"),
            (None, None) => Err(not_found("the driver has no means")),
        }
    }

    async fn act(&self, node: &KnownNode, action: Action) -> Result<(), No> {
        match (&self.power.redfish, &self.power.command) {
            (Some(redfish), _) => {
                let reset = match action {
                    Action::On => "On",
                    Action::Off => "ForceOff",
                    Action::Restart => "ForceRestart",
                };
                let path = format!("/redfish/v1/Systems/{}/Actions/ComputerSystem.Reset", node.name);
                let body = serde_json::json!({ "ResetType": reset }).to_string();
                self.ask(redfish, Method::POST, &path, Some(body)).await.map(drop)
            }
            (None, Some(command)) => {
                let word = match action {
                    Action::On => "on",
                    Action::Off => "off",
                    Action::Restart => "restart",
                };
                run(command, word, &node.name).await.map(drop)
            }
            (None, None) => Err(not_found("the driver has no means")),
        }
    }

    async fn ask(
        &self,
        redfish: &Redfish,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Bytes, No> {
        let asked = self.exchange(redfish, method, path, body);
        let late = || No::new("timed-out", Exit::TimedOut, "the management controller did not answer");
        tokio::time::timeout(ANSWER_PATIENCE, asked).await.map_err(|_late| late())?
    }

    async fn exchange(
        &self,
        redfish: &Redfish,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Bytes, No> {
        let uri: Uri = redfish.url.parse().map_err(|_checked_before| failed("its address is none"))?;
        let host = uri.authority().map(ToString::to_string).unwrap_or_default();
        let mut request = Request::builder().method(method).uri(path).header(HOST, &host);
        if let (Some(user), Some(file)) = (&redfish.user, &redfish.password_file) {
            let password =
                notify::Secret::read(&self.folder.join(file)).map_err(|no| failed(&no.to_string()))?;
            let both = Zeroizing::new([user.as_bytes(), b":", password.as_bytes()].concat());
            let value = Zeroizing::new(format!("Basic {}", BASE64.encode(&both)));
            request = request.header(AUTHORIZATION, value.as_str());
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| failed(&error.to_string()))?;
        let name = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((name, uri.port_u16().unwrap_or(80))).await;
        let stream = stream.map_err(|error| failed(&error.to_string()))?;
        let broken = |error: hyper::Error| failed(&error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // However this ends, the connection ends with it.
        let mut driven = JoinSet::new();
        driven.spawn(connection);
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        match status {
            StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => {
                Ok(body.map_err(|_too_long| failed("its answer broke off"))?.to_bytes())
            }
            other => Err(failed(&format!("it answered {other}"))),
        }
    }
}

fn failed(why: &str) -> No {
    No::new("power-failed", Exit::Failed, format!("the management controller: {why}"))
}

/// Runs the operator's program; one that does not end is killed.
async fn run(command: &[String], action: &str, node: &Name) -> Result<String, No> {
    let broken = |why: String| No::new("power-failed", Exit::Failed, format!("the power command: {why}"));
    let mut arguments = command.to_vec();
    arguments.extend([action.to_owned(), node.to_string()]);
    let ran = tokio::task::spawn_blocking(move || -> std::io::Result<_> {
        let mut child = Command::new(&arguments[0])
            .args(&arguments[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let deadline = Instant::now() + OFF_PATIENCE;
        // What it prints is a word, which fits into the pipe.
        while child.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                child.kill()?;
            }
            std::thread::sleep(LOOK / 10);
        }
        child.wait_with_output()
    });
    let output = ran.await.map_err(|error| broken(error.to_string()))?;
    let output = output.map_err(|error| broken(error.to_string()))?;
    if !output.status.success() {
        return Err(broken(format!("{} ended with {}", command[0], output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).chars().take(100).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_is_told_what_and_whom_and_its_failure_is_told() {
        let echo = ["/bin/echo".to_owned(), "-n".to_owned()];
        assert_eq!(run(&echo, "status", &"n1".parse().unwrap()).await.unwrap(), "status n1");
        let no = run(&["/bin/false".to_owned()], "off", &"n1".parse().unwrap()).await.unwrap_err();
        assert!(no.0.message.contains("/bin/false ended with"), "{}", no.0.message);
    }
}
