//! How a command finds the console that it speaks to, and what it makes of its answers.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use console_api::{Address, Client, Failed, Page, Problem};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::file;
use crate::output::{self, Format};

/// How long a console may take for one answer; its own bound for a request is a little shorter.
const PATIENCE: Duration = Duration::from_secs(150);

const TOKEN_BYTES_MAX: usize = 4096;

/// Which console, and how its answer is printed.
#[derive(Args)]
pub(crate) struct Reach {
    /// The console, as unix:PATH or an address after http; `LEASEHOLD_CONSOLE` when left out
    #[arg(long, help = "The console: unix:PATH or http://HOST:PORT; LEASEHOLD_CONSOLE when left out")]
    console: Option<Address>,
    /// Send the token over plain HTTP off this machine, too: whoever is on the way reads it
    #[arg(long)]
    unencrypted: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
}

impl Reach {
    /// Speaks to the console: `ask` makes its calls.
    pub(crate) fn ask<T>(&self, ask: impl AsyncFnOnce(&Client) -> Result<T, Failed>) -> Result<T, Failure> {
        let (address, token) = (self.address()?, token()?);
        if token.is_some() && !self.unencrypted && !address.is_of_this_machine() {
            return Err(Failure::new(Exit::Refused, format!("the token would go to {address} in the clear"))
                .hint("reach it over `ssh -L`, or through a proxy with TLS on this machine; --unencrypted sends it anyway"));
        }
        let client = Client::new(address, token, PATIENCE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(Exit::Failed, format!("no runtime was started: {error}")))?;
        runtime.block_on(output::waiting(ask(&client))).map_err(failure)
    }

    /// The whole of a list, page after page.
    pub(crate) fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Page<T>, Failure> {
        self.all_of(path, "")
    }

    /// The same, of those that the query wants: `&all=true`.
    pub(crate) fn all_of<T: DeserializeOwned>(&self, path: &str, query: &str) -> Result<Page<T>, Failure> {
        self.ask(async |client| {
            let (mut items, mut next) = (Vec::new(), None::<String>);
            loop {
                let after =
                    next.as_ref().map_or_else(String::new, |next| format!("&after={}", segment(next)));
                let page: Page<T> = client.get(&format!("{path}?limit=1000{query}{after}")).await?;
                items.extend(page.items);
                next = page.next;
                if next.is_none() {
                    return Ok(Page { items, next });
                }
            }
        })
    }

    fn address(&self) -> Result<Address, Failure> {
        if let Some(address) = &self.console {
            return Ok(address.clone());
        }
        let hint = "name it with --console, or set LEASEHOLD_CONSOLE=unix:FOLDER/console.sock";
        let text = std::env::var("LEASEHOLD_CONSOLE")
            .map_err(|_unset| Failure::new(Exit::Usage, "no console is named").hint(hint))?;
        text.parse().map_err(|malformed: console_api::MalformedAddress| {
            Failure::new(Exit::Usage, format!("LEASEHOLD_CONSOLE: {malformed}")).hint(hint)
        })
    }
}

/// Reads something for whoever has no place for errors: nothing, if anything is wrong.
pub(crate) fn quietly(path: &str, patience: Duration) -> Option<serde_json::Value> {
    let address: Address = std::env::var("LEASEHOLD_CONSOLE").ok()?.parse().ok()?;
    let token = token().ok()?;
    if token.is_some() && !address.is_of_this_machine() {
        return None;
    }
    let client = Client::new(address, token, patience);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(client.get(path)).ok()
}

/// The token: by itself, or in a file. A unix socket needs none.
fn token() -> Result<Option<Zeroizing<String>>, Failure> {
    if let Ok(token) = std::env::var("LEASEHOLD_TOKEN") {
        return Ok(Some(Zeroizing::new(token)));
    }
    let Some(path) = std::env::var_os("LEASEHOLD_TOKEN_FILE") else { return Ok(None) };
    let path = PathBuf::from(path);
    let bytes = Zeroizing::new(file::read(&path, TOKEN_BYTES_MAX)?);
    let text = str::from_utf8(bytes.trim_ascii())
        .map_err(|_no_text| Failure::new(Exit::Usage, format!("{} is no token", path.display())))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// What a command ends with when the console says no, or nothing.
fn failure(failed: Failed) -> Failure {
    let told = file::chain(&failed);
    match failed {
        Failed::Problem(problem) => told_by_console(&problem),
        Failed::Unreachable { .. } => {
            Failure::new(Exit::Failed, told).hint("`leasehold console run FOLDER` runs one")
        }
        Failed::Broken(_) | Failed::Malformed(_) => Failure::new(Exit::Failed, told),
        Failed::TimedOut(_) => Failure::new(Exit::TimedOut, told),
    }
}

/// A problem as the command's own failure: its code of exit, its words, its hint.
pub(crate) fn told_by_console(problem: &Problem) -> Failure {
    let failure = Failure::new(Exit::of(problem.exit), &problem.message);
    match &problem.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// A text as one part of a path, or a value behind `?` (RFC 3986 §2.3).
pub(crate) fn segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}
