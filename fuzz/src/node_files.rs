//! The files that a node reads at its start. The monitor is a program without a library, so its parsers
//! are linked here as they stand.

use std::path::Path;

#[expect(dead_code, reason = "the monitor uses more of it than its parser")]
mod config;
mod custody_messages;
#[expect(dead_code, reason = "the monitor uses more of it than its parser")]
mod enrolment;
mod helper_messages;
#[expect(dead_code, reason = "the supervisor knows how long the file may be")]
mod kept_addresses;
mod launching_messages;
mod leasing_messages;

use leasing_messages::Who;

/// What the supervisor says to custody, and custody to the supervisor: a frame of JSON each. What is read is
/// written so that it reads the same.
pub fn custody_messages(bytes: &[u8]) {
    use custody_messages::{Numbered, Reply, Request};
    reads_back::<Numbered<Request>>(bytes);
    reads_back::<Numbered<Reply>>(bytes);
}

/// The same of what the supervisor says to who leases addresses, and hears of it.
pub fn leasing_messages(bytes: &[u8]) {
    reads_back::<leasing_messages::ToLeasing>(bytes);
    reads_back::<leasing_messages::FromLeasing>(bytes);
}

/// The same of what it says to a helper and to the launcher, and hears from a helper and from an unpacker.
pub fn role_messages(bytes: &[u8]) {
    reads_back::<helper_messages::Task>(bytes);
    reads_back::<helper_messages::Outcome>(bytes);
    reads_back::<launching_messages::StartShim>(bytes);
    reads_back::<launching_messages::Unpacked>(bytes);
}

fn reads_back<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(message) = serde_json::from_slice::<T>(bytes) else { return };
    let text = serde_json::to_vec(&message).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&text).ok(), Some(message));
}

/// Every fault of a configuration is told with its line, or the names in it can be used.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match config::Config::parse(Path::new(config::FILE), text) {
        Ok(config) => {
            assert!(config.socket().as_os_str().len() <= 107);
            for realm in &config.realms {
                assert!(config::host_link(&realm.tier).len() <= 15);
                assert_eq!(config.mac(&realm.tier)[0], 2, "a MAC of our own making, for one station");
            }
        }
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
}

pub fn enrolment(bytes: &[u8]) {
    match enrolment::Enrolment::parse(Path::new(enrolment::FILE), bytes) {
        Ok(root) => {
            assert!(!root.controllers.is_empty());
            assert_eq!(root.document, id::Digest::of(bytes));
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}

/// The addresses that a supervisor remembers: of each lease one, of networks that there are.
pub fn kept_addresses(bytes: &[u8]) {
    let Some(kept) = kept_addresses::Kept::parse(bytes) else { return };
    assert!(kept.leases.iter().all(|held| (1..=32).contains(&held.prefix)));
    let written = serde_json::to_vec(&kept).expect("what was read can be written");
    assert_eq!(kept_addresses::Kept::parse(&written), Some(kept));
}
