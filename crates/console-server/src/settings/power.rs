//! The tables `[[power]]` of `console.toml`, and what a management controller answers.

use std::path::PathBuf;

use http::Uri;
use http::uri::Authority;
use id::Name;
use serde::{Deserialize, Serialize};

/// Which nodes' power is switched, and how: `[[power]]` in the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Power {
    /// The nodes, by name; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) nodes: Vec<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redfish: Option<Redfish>,
    /// A program and its first arguments; after them come `status`, `on`, `off` or `restart`, and the node's name.
    /// `status` prints `on` or `off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Vec<String>>,
}

/// A management controller. A node's system there is called as the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redfish {
    /// `http://HOST:PORT`: on the management network alone.
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// Where the user's password is: a file that nobody else may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_file: Option<PathBuf>,
}

impl Power {
    /// What is wrong with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        match (&self.redfish, &self.command) {
            (Some(redfish), None) => {
                let known = redfish.user.is_some() == redfish.password_file.is_some();
                match (is_controller(&redfish.url), known) {
                    (true, true) => Ok(()),
                    // What is there is not repeated: somebody may have written a password into it.
                    (false, _) => Err("`url` is no address as http://HOST:PORT".to_owned()),
                    (true, false) => Err("`user` and `password_file` go together".to_owned()),
                }
            }
            (None, Some(command)) if command.first().is_some_and(|program| program.starts_with('/')) => {
                Ok(())
            }
            (None, Some(_)) => Err("`command` begins with the whole path of a program".to_owned()),
            (None, None) | (Some(_), Some(_)) => Err("it has one of `redfish` and `command`".to_owned()),
        }
    }

    pub(crate) fn is_for(&self, node: &Name) -> bool {
        self.nodes.is_empty() || self.nodes.contains(node)
    }
}

/// Whether it is `http://HOST:PORT`, and nothing else.
fn is_controller(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let bare = uri.path() == "/" && uri.query().is_none();
    // Neither a user, nor a port that is none: the library takes that for one that is left out.
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    let whole = uri.host().map(|host| format!("{host}{port}"));
    let named = whole.is_some() && whole.as_deref() == uri.authority().map(Authority::as_str);
    uri.scheme_str() == Some("http") && named && bare && uri.port_u16() != Some(0)
}

/// Whether a system is on, as a management controller tells it (DSP0266); nothing where it does not tell. What is
/// neither clearly on nor clearly off is on: it may still use its addresses.
pub(crate) fn is_on(answer: &[u8]) -> Option<bool> {
    let system: serde_json::Value = serde_json::from_slice(answer).ok()?;
    system.get("PowerState")?.as_str().map(|state| state != "Off")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), &str>) {
        let power: Power = toml::from_str(text).unwrap();
        assert_eq!(power.check().as_ref().copied().map_err(String::as_str), expected);
    }

    #[test]
    fn drivers_are_checked_when_the_console_starts() {
        check("redfish = { url = \"http://10.0.0.1:8000\" }", Ok(()));
        check("nodes = [\"n1\"]\ncommand = [\"/bin/power\", \"-x\"]", Ok(()));
        for url in [
            "http://10.0.0.1:8000/x",
            "http://10.0.0.1:65536",
            "http://10.0.0.1:0",
            "http://10.0.0.1:",
            "http://u:p@10.0.0.1",
            "root:calvin@10.0.0.1",
        ] {
            let text = format!("redfish = {{ url = {url:?} }}");
            check(&text, Err("`url` is no address as http://HOST:PORT"));
        }
        check(
            "redfish = { url = \"http://a\", user = \"u\" }",
            Err("`user` and `password_file` go together"),
        );
        check("command = [\"power\"]", Err("`command` begins with the whole path of a program"));
        check("command = []", Err("`command` begins with the whole path of a program"));
        check("", Err("it has one of `redfish` and `command`"));
    }

    #[test]
    fn what_a_management_controller_answers_is_on_or_off_or_nothing() {
        let deep = format!("{{\"PowerState\":\"Off\",\"Links\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
        let long = format!("{{\"PowerState\":\"{}\"}}", "x".repeat(60_000));
        for (answer, on) in [
            ("{\"PowerState\":\"Off\",\"Id\":\"n1\"}", Some(false)),
            ("{\"PowerState\":\"On\"}", Some(true)),
            // It may still use its addresses.
            ("{\"PowerState\":\"PoweringOff\"}", Some(true)),
            ("{\"PowerState\":\"off\"}", Some(true)),
            ("{\"PowerState\":\"Off\\u0000\"}", Some(true)),
            (&*long, Some(true)),
            ("{\"PowerState\":null}", None),
            ("{\"PowerState\":0}", None),
            ("{\"PowerState\":[\"Off\"]}", None),
            ("{\"powerstate\":\"Off\"}", None),
            ("[\"PowerState\",\"Off\"]", None),
            ("{\"PowerState\":\"Off\"}{}", None),
            ("{\"PowerState\":\"Off\",\"Size\":1e999}", None),
            ("\"Off\"", None),
            ("", None),
            (&*deep, None),
        ] {
            assert_eq!(is_on(answer.as_bytes()), on, "{}", &answer[..answer.len().min(80)]);
        }
        assert_eq!(is_on(b"{\"PowerState\":\"\xff\"}"), None);
    }
}
