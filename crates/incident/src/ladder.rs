//! What is tried, and in which order: it varies with the cluster and the kind of failure (M9, M13).

use std::time::Duration;

use id::Name;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::symptom::Kind;

const BYTES_MAX: usize = 256 * 1024;
const LADDERS_MAX: usize = 256;
const STEPS_MAX: usize = 16;
const TIMES_MAX: u32 = 10;
const SECONDS_MAX: u32 = 86_400;

/// A corrective action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Tell people.
    Notify,
    /// End the engine, and start it again.
    RestartEngine,
    /// Unpack the engine's image anew, and start it.
    ReloadImage,
    /// Switch the machine off and on.
    RebootNode,
    /// Have a backup node take the node's place.
    ActivateSpare,
}

impl Remedy {
    /// Whether something is lost by it if the symptom was false.
    #[must_use]
    pub const fn destroys(self) -> bool {
        match self {
            Self::Notify => false,
            Self::RestartEngine | Self::ReloadImage | Self::RebootNode | Self::ActivateSpare => true,
        }
    }

    /// Whether it acts on one engine.
    #[must_use]
    pub const fn is_of_engine(self) -> bool {
        matches!(self, Self::RestartEngine | Self::ReloadImage)
    }
}

impl std::fmt::Display for Remedy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Notify => "notify",
            Self::RestartEngine => "restart-engine",
            Self::ReloadImage => "reload-image",
            Self::RebootNode => "reboot-node",
            Self::ActivateSpare => "activate-spare",
        })
    }
}

/// One step of a ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is done.
    #[serde(rename = "do")]
    pub remedy: Remedy,
    /// How long the symptom may stay after it before the next is tried.
    #[serde(default)]
    pub wait_s: u32,
    /// How often it is tried.
    #[serde(default = "once")]
    pub times: u32,
    /// Of `notify`: who is told; empty: all receivers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<Name>,
}

const fn once() -> u32 {
    1
}

impl Step {
    pub(crate) fn wait(&self) -> Duration {
        Duration::from_secs(self.wait_s.into())
    }
}

/// What is tried for some incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    /// Its name, for people.
    pub name: Name,
    /// The clusters that it is for; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<Name>,
    /// The causes that it is for; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Kind>,
    /// How long all symptoms must be gone before the incident is resolved. One that comes back before goes on where
    /// it was.
    #[serde(default = "a_minute")]
    pub settle_s: u32,
    /// The steps.
    #[serde(default, rename = "step")]
    pub steps: Vec<Step>,
}

const fn a_minute() -> u32 {
    60
}

impl Ladder {
    fn is_for(&self, kind: Kind, cluster: Option<&Name>) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (self.clusters.is_empty() || cluster.is_some_and(|cluster| self.clusters.contains(cluster)))
    }

    pub(crate) fn settle(&self) -> Duration {
        Duration::from_secs(self.settle_s.into())
    }
}

/// All ladders of a console; for an incident the first that is for it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladders {
    /// Of the format: 1.
    pub version: u32,
    /// In the order of their choice.
    #[serde(default, rename = "ladder")]
    pub ladders: Vec<Ladder>,
}

/// Why a text is no set of ladders.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct MalformedLadders(String);

/// What is done where nobody said anything else.
const BUILT_IN: &str = include_str!("ladders.toml");

impl Default for Ladders {
    fn default() -> Self {
        Self::parse(BUILT_IN).unwrap_or(Self { version: 1, ladders: Vec::new() })
    }
}

impl Ladders {
    /// Reads a text.
    ///
    /// # Errors
    /// [`MalformedLadders`]: it is no such text, or would do what makes no sense.
    pub fn parse(text: &str) -> Result<Self, MalformedLadders> {
        let malformed = |why: String| Err(MalformedLadders(why));
        if text.len() > BYTES_MAX {
            return malformed(format!("ladders have at most {BYTES_MAX} bytes"));
        }
        let ladders: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            let message = error.message().lines().collect::<Vec<_>>().join(" ");
            MalformedLadders(format!("line {line}: {message}"))
        })?;
        if ladders.version != 1 {
            return malformed(format!("version {} is not known, 1 is", ladders.version));
        }
        if ladders.ladders.len() > LADDERS_MAX {
            return malformed(format!("there are at most {LADDERS_MAX} ladders"));
        }
        for (place, ladder) in ladders.ladders.iter().enumerate() {
            if ladders.ladders[..place].iter().any(|other| other.name == ladder.name) {
                return malformed(format!("two ladders are called {}", ladder.name));
            }
            if let Err(why) = check(ladder) {
                return malformed(format!("ladder {}: {why}", ladder.name));
            }
        }
        Ok(ladders)
    }

    /// The text that reads back as these.
    ///
    /// # Panics
    /// Never: every value has a text.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| panic!("ladders without a text: {error}"))
    }

    pub(crate) fn choose(&self, kind: Kind, cluster: Option<&Name>) -> Option<&Ladder> {
        self.ladders.iter().find(|ladder| ladder.is_for(kind, cluster))
    }

    pub(crate) fn named(&self, name: &Name) -> Option<&Ladder> {
        self.ladders.iter().find(|ladder| ladder.name == *name)
    }
}

