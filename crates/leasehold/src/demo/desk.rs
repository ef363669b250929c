//! A party at its console: what it asks, by the console's API, and what the console says.

use std::time::{Duration, Instant};

use console_api::{Address, Client, NewOrder, Order, Problem};
use lab::{Failed, Object};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::world::PATIENCE;

/// How long a console is left alone before it is asked again.
const LOOK: Duration = Duration::from_millis(20);

/// A console, as its party speaks to it.
pub(crate) struct Desk(Client);

impl Desk {
    /// At the unix socket of a console.
    pub(crate) fn at(socket: &str) -> Result<Self, Failed> {
        let address: Result<Address, _> = socket.parse();
        let address = address.map_err(|error| Failed::new("find a console", error))?;
        Ok(Self(Client::new(address, None, PATIENCE)))
    }

    /// Reads something.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failed> {
        ask(self.0.get(path))?.map_err(|no| Failed::new(format!("read {path}"), no))
    }

    /// Has something done.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failed> {
        ask(self.0.post(path, body))?.map_err(|no| Failed::new(format!("have {path} done"), no))
    }

    /// Asks for what is to be refused; nothing if it was done.
    pub(crate) fn refused(&self, path: &str, body: &impl Serialize) -> Result<Option<Problem>, Failed> {
        match ask(self.0.post::<Value>(path, body))? {
            Ok(_) => Ok(None),
            Err(console_api::Failed::Problem(problem)) => Ok(Some(*problem)),
            Err(other) => Err(Failed::new(format!("ask for {path}"), other)),
        }
    }

    /// Reads again and again until it is as wanted.
    pub(crate) fn until<T: DeserializeOwned>(
        &self,
        path: &str,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<T, Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.get(path)?;
            if wanted(&now) {
                return Ok(now);
            }
            if Instant::now() > deadline {
                return Err(Failed::new(format!("see {path} become as it should"), "it took too long"));
            }
            os::poll::wait(&[], Some(LOOK)).map(drop).map_err(|error| Failed::new("wait", error))?;
        }
    }

    /// Orders a node, which obeys, or says why not.
    pub(crate) fn order(
        &self,
        node: &str,
        verb: &str,
        args: Value,
        objects: &[&Object],
    ) -> Result<Result<Order, Problem>, Failed> {
        let objects = objects.iter().map(|object| base64(object.as_bytes())).collect();
        let order = NewOrder { node: node.to_owned(), tier: None, verb: verb.to_owned(), args, objects };
        match ask(self.0.post("/v1/orders", &order))? {
            Ok(order) => Ok(Ok(order)),
            Err(console_api::Failed::Problem(problem)) => Ok(Err(*problem)),
            Err(other) => Err(Failed::new(format!("order {node}"), other)),
        }
    }
}

/// Runs one request to its end.
fn ask<T>(request: impl Future<Output = T>) -> Result<T, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(|error| Failed::new("speak to a console", error))?.block_on(request))
}

/// RFC 4648 §4, as DSSE and the API want it.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let number = u32::from_be_bytes(group);
        for place in 0..4 {
            let digit = (number >> (18 - 6 * place)) & 63;
            text.push(if place > chunk.len() { '=' } else { char::from(DIGITS[digit as usize]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_rfc() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }
}
