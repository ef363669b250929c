//! Incidents, what is tried for them, and who is told.

use id::{Name, NodeId, Time};
use incident::{Acknowledged, Entry, Kind, Ladders, Phase, Seen, Severity};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// One cause of trouble, with all its symptoms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// `INC-318`: what every receiver knows it by.
    pub number: String,
    /// `warning` or `critical`.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// In one word.
    pub state: IncidentState,
    /// Who has the trouble: `node n17`, `engine web on n17`.
    pub about: String,
    /// The node, where it is one's.
    #[schema(value_type = Option<String>)]
    pub node: Option<NodeId>,
    /// What the trouble is: `node-dead`.
    #[schema(value_type = String)]
    pub cause: Kind,
    /// The same in words.
    pub detail: String,
    /// The cluster of its node.
    #[schema(value_type = Option<String>)]
    pub cluster: Option<Name>,
    /// Since when.
    #[schema(value_type = String)]
    pub opened: Time,
    /// By which ladder it is dealt with.
    #[schema(value_type = Option<String>)]
    pub ladder: Option<Name>,
    /// Where on the ladder it is.
    #[schema(value_type = Object)]
    pub phase: Phase,
    /// Who took it over, and until when.
    #[schema(value_type = Option<Object>)]
    pub acknowledged: Option<Acknowledged>,
    /// Its symptoms, the cause among them.
    #[schema(value_type = Vec<Object>)]
    pub symptoms: Vec<Seen>,
    /// Symptoms past those listed.
    pub unlisted: u32,
    /// What happened.
    #[schema(value_type = Vec<Object>)]
    pub timeline: Vec<Entry>,
    /// Lines that were left out of the timeline's middle.
    pub left_out: u32,
}

/// How far an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentState {
    /// The console does something about it.
    Acting,
    /// The console has done what its ladder says: a person is needed.
    NeedsPerson,
    /// A person has it.
    Acknowledged,
    /// All symptoms are gone; it is over if they stay away.
    Settling,
    /// It is over.
    Resolved,
}

/// Which incidents are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct IncidentQuery {
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most this many; 100 when left out, 1000 at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u16>,
    /// Also those that are over.
    #[serde(default)]
    pub all: bool,
}

/// A person takes an incident over: nobody is told of it, and nothing more is tried, until the time is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// What they are about to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// For how long: 1 to 1440 minutes.
    pub minutes: u16,
}

/// What is tried for which incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LadderSet {
    /// As TOML: the format of the file that is applied.
    pub text: String,
    /// Whether it is what the console does where nobody said anything else.
    pub built_in: bool,
    /// The same, understood.
    #[schema(value_type = Object)]
    pub ladders: Ladders,
}

/// Ladders that are to count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLadders {
    /// As TOML; none: those that are built in.
    pub text: Option<String>,
}

/// One who is told of incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyReceiver {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// How it is reached, without secrets.
    pub reached_by: String,
    /// How many messages wait for it.
    pub pending: u32,
    /// Attempts in vain since the last that was not.
    pub failing: u32,
}

/// Who is to get a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyTest {
    /// Who; none: all.
    #[schema(value_type = Option<String>)]
    pub receiver: Option<Name>,
}

/// One message to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifyDelivery {
    /// The message's id: the same however often it is sent.
    pub id: String,
    /// To whom.
    #[schema(value_type = String)]
    pub receiver: Name,
    /// Of which incident; none: a test.
    pub incident: Option<String>,
    /// What stands in a mail's head.
    pub subject: String,
    /// Since when.
    #[schema(value_type = String)]
    pub at: Time,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// How often it was tried.
    pub tried: u32,
    /// What came of the last attempt.
    pub told: Option<String>,
    /// When that was.
    #[schema(value_type = Option<String>)]
    pub tried_at: Option<Time>,
}
