//! One attempt to deliver one message.

use std::path::Path;
use std::time::Duration;

use id::Time;
use thiserror::Error;

use crate::message::Message;
use crate::receiver::{Means, Receiver, WrongReceiver};
use crate::secret::UnreadSecret;

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a message was not taken.
#[derive(Debug, Error)]
pub enum Undelivered {
    /// The settings are wrong.
    #[error(transparent)]
    Receiver(#[from] WrongReceiver),
    /// A secret is not there.
    #[error(transparent)]
    Secret(#[from] UnreadSecret),
    /// The certificates that a server's is held against.
    #[error("could not use the certificates: {0}")]
    Certificates(String),
    /// The message cannot be written as a mail.
    #[error("the mail was not written")]
    Mail(#[from] lettre::error::Error),
    /// The mail server said no, or nothing.
    #[error("the mail server did not take it")]
    Smtp(#[from] lettre::transport::smtp::Error),
    /// No connection to the web server.
    #[error("could not connect to {0}")]
    Connect(String, #[source] std::io::Error),
    /// The connection failed.
    #[error("the web server did not answer")]
    Http(#[from] hyper::Error),
    /// The web server does not want it.
    #[error("the web server answered {0}")]
    Answer(u16),
    /// It took too long.
    #[error("nothing was answered within {} s", PATIENCE.as_secs())]
    Late,
}

impl Undelivered {
    /// In one line, with what it follows from.
    #[must_use]
    pub fn told(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |told, cause| format!("{told}: {cause}"))
    }
}

/// Tries once. `folder` is where files are that the settings name without a folder. What the receiver said comes
/// back.
///
/// # Errors
/// [`Undelivered`]. The receiver may have it nevertheless: then it sees the same id again.
pub async fn deliver(
    receiver: &Receiver,
    folder: &Path,
    message: &Message,
    now: Time,
) -> Result<String, Undelivered> {
    let attempt = async {
        match receiver.check()? {
            Means::Mail(mail) => crate::mail::send(mail, folder, message).await,
            Means::Webhook(webhook) => crate::webhook::post(webhook, folder, message, now).await,
        }
    };
    tokio::time::timeout(PATIENCE, attempt).await.unwrap_or(Err(Undelivered::Late))
}
