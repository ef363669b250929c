//! The specification of an engine: TOML, read whole and strictly. One that exists is right.

use std::collections::BTreeMap;

use id::{Digest, Name};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest specification.
pub const BYTES_MAX: usize = 64 * 1024;
/// Words of a command.
pub const COMMAND_WORDS_MAX: usize = 64;
/// Bytes of a command, or of all variables of an environment.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Variables of an environment.
pub const VARIABLES_MAX: usize = 64;
/// Ports that are shown.
pub const PORTS_MAX: usize = 16;
/// The most memory, in MiB.
pub const MEMORY_MIB_MAX: u32 = 1024 * 1024;
/// The most processes and threads.
pub const PROCESSES_MAX: u32 = 32_768;
/// The longest time of any kind, in seconds.
pub const SECONDS_MAX: u32 = 3_600;

/// What an engine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Specification {
    /// The format's version: 1.
    pub version: u32,
    /// The engine's name among its tier's engines.
    pub engine: Name,
    /// The digest of its image, a tar file.
    pub image: Digest,
    /// The tier's volume on which its image, data and logs lie.
    pub volume: Name,
    /// The program in the image, by its whole path, and its arguments.
    pub command: Vec<String>,
    /// Its environment: these variables and none else, beside `PATH`, `HOME` and `NOTIFY_SOCKET`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// What it may use.
    pub limits: Limits,
    /// When it counts as ready.
    #[serde(default)]
    pub ready: Ready,
    /// How long it may take until it is ready.
    #[serde(default = "start_seconds")]
    pub start_seconds: u32,
    /// How long it may take to end after it was asked to.
    #[serde(default = "stop_seconds")]
    pub stop_seconds: u32,
    /// How often it says at least that it lives; left out: it need not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog_seconds: Option<u32>,
    /// What follows when it ends by itself.
    #[serde(default)]
    pub restart: Restart,
    /// The ports at which it listens, for people to see. What may reach them is the boundary's to say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
}

/// What an engine may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Memory, file cache and its own temporary files counted in.
    pub memory_mib: u32,
    /// Processes and threads at once.
    pub processes: u32,
    /// Hundredths of one processor; left out: as much as there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<u32>,
}

/// When an engine counts as ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ready {
    /// Once its program runs.
    #[default]
    Started,
    /// Once it says `READY=1` (`sd_notify(3)`).
    Notify,
}

/// What follows when an engine ends by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It is started again, after a pause that grows.
    #[default]
    Always,
    /// The same, unless it ended with exit code 0.
    OnFailure,
    /// Nothing.
    Never,
}

/// Why a text is no specification.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Wrong {
    /// It is too long, or not UTF-8.
    #[error("it has more than {BYTES_MAX} bytes, or is not UTF-8 text")]
    Text,
    /// It is not TOML of this shape; the message has the line.
    #[error("{0}")]
    Shape(String),
    /// A value is outside what is allowed.
    #[error("`{key}`: {wanted}")]
    Value {
        /// Of which key.
        key: &'static str,
        /// What is wanted.
        wanted: &'static str,
    },
}

impl Specification {
    /// Whether a text is meant to be a specification: it has the key `engine`, which no boundary has.
    #[must_use]
    pub fn is_meant(content: &[u8]) -> bool {
        let text = content.get(..BYTES_MAX.min(content.len())).and_then(|text| str::from_utf8(text).ok());
        let named = |line: &str| {
            line.trim_start().strip_prefix("engine").is_some_and(|rest| rest.trim_start().starts_with('='))
        };
        text.is_some_and(|text| text.lines().take_while(|line| !line.starts_with('[')).any(named))
    }

    /// Reads a specification.
    ///
    /// # Errors
    /// See [`Wrong`].
    pub fn parse(content: &[u8]) -> Result<Self, Wrong> {
        if content.len() > BYTES_MAX {
            return Err(Wrong::Text);
        }
        let text = str::from_utf8(content).map_err(|_no_text| Wrong::Text)?;
        let read: Self = toml::from_str(text).map_err(|error| Wrong::Shape(error.to_string()))?;
        read.checked()
    }

    fn checked(self) -> Result<Self, Wrong> {
        let wrong = |key, wanted| Err(Wrong::Value { key, wanted });
        if self.version != 1 {
            return wrong("version", "1 is the only version");
        }
        let plain = |text: &String| !text.contains('\0');
        let bytes: usize = self.command.iter().map(String::len).sum();
        let program = self.command.first().map(String::as_str).unwrap_or_default();
        if !program.starts_with('/') || program.split('/').any(|part| part == "..") {
            return wrong("command", "a program by its whole path in the image, then its arguments");
        }
        if self.command.len() > COMMAND_WORDS_MAX || bytes > TEXT_BYTES_MAX || !self.command.iter().all(plain)
        {
            return wrong("command", "at most 64 words and 16 KiB, without NUL");
        }
        if !self.has_right_environment() {
            return wrong(
                "environment",
                "at most 64 variables and 16 KiB; names of A-Z, a-z, 0-9 and _, not NOTIFY_SOCKET or WATCHDOG_USEC",
            );
        }
        if !(1..=MEMORY_MIB_MAX).contains(&self.limits.memory_mib) {
            return wrong("limits.memory_mib", "1 to 1048576");
        }
        if !(1..=PROCESSES_MAX).contains(&self.limits.processes) {
            return wrong("limits.processes", "1 to 32768");
        }
        if self.limits.cpu_percent.is_some_and(|percent| !(1..=100_000).contains(&percent)) {
            return wrong("limits.cpu_percent", "1 to 100000");
        }
        let seconds = 1..=SECONDS_MAX;
        if !seconds.contains(&self.start_seconds) || !seconds.contains(&self.stop_seconds) {
            return wrong("start_seconds, stop_seconds", "1 to 3600");
        }
        if self.watchdog_seconds.is_some_and(|watchdog| !seconds.contains(&watchdog)) {
            return wrong("watchdog_seconds", "1 to 3600");
        }
        if self.ports.len() > PORTS_MAX || self.ports.contains(&0) {
            return wrong("ports", "at most 16, none of them 0");
        }
        Ok(self)
    }

