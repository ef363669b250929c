//! Who is told, and how to reach them: the `[[receiver]]` tables of a console's settings.

pub(crate) mod target;

use std::path::PathBuf;

use id::Name;
use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most people of one mail.
const TO_MAX: usize = 50;

/// One who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// What ladders and the log call it.
    pub name: Name,
    /// By mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
    /// By a request to a web server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
}

/// Exactly one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means<'a> {
    /// By mail.
    Mail(&'a Mail),
    /// By a request to a web server.
    Webhook(&'a Webhook),
}

/// A mail server, and whom it is to give the mail to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Its name or address.
    pub server: String,
    /// Its port; left out: 25, with `tls` 465, with `starttls` 587.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the connection is kept from others' eyes.
    #[serde(default)]
    pub security: Security,
    /// A PEM file of the certificates that sign the server's, where this machine does not trust them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
    /// The user, where the server wants one; never sent over a connection without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Where the user's password is: a file that nobody else may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

/// How a connection to a mail server is secured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Security {
    /// The server must offer STARTTLS (RFC 3207), and its certificate must hold.
    #[default]
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Not at all: for a server on this machine or an own network.
    None,
}

/// A web server that takes notifications, signed as Standard Webhooks says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// `https://HOST[:PORT]/PATH`, or `http://…` for a server on an own network.
    pub url: String,
    /// Where the shared secret is: a file that nobody else may read. Its text as it stands, without blanks at its ends.
    pub secret_file: PathBuf,
    /// A PEM file of the certificates that sign the server's, where this machine does not trust them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// Why a receiver's settings are none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("receiver {name}: {why}")]
pub struct WrongReceiver {
    name: Name,
    why: String,
}

impl Receiver {
    /// Says what is wrong with it before anybody relies on it.
    ///
    /// # Errors
    /// [`WrongReceiver`].
    pub fn check(&self) -> Result<Means<'_>, WrongReceiver> {
        let wrong = |why: &str| WrongReceiver { name: self.name.clone(), why: why.to_owned() };
        match (&self.mail, &self.webhook) {
            (Some(mail), None) => {
                mail.check().map_err(|why| wrong(&why))?;
                Ok(Means::Mail(mail))
            }
            (None, Some(webhook)) => {
                target::target(&webhook.url).map_err(|why| wrong(&why))?;
                Ok(Means::Webhook(webhook))
            }
            (None, None) | (Some(_), Some(_)) => Err(wrong("it has one of `mail` and `webhook`")),
        }
    }

    /// How it is reached, in a few words and without secrets.
    #[must_use]
    pub fn reached_by(&self) -> String {
        match (&self.mail, &self.webhook) {
            (Some(mail), _) => format!("mail to {} by {}", mail.to.join(", "), mail.server),
            // A webhook's path is often a secret of its own.
            (None, Some(webhook)) => match target::target(&webhook.url) {
                Ok(target) => format!("webhook to {}", target.host),
                Err(_wrong) => "webhook".to_owned(),
            },
            (None, None) => String::new(),
        }
    }
}

