//! `enrolment.json`: who the root is. Read at the first start alone (PROTOCOL, "Enrolment of a node").

use std::path::Path;

use id::{Digest, Name, PublicKey};
use serde::Deserialize;
use tenure::{Console, ControllerKey, Refusal, are_consoles};
use thiserror::Error;

/// The file's name in the configuration folder.
pub(crate) const FILE: &str = "enrolment.json";

/// The longest enrolment.
pub(crate) const BYTES_MAX: u64 = 64 * 1024;

const CONTROLLERS_MAX: usize = tenure::limits::KEYS_PER_TIER_MAX;

/// The root, as the person with the machine in hand says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enrolment {
    /// The root tier's name on this node.
    pub(crate) name: Name,
    /// Its controller keys.
    pub(crate) controllers: Vec<ControllerKey>,
    /// Its consoles.
    pub(crate) consoles: Vec<Console>,
    /// The key that signs the directories which this node takes.
    pub(crate) directory: Option<PublicKey>,
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
    #[error("{file}: {refusal}")]
    Consoles { file: String, refusal: Refusal },
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
    #[serde(default)]
    directory: Option<PublicKey>,
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
        are_consoles(&wire.consoles).map_err(|refusal| NoEnrolment::Consoles { file: file(), refusal })?;
        for (index, controller) in wire.controllers.iter().enumerate() {
            if wire.controllers.iter().take(index).any(|other| other.key == controller.key) {
                return Err(NoEnrolment::Twice { file: file(), key: controller.key.to_string() });
            }
        }
        Ok(Self {
            name: wire.name,
            controllers: wire.controllers,
            consoles: wire.consoles,
            directory: wire.directory,
            document: Digest::of(bytes),
        })
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
        let consoles = |address: &str| {
            let console = format!("{{\"key\":\"{KEY}\",\"addresses\":[{address}]}}");
            good.replace("\"controllers\"", &format!("\"consoles\":[{console}],\"controllers\""))
        };
        check(&consoles("\"10.0.0.2:7443\""), expect!["landlord"]);
        check(
            &consoles(""),
            expect![
                "enrolment.json: a console or one of its addresses is missing, stands twice, or is the node's own"
            ],
        );
        check(
            &good.replace("\"name\"", "\"nmae\""),
            expect![
                "enrolment.json is no enrolment: unknown field `nmae`, expected one of `version`, `name`, `controllers`, `consoles`, `directory` at line 1 column 19"
            ],
        );
        check("", expect!["enrolment.json is no enrolment: EOF while parsing a value at line 1 column 0"]);
    }
}
