//! Tells people of incidents: by mail, and by webhooks that are signed.
//!
//! A [`Message`] is composed once, has one id for ever, and is tried with growing pauses ([`pause`]) until its
//! receiver has taken it: whoever gets it twice sees the same id. [`Delivery`] is what a log keeps of it.
//! Randomness and the time are arguments; the network is this crate's work.
//!
//! # What must stay true
//! - A secret is read from its file when it is used, is in no `Debug`, in no error, in no log.
//! - What a receiver answers is never followed: no redirect, no second request.
#![forbid(unsafe_code)]

mod deliver;
mod log;
mod mail;
mod message;
mod receiver;
mod secret;
mod tls;
mod webhook;

pub use deliver::{Undelivered, deliver};
pub use log::{Attempt, Delivery, DeliveryState, GIVE_UP_AFTER, TROUBLE_AFTER, pause};
pub use message::{Message, Page};
pub use receiver::{Mail, Means, Receiver, Security, Webhook, WrongReceiver};
pub use secret::{Secret, UnreadSecret};
pub use webhook::sign;