impl Mail {
    fn check(&self) -> Result<(), String> {
        if self.to.is_empty() || self.to.len() > TO_MAX {
            return Err(format!("`to` names 1 to {TO_MAX} people"));
        }
        for address in self.to.iter().chain([&self.from]) {
            let _: Mailbox = address.parse().map_err(|_not_one| format!("{address:?} is no mail address"))?;
        }
        if self.server.is_empty()
            || self.server.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/')
        {
            return Err(format!("{:?} is no server's name or address", self.server));
        }
        if self.port == Some(0) {
            return Err("`port` is 1 to 65535".to_owned());
        }
        match (&self.user, &self.password_file, self.security) {
            (None, None, _) => Ok(()),
            (Some(_), Some(_), Security::None) => Err("a password needs `security`".to_owned()),
            (Some(_), Some(_), Security::Starttls | Security::Tls) => Ok(()),
            (Some(_), None, _) | (None, Some(_), _) => {
                Err("`user` and `password_file` go together".to_owned())
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            Security::None => 25,
            Security::Tls => 465,
            Security::Starttls => 587,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let told = match toml::from_str::<Receiver>(text) {
            Ok(receiver) => match receiver.check() {
                Ok(_) => receiver.reached_by(),
                Err(wrong) => wrong.to_string(),
            },
            Err(error) => error.message().to_owned(),
        };
        assert!(told.starts_with(expected) && !told.contains("secret"), "{told}");
    }

    #[test]
    fn receivers_are_read_strictly() {
        let mail = |more: &str| {
            format!(
                "name = \"ops\"\n[mail]\nserver = \"mx\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n{more}"
            )
        };
        let hook = |url: &str| format!("name = \"hook\"\n[webhook]\nurl = \"{url}\"\nsecret_file = \"s\"\n");
        check(&mail(""), "mail to c@d.example by mx");
        check(&mail("security = \"none\""), "mail to");
        check(&mail("security = \"ssl3\""), "unknown variant");
        check(&mail("user = \"u\""), "receiver ops: `user` and `password_file` go together");
        check(&mail("user = \"u\"\npassword_file = \"p\""), "mail to");
        check(
            &mail("user = \"u\"\npassword_file = \"p\"\nsecurity = \"none\""),
            "receiver ops: a password needs",
        );
        check(&mail("password = \"p\""), "unknown field `password`");
        check(&mail("").replace("c@d.example", "c"), "receiver ops: \"c\" is no mail address");
        check(&mail("").replace("c@d.example", "c@d.example>\\nBcc: x@y"), "receiver ops: ");
        check(&mail("").replace("\"mx\"", "\"m x\""), "receiver ops: \"m x\" is no server");
        check(&hook("https://a.example/x"), "webhook to a.example");
        check(&hook("http://10.0.0.2:8080"), "webhook to 10.0.0.2");
        check(&hook("https://[fd00::2]:8443/x"), "webhook to fd00::2");
        for wrong in ["", "ftp://a", "https://", "https://u:p@a/x", "https://a:0/x", "a.example/secret"] {
            check(&hook(wrong), "receiver hook: `url` is no address as https://HOST/PATH");
        }
        check(&mail("port = 0"), "receiver ops: `port` is 1 to 65535");
        check("name = \"x\"", "receiver x: it has one of");
        check(
            &(mail("") + "[webhook]\nurl = \"https://a\"\nsecret_file = \"s\"\n"),
            "receiver ops: it has one of",
        );
    }

    #[test]
    fn hostile_receivers_are_none() {
        let mail = |key: &str, value: &str| {
            let mut mail =
                vec![("server", "\"mx\""), ("from", "\"a@b.example\""), ("to", "[\"c@d.example\"]")];
            mail.retain(|(other, _)| *other != key);
            mail.push((key, value));
            let lines: Vec<String> = mail.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
            format!("name = \"ops\"\n[mail]\n{}", lines.concat())
        };
        let many = format!("[{}]", "\"c@d.example\",".repeat(TO_MAX + 1));
        let nested = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
        for (key, value) in [
            ("port", "65536"),
            ("port", "-1"),
            ("port", "25.0"),
            ("port", "\"25\""),
            ("server", "[]"),
            ("server", "\"\""),
            ("server", "\"mx\\u0000\""),
            ("server", "\"mx\\r\\nQUIT\""),
            ("from", "\"a@b.example\\u0000\""),
            ("from", "\"a@b.example\\r\\nBcc: x@y.example\""),
            ("to", "[]"),
            ("to", &many),
            ("to", &nested),
            ("to", "[7]"),
        ] {
            let text = mail(key, value);
            let taken = toml::from_str::<Receiver>(&text).is_ok_and(|receiver| receiver.check().is_ok());
            assert!(!taken, "{}", &text[..text.len().min(200)]);
        }
        let long = format!("https://a.example/{}", "x".repeat(100_000));
        for url in
            [&*long, "https://a.example/\\u0000", "https://a.example:65536/", "https://a b/", "https://[::1/"]
        {
            let text = format!("name = \"hook\"\n[webhook]\nurl = \"{url}\"\nsecret_file = \"s\"\n");
            let taken = toml::from_str::<Receiver>(&text).is_ok_and(|receiver| receiver.check().is_ok());
            assert!(!taken, "{}", &url[..url.len().min(200)]);
        }
    }
}
