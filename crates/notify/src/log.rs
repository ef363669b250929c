//! What is kept of a delivery, and when it is tried again.

use std::time::Duration;

use id::{Name, Time};
use incident::Number;
use serde::{Deserialize, Serialize};

use crate::message::Message;

/// After so many attempts in vain the receiver is in trouble: that is an incident of its own.
pub const TROUBLE_AFTER: u32 = 3;

/// After so long in vain a message is given up: nobody wants to be woken by yesterday's.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

const LONGEST_PAUSE_S: u64 = 300;

/// The most attempts that are told of one by one.
const ATTEMPTS_MAX: usize = 8;

/// One message to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// What is delivered; its id is the delivery's.
    pub message: Message,
    /// To whom.
    pub receiver: Name,
    /// Of which incident; none: a test.
    pub incident: Option<Number>,
    /// Since when.
    pub at: Time,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tried: u32,
    /// The last attempts, the newest last.
    pub attempts: Vec<Attempt>,
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// It is tried, or will be.
    Pending,
    /// The receiver has taken it.
    Delivered,
    /// It was given up.
    Failed,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// When it ended.
    pub at: Time,
    /// Whether the receiver took it.
    pub taken: bool,
    /// What the receiver said, or why it could not be reached.
    pub told: String,
}

impl Delivery {
    /// One that was not tried yet.
    #[must_use]
    pub const fn new(message: Message, receiver: Name, incident: Option<Number>, at: Time) -> Self {
        let state = DeliveryState::Pending;
        Self { message, receiver, incident, at, state, tried: 0, attempts: Vec::new() }
    }

    /// Writes an attempt down.
    pub fn attempted(&mut self, at: Time, ended: Result<String, String>) {
        self.tried = self.tried.saturating_add(1);
        let taken = ended.is_ok();
        let told = ended.unwrap_or_else(|why| why);
        if self.attempts.len() >= ATTEMPTS_MAX {
            self.attempts.remove(0);
        }
        self.attempts.push(Attempt { at, taken, told });
        if taken {
            self.state = DeliveryState::Delivered;
        } else if self.at.plus(GIVE_UP_AFTER) <= at {
            self.state = DeliveryState::Failed;
        }
    }
}

/// How long to wait after so many attempts in vain: twice as long each time, up to five minutes, less a part that
/// `random` says, so that those who failed together do not come back together.
#[must_use]
pub fn pause(tried: u32, random: u8) -> Duration {
    let longest = 1_u64.checked_shl(tried.saturating_sub(1)).unwrap_or(LONGEST_PAUSE_S).min(LONGEST_PAUSE_S);
    Duration::from_millis(longest * 1000 - longest * 500 * u64::from(random) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_minutes() {
        let longest: Vec<_> = (1..12).map(|tried| pause(tried, 0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pause(200, 255), Duration::from_secs(150));
    }

    #[test]
    fn a_delivery_ends_taken_or_given_up() {
        let message = Message::test("id-1".to_owned(), "acme", Time::ZERO);
        let mut delivery = Delivery::new(message, "ops".parse().unwrap(), None, Time::ZERO);
        for minute in 0..20 {
            delivery.attempted(Time::from_millis(minute * 60_000), Err("no".to_owned()));
        }
        assert_eq!(
            (delivery.state, delivery.tried, delivery.attempts.len()),
            (DeliveryState::Pending, 20, 8)
        );
        let mut late = delivery.clone();
        late.attempted(Time::ZERO.plus(GIVE_UP_AFTER), Err("no".to_owned()));
        assert_eq!(late.state, DeliveryState::Failed);
        delivery.attempted(Time::ZERO.plus(GIVE_UP_AFTER), Ok("250 ok".to_owned()));
        assert_eq!(delivery.state, DeliveryState::Delivered);
    }
}