fn check(ladder: &Ladder) -> Result<(), String> {
    if ladder.steps.len() > STEPS_MAX {
        return Err(format!("a ladder has at most {STEPS_MAX} steps"));
    }
    if ladder.settle_s > SECONDS_MAX {
        return Err(format!("`settle_s` is at most {SECONDS_MAX}"));
    }
    for step in &ladder.steps {
        if !(1..=TIMES_MAX).contains(&step.times) || step.wait_s > SECONDS_MAX {
            return Err(format!("a step is done 1 to {TIMES_MAX} `times` and waits {SECONDS_MAX} s at most"));
        }
        if !step.to.is_empty() && step.remedy != Remedy::Notify {
            return Err(format!("`to` says who is told; {} tells nobody", step.remedy));
        }
        let engines_alone = !ladder.kinds.is_empty() && ladder.kinds.iter().all(|kind| is_of_engine(*kind));
        if step.remedy.is_of_engine() && !engines_alone {
            return Err(format!("{} is for the kinds of failures that engines have alone", step.remedy));
        }
        let uncertain =
            |kind: &Kind| matches!(kind, Kind::Unreachable | Kind::ConsoleInDoubt | Kind::DeliveryFailed);
        if step.remedy.destroys() && (ladder.kinds.is_empty() || ladder.kinds.iter().any(uncertain)) {
            return Err(format!("{} needs `kinds` that are certain of a failure", step.remedy));
        }
    }
    Ok(())
}

const fn is_of_engine(kind: Kind) -> bool {
    matches!(kind, Kind::EngineNotReady | Kind::EngineExited | Kind::EngineOutOfMemory | Kind::EngineHung)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let told = match Ladders::parse(text) {
            Ok(ladders) => {
                assert_eq!(Ladders::parse(&ladders.to_toml()), Ok(ladders.clone()));
                let steps = ladders.ladders.iter().map(|ladder| {
                    let steps: Vec<_> = ladder.steps.iter().map(|step| step.remedy.to_string()).collect();
                    format!("{}: {}", ladder.name, steps.join(", "))
                });
                steps.collect::<Vec<_>>().join("; ")
            }
            Err(malformed) => malformed.to_string(),
        };
        expected.assert_eq(&told);
    }

    #[test]
    fn the_built_in_ladders_are_right() {
        check(
            BUILT_IN,
            expect![
                "node-dead: notify, activate-spare; machine: notify; monitor: notify; engine: restart-engine, reload-image, notify; anything: notify"
            ],
        );
    }

    #[test]
    fn ladders_are_read_strictly() {
        let one = |kinds: &str, step: &str| {
            format!("version = 1\n[[ladder]]\nname = \"a\"\nkinds = [{kinds}]\n[[ladder.step]]\n{step}\n")
        };
        check(
            &one("\"node-dead\"", "do = \"reboot-node\"\ntimes = 2\nwait_s = 30"),
            expect!["a: reboot-node"],
        );
        check(
            &one("\"node-dead\"", "do = \"explode\""),
            expect![
                "line 6: unknown variant `explode`, expected one of `notify`, `restart-engine`, `reload-image`, `reboot-node`, `activate-spare`"
            ],
        );
        check(
            &one("\"node-dead\"", "do = \"restart-engine\""),
            expect!["ladder a: restart-engine is for the kinds of failures that engines have alone"],
        );
        check(
            &one("\"unreachable\"", "do = \"activate-spare\""),
            expect!["ladder a: activate-spare needs `kinds` that are certain of a failure"],
        );
        check(
            &one("", "do = \"reboot-node\""),
            expect!["ladder a: reboot-node needs `kinds` that are certain of a failure"],
        );
        check(
            &one("\"node-dead\"", "do = \"notify\"\ntimes = 0"),
            expect!["ladder a: a step is done 1 to 10 `times` and waits 86400 s at most"],
        );
        check(
            &one("\"node-dead\"", "do = \"reboot-node\"\nto = [\"ops\"]"),
            expect!["ladder a: `to` says who is told; reboot-node tells nobody"],
        );
        check("version = 2", expect!["version 2 is not known, 1 is"]);
        check(
            "version = 1\nladders = []",
            expect!["line 2: unknown field `ladders`, expected `version` or `ladder`"],
        );
        let twice = "[[ladder]]\nname = \"a\"\n".repeat(2);
        check(&format!("version = 1\n{twice}"), expect!["two ladders are called a"]);
        check(&" ".repeat(300_000), expect!["ladders have at most 262144 bytes"]);
    }

    #[test]
    fn hostile_ladders_are_none() {
        let step = |more: &str| {
            format!("version = 1\n[[ladder]]\nname = \"a\"\n[[ladder.step]]\ndo = \"notify\"\n{more}\n")
        };
        let many: String =
            (0..=LADDERS_MAX).map(|number| format!("[[ladder]]\nname = \"l{number}\"\n")).collect();
        let steps = "[[ladder.step]]\ndo = \"notify\"\n".repeat(STEPS_MAX + 1);
        assert!(Ladders::parse(&step("wait_s = 86400")).is_ok());
        for hostile in [
            step("times = 11"),
            step("times = -1"),
            step("times = 4294967297"),
            step("times = 1.0"),
            step("times = \"1\""),
            step("wait_s = 86401"),
            step("wait_s = 99999999999999999999"),
            step("more = 1"),
            step("to = [7]"),
            step("to = [\"ops\\u0000\"]"),
            step(&format!("to = {}{}", "[".repeat(2000), "]".repeat(2000))),
            step("do = \"notify\""),
            step("").replace("\"a\"", &format!("\"{}\"", "a".repeat(1000))),
            step("").replace("version = 1", "version = 4294967297"),
            step("").replace("name = \"a\"", "name = \"a\"\nsettle_s = 86401"),
            format!("version = 1\n{many}"),
            format!("version = 1\n[[ladder]]\nname = \"a\"\n{steps}"),
            "version = 1\n\0".to_owned(),
            String::new(),
        ] {
            assert!(Ladders::parse(&hostile).is_err(), "{}", &hostile[..hostile.len().min(200)]);
        }
    }
}
