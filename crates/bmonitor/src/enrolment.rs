//! `enrolment.json`: who the root is. Read at the first start alone (PROTOCOL, "Enrolment of a node").

use std::path::Path;

use id::{Digest, Name};
use serde::Deserialize;
use tenure::ControllerKey;
use thiserror::Error;

/// The file's name in the configuration folder.
pub(crate) const FILE: &str = "enrolment.json";

/// The longest enrolment.
pub(crate) const BYTES_MAX: u64 = 64 * 1024;

const CONTROLLERS_MAX: usize = tenure::limits::KEYS_PER_TIER_MAX;
const CONSOLES_MAX: usize = 16;

/// The root, as the person with the machine in hand says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enrolment {
    /// The root tier's name on this node.
    pub(crate) name: Name,
    /// Its controller keys.
    pub(crate) controllers: Vec<ControllerKey>,
    /// The digest of the file.
    pub(crate) document: Digest,
}

/// Why a file is no enrolment.
#[derive(Debug, Error)]
pub(crate) enum NoEnrolment {
    #[error("{file} is no enrolment")]
    Json { file: String, source: serde_json::Error },
    #[error("{file}: version {version} is not 1, the only one known")]
    Version { file: String, version: u64 },
    #[error("{file}: {found} {what}, 1 to {max} are wanted")]
    Number { file: String, what: &'static str, found: usize, max: usize },
    #[error("{file}: key {key} stands twice")]
    Twice { file: String, key: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u64,
    name: Name,
    controllers: Vec<ControllerKey>,
    #[serde(default)]
    consoles: Vec<Console>,
}

/// A console to dial; kept for the courier, which is not there yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the shape is checked; the courier will dial them")]
struct Console {
    key: id::PublicKey,
    addresses: Vec<String>,
}

impl Enrolment {
    /// Reads the file's text.
    pub(crate) fn parse(file: &Path, bytes: &[u8]) -> Result<Self, NoEnrolment> {
        let file = || file.display().to_string();
        let wire: Wire =
            serde_json::from_slice(bytes).map_err(|source| NoEnrolment::Json { file: file(), source })?;
        if wire.version != 1 {
            return Err(NoEnrolment::Version { file: file(), version: wire.version });
        }
        let keys = wire.controllers.len();
        if keys == 0 || keys > CONTROLLERS_MAX {
            return Err(NoEnrolment::Number {
                file: file(),
                what: "controllers",
                found: keys,
                max: CONTROLLERS_MAX,
            });
        }
        let consoles = wire.consoles.len();
        if consoles > CONSOLES_MAX {
            return Err(NoEnrolment::Number {
                file: file(),
                what: "consoles",
                found: consoles,
                max: CONSOLES_MAX,
            });
        }
        for (index, controller) in wire.controllers.iter().enumerate() {
            if wire.controllers.iter().take(index).any(|other| other.key == controller.key) {
                return Err(NoEnrolment::Twice { file: file(), key: controller.key.to_string() });
            }
        }
        Ok(Self { name: wire.name, controllers: wire.controllers, document: Digest::of(bytes) })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const KEY: &str = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    #[expect(clippy::needless_pass_by_value, reason = "as expect_test wants it")]
    fn check(text: &str, expected: Expect) {
        let parsed = Enrolment::parse(Path::new("enrolment.json"), text.as_bytes());
        expected.assert_eq(
            &parsed.map_or_else(|error| crate::failure::chain(&error), |root| root.name.to_string()),
        );
    }

    #[test]
    fn what_is_and_what_is_no_enrolment() {
        let key = format!("{{\"key\":\"{KEY}\",\"rights\":[\"lease\",\"sever\"]}}");
        let good = format!("{{\"version\":1,\"name\":\"landlord\",\"controllers\":[{key}]}}");
        check(&good, expect!["landlord"]);
        check(
            &good.replace("\"version\":1", "\"version\":2"),
            expect!["enrolment.json: version 2 is not 1, the only one known"],
        );
        check(&good.replace(&key, ""), expect!["enrolment.json: 0 controllers, 1 to 32 are wanted"]);
        check(
            &good.replace(&key, &format!("{key},{key}")),
            expect!["enrolment.json: key ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo stands twice"],
        );
        check(
            &good.replace("\"name\"", "\"nmae\""),
            expect![
                "enrolment.json is no enrolment: unknown field `nmae`, expected one of `version`, `name`, `controllers`, `consoles` at line 1 column 19"
            ],
        );
        check("", expect!["enrolment.json is no enrolment: EOF while parsing a value at line 1 column 0"]);
    }
}
