//! What a console is told by its operator: `console.toml` with all its tables, which is linked here as it stands, the
//! ladders of incidents; and what a management controller answers it.

#[expect(dead_code, reason = "who sends uses more of it than its parser")]
pub(crate) mod receiver;
#[expect(dead_code, reason = "the console uses more of it than its parser")]
mod settings;

use std::net::Ipv4Addr;

use ::dhcp::server::Pool;
use incident::Ladders;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::receiver::{Means, Receiver};
use self::settings::power::{Power, is_on};
use self::settings::{Range, Settings};

/// The whole file, and each table that has rules of its own as a file: what is taken keeps its bounds and reads back
/// as the same, what is not says why.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Settings::parse(text) {
        Ok(settings) => {
            holds(&settings);
            let written = toml::to_string(&settings).expect("what was read can be written");
            assert_eq!(Settings::parse(&written), Ok(settings));
        }
        Err(wrong) => assert!(!wrong.why.is_empty() && !wrong.hint.is_empty()),
    }
    if let Some(dhcp) = reads_back::<settings::dhcp::Settings>(text) {
        let _checked = dhcp.config(None).is_ok() || dhcp.config(some_range()).is_ok();
    }
    if let Some(receiver) = reads_back::<Receiver>(text) {
        told(&receiver);
    }
    if let Some(power) = reads_back::<Power>(text) {
        assert!(power.check().is_err() || power.redfish.is_some() != power.command.is_some());
    }
}

fn holds(settings: &Settings) {
    let addresses = settings.addresses();
    assert!((1..=4).contains(&addresses.len()));
    assert!(addresses.iter().all(|address| address.port() != 0 && !address.ip().is_unspecified()));
    assert!(settings.api.is_none_or(|api| settings.unencrypted || api.ip().is_loopback()));
    assert!(settings.realms.is_none_or(|range| range.first() <= range.last()));
    if let Some(dhcp) = &settings.dhcp {
        let config = dhcp.config(settings.realms).expect("it was checked");
        let pools = [config.nodes, config.realms, config.others].into_iter().flatten();
        assert!(pools.clone().count() > 0);
        for Pool { first, last, prefix, .. } in pools {
            assert!(first <= last && prefix <= 32);
            let same = |address: Ipv4Addr| address.to_bits().checked_shr(32 - u32::from(prefix));
            assert_eq!(same(first), same(last), "a pool is of one network");
        }
    }
    settings.receiver.iter().for_each(told);
}

/// One that is taken is reached by one means, and told of in one line.
fn told(receiver: &Receiver) {
    match receiver.check() {
        Ok(means) => {
            let line = receiver.reached_by();
            assert!(!line.is_empty() && !line.contains(['\n', '\r', '\0']), "{line:?}");
            if let Means::Mail(mail) = means {
                assert!((1..=50).contains(&mail.to.len()));
            }
        }
        Err(wrong) => assert!(!wrong.to_string().is_empty()),
    }
}

fn some_range() -> Option<Range> {
    Range::try_from("10.1.0.10-10.1.0.99".to_owned()).ok()
}

fn reads_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str) -> Option<T> {
    let read: T = toml::from_str(text).ok()?;
    let written = toml::to_string(&read).expect("what was read can be written");
    assert_eq!(toml::from_str::<T>(&written).ok().as_ref(), Some(&read));
    Some(read)
}

/// Ladders that are taken have their bounds, destroy nothing for a symptom that may be false, and read back as the
/// same.
pub fn ladders(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Ladders::parse(text) {
        Ok(ladders) => {
            assert!(ladders.version == 1 && ladders.ladders.len() <= 256);
            for ladder in &ladders.ladders {
                assert!(ladder.steps.len() <= 16 && ladder.settle_s <= 86_400);
                for step in &ladder.steps {
                    assert!((1..=10).contains(&step.times) && step.wait_s <= 86_400);
                    assert!(!step.remedy.destroys() || !ladder.kinds.is_empty());
                }
            }
            assert_eq!(Ladders::parse(&ladders.to_toml()), Ok(ladders));
        }
        Err(malformed) => assert!(!malformed.to_string().is_empty()),
    }
}

/// An answer says that a system is on, or off, or nothing; the same when it is written again.
pub fn power_answers(bytes: &[u8]) {
    let Some(on) = is_on(bytes) else { return };
    let answer: serde_json::Value = serde_json::from_slice(bytes).expect("it was read");
    assert!(answer["PowerState"].is_string());
    let written = serde_json::to_vec(&answer).expect("what was read can be written");
    assert_eq!(is_on(&written), Some(on));
}
