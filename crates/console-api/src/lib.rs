//! The console's API for people and programs: types, a noun a file, and a client.
//!
//! What stands here is the whole of the interface: the server answers with these types, the client reads
//! them, `leasehold … -o json` prints them, and `openapi/console.json` describes them. Names of operations
//! are noun and verb (`node_list`); long lists come in pages whose `next` is the key to go on after.
#![forbid(unsafe_code)]

mod boundary;
mod client;
mod console;
mod contract;
mod dhcp;
mod directory;
mod engine;
mod incident;
mod lease;
mod node;
mod order;
mod page;
mod people;
mod problem;
mod spare;
mod statement;
mod volume;

pub use boundary::{
    BoundaryChange, BoundaryDenials, BoundaryExplained, BoundaryPlan, BoundaryQuestion, BoundaryShown,
    BoundaryTarget, DenialsQuestion, Matrix, MatrixPair, MatrixQuestion, MatrixRealm, Replay, ReplayQuestion,
    ReplayedFlow, ReplayedRealm,
};
pub use client::{Address, Client, Failed, MalformedAddress};
pub use console::{Console, ConsoleAt, Identity};
pub use contract::{Contract, Offer, OfferedLease, Version};
pub use dhcp::{Dhcp, DhcpClass, DhcpLease, DhcpReport, DhcpStanding};
pub use directory::{Directory, DirectoryPublished, DirectoryPush, NewDirectory};
pub use engine::{
    Engine, EngineAct, EngineAction, EngineDeploy, EngineDone, EngineOutput, EngineTarget, Image, ImagePart,
};
pub use incident::{
    Acknowledge, Incident, IncidentQuery, IncidentState, LadderSet, NewLadders, NotifyDelivery,
    NotifyReceiver, NotifyTest,
};
pub use lease::{
    Check, Consent, Consented, Direction, EraseBelow, ErasesBelow, Grant, Granted, Lease, LeasePlan,
    NotGranted, Reassign, Renew, Sever, Severed, SeveredLease, Take, Taken, TakenLease, TreeTier, Trust,
};
pub use node::{Confirm, Enrolment, Lock, Node, NodeState, NodeTier, OpenWindow, Stranger, TierState};
pub use order::{Accepted, NewOrder, Order, OrderState};
pub use page::{Page, PageQuery};
pub use people::{AuditEntry, AuditOutcome, AuditQuery, NewUser, Role, User, UserToken, Whoami};
pub use problem::{Exit, Problem};
pub use spare::{NewSpare, Spare, SpareActivated, SpareState, Standby};
pub use statement::{Document, DocumentKind, Documents, TakeReceipt};
pub use volume::{NewVolume, Volume, VolumePlan, VolumeRemove, VolumeTarget};