    fn has_right_environment(&self) -> bool {
        let right = |name: &String| {
            !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && !["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].contains(&name.as_str())
        };
        let bytes: usize = self.environment.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.environment.len() <= VARIABLES_MAX
            && bytes <= TEXT_BYTES_MAX
            && self.environment.iter().all(|(name, value)| right(name) && !value.contains('\0'))
    }
}

const fn start_seconds() -> u32 {
    30
}

const fn stop_seconds() -> u32 {
    5
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../golden/web.toml");

    #[test]
    fn the_example_says_what_it_says() {
        let web = Specification::parse(EXAMPLE.as_bytes()).unwrap();
        assert!(Specification::is_meant(EXAMPLE.as_bytes()));
        assert_eq!(web.engine.as_str(), "web");
        assert_eq!(web.limits, Limits { memory_mib: 64, processes: 32, cpu_percent: Some(150) });
        assert_eq!(
            (web.ready, web.restart, web.watchdog_seconds),
            (Ready::Notify, Restart::Always, Some(10))
        );
        assert_eq!((web.start_seconds, web.stop_seconds), (30, 5), "what is left out");
        let written = toml::to_string(&web).unwrap();
        assert_eq!(Specification::parse(written.as_bytes()).unwrap(), web);
    }

    #[test]
    fn a_boundary_is_not_meant_to_be_one() {
        for boundary in
            ["version = 1\n", "version = 1\n[[allow]]\nname = \"engine = x\"\n", "engines = 1\n", "{}"]
        {
            assert!(!Specification::is_meant(boundary.as_bytes()), "{boundary:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let without = |key: &str| {
            EXAMPLE.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect()
        };
        let with = |from: &str, to: &str| {
            assert!(EXAMPLE.contains(from), "{from}");
            EXAMPLE.replacen(from, to, 1)
        };
        let cases: Vec<(String, &str)> = vec![
            (without("version"), "missing field `version`"),
            (without("image"), "missing field `image`"),
            (without("memory_mib"), "missing field `memory_mib`"),
            (with("version = 1", "version = 2"), "`version`: 1 is the only"),
            (with("version = 1", "version = 1\nprivileged = true"), "unknown field `privileged`"),
            (with("version = 1", "version = 1\nversion = 1"), "duplicate key"),
            (with("\"/bin/httpd\"", "\"httpd\""), "by its whole path"),
            (with("\"/bin/httpd\"", "\"/bin/../../httpd\""), "by its whole path"),
            (with("\"/bin/httpd\"", "\"/bin/httpd\\u0000x\""), "without NUL"),
            (
                with(
                    "command = [\"/bin/httpd\"",
                    &format!("command = [{} \"/bin/httpd\"", "\"/x\",".repeat(64)),
                ),
                "64 words",
            ),
            (with("command = [\"/bin/httpd\"", "command = [] #"), "by its whole path"),
            (with("LANG", "NOTIFY_SOCKET"), "`environment`"),
            (with("LANG", "\"A=B\""), "`environment`"),
            (with("memory_mib  = 64", "memory_mib = 0"), "`limits.memory_mib`"),
            (with("memory_mib  = 64", "memory_mib = -1"), "invalid value"),
            (with("processes   = 32", "processes = 40000"), "`limits.processes`"),
            (with("cpu_percent = 150", "cpu_percent = 0"), "`limits.cpu_percent`"),
            (with("watchdog_seconds = 10", "watchdog_seconds = 0"), "`watchdog_seconds`"),
            (with("ready   = \"notify\"", "ready = \"later\""), "unknown variant `later`"),
            (with("ports = [80]", "ports = [0]"), "`ports`"),
            (with("engine  = \"web\"", "engine = \"../web\""), "a name"),
            (with("sha256:", "sha512:"), "sha256"),
            (format!("{EXAMPLE}{}", "#".repeat(BYTES_MAX)), "more than 65536 bytes"),
        ];
        for (text, wanted) in cases {
            let wrong = Specification::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(wrong.contains(wanted), "{wrong:?} instead of {wanted:?}");
        }
        assert_eq!(Specification::parse(b"\xff"), Err(Wrong::Text));
    }
}
