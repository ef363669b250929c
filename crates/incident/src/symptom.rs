//! What is perceived, and of whom.

use std::fmt;

use id::{Name, NodeId, Time};
use serde::{Deserialize, Serialize};

/// What shows the symptom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Subject {
    /// A node.
    Node(NodeId),
    /// An engine on a node, in this console's tier.
    Engine {
        /// The node.
        node: NodeId,
        /// The engine.
        engine: Name,
    },
    /// One who is told of incidents.
    Receiver(Name),
    /// The console itself.
    Console,
}

impl Subject {
    /// On which node it is.
    #[must_use]
    pub const fn node(&self) -> Option<NodeId> {
        match self {
            Self::Node(node) | Self::Engine { node, .. } => Some(*node),
            Self::Receiver(_) | Self::Console => None,
        }
    }
}

/// What is wrong. In the order of gravity: a later one can be the cause of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Somebody cannot be told of incidents.
    DeliveryFailed,
    /// An engine runs and is not ready to serve.
    EngineNotReady,
    /// An engine ended without being asked to.
    EngineExited,
    /// An engine was killed because it used more memory than it has.
    EngineOutOfMemory,
    /// An engine did not feed its watchdog.
    EngineHung,
    /// The network hardware answered a challenge wrongly, or too late.
    Network,
    /// The disk did.
    Disk,
    /// The memory did.
    Memory,
    /// The processor did.
    Processor,
    /// The machine answers, its monitor does not.
    MonitorHung,
    /// Nothing answers, and that may be this console's own fault.
    Unreachable,
    /// Nothing answers.
    NodeDead,
    /// So many nodes are silent at once that the fault may be this console's own.
    ConsoleInDoubt,
}

/// Whose business it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The landlord's: the machine.
    Hardware,
    /// The tenant's: what runs on it.
    Software,
    /// The console's own.
    Own,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::DeliveryFailed,
        Self::EngineNotReady,
        Self::EngineExited,
        Self::EngineOutOfMemory,
        Self::EngineHung,
        Self::Network,
        Self::Disk,
        Self::Memory,
        Self::Processor,
        Self::MonitorHung,
        Self::Unreachable,
        Self::NodeDead,
        Self::ConsoleInDoubt,
    ];

    /// Whose business it is. A silent node is the business of both: of whom, the console says by the tier that it
    /// has there.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::EngineNotReady | Self::EngineExited | Self::EngineOutOfMemory | Self::EngineHung => {
                Class::Software
            }
            Self::Network
            | Self::Disk
            | Self::Memory
            | Self::Processor
            | Self::MonitorHung
            | Self::Unreachable
            | Self::NodeDead => Class::Hardware,
            Self::DeliveryFailed | Self::ConsoleInDoubt => Class::Own,
        }
    }

    /// Whether it explains every symptom of an engine on the same node.
    pub(crate) const fn explains_engines(self) -> bool {
        matches!(self, Self::MonitorHung | Self::Unreachable | Self::NodeDead)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeliveryFailed => "delivery-failed",
            Self::EngineNotReady => "engine-not-ready",
            Self::EngineExited => "engine-exited",
            Self::EngineOutOfMemory => "engine-out-of-memory",
            Self::EngineHung => "engine-hung",
            Self::Network => "network",
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Processor => "processor",
            Self::MonitorHung => "monitor-hung",
            Self::Unreachable => "unreachable",
            Self::NodeDead => "node-dead",
            Self::ConsoleInDoubt => "console-in-doubt",
        })
    }
}

/// One symptom, as it was perceived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symptom {
    /// Who shows it.
    pub subject: Subject,
    /// What is wrong.
    pub kind: Kind,
    /// What is known of it, for people: lower case, no full stop.
    pub detail: String,
    /// The cluster of its node, where it has one: ladders differ by it.
    pub cluster: Option<Name>,
    /// Since when.
    pub at: Time,
}
