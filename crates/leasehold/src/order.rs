//! `leasehold order …`: orders are written, signed and shown here, for a node that gets them by `bmonitor order`; or a
//! console signs and sends them.

mod console;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use id::{Digest, Epoch, KeyId, LeaseId, NodeId, Nonce, PublicKey, Sequence, TierId, Time};
use journal::{OBJECT_BYTES_MAX, Object};
use keys::{Addressee, ENVELOPE_BYTES_MAX, Envelope, NodeRecord as _, PayloadType, SealedOrder, Statement};
use serde_json::{Map, Value, json};
use tenure::Order;

use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::Reach;
use crate::receipt::NodeKey;
use crate::{file, key};

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List the orders that a console signed, the oldest first
    List(Reach),
    /// Have a console sign an order and a node obey it
    Submit(Box<Submitting>),
    /// Write an order's payload (docs/orders.md lists the verbs and their arguments)
    New(Box<New>),
    /// Sign a payload
    Sign(Sign),
    /// Show what an envelope says and whose it is, or what became of a console's order
    Show(Show),
    /// Seal a signed order for its tier on the node: who carries it cannot read it
    Seal(Seal),
    /// Make the object that an order names: a file with its salt before it
    Object(Content),
}

/// The parts of an order.
#[derive(Args)]
#[command(group = ArgGroup::new("fresh").required(true))]
pub(crate) struct New {
    /// What is to be done: `boundary`, `sever`, …
    verb: String,
    /// The node's key id
    #[arg(long)]
    node: NodeId,
    /// Your tier's lease; for the root, its enrolment
    #[arg(long)]
    lease: LeaseId,
    /// Your tier
    #[arg(long)]
    tier: TierId,
    /// Your tier's epoch
    #[arg(long, value_parser = counter::<Epoch>)]
    epoch: Epoch,
    /// A number higher than any that your key has used on this node
    #[arg(long, value_parser = counter::<Sequence>)]
    seq: Sequence,
    /// Not to be obeyed at this time or later, as 2026-01-31T12:00:00Z
    #[arg(long, group = "fresh")]
    not_after: Option<Time>,
    /// A nonce that the node gave: then no clock is needed
    #[arg(long, group = "fresh")]
    nonce: Option<Nonce>,
    /// The leader term of a redundant console
    #[arg(long)]
    term: Option<u64>,
    /// The verb's arguments, as JSON
    #[arg(long, default_value = "{}")]
    args: String,
}

/// A payload to sign.
#[derive(Args)]
pub(crate) struct Sign {
    /// The payload's file
    payload: PathBuf,
    /// The key file to sign with
    #[arg(long)]
    key: PathBuf,
    /// Write the envelope to this new file, not to stdout
    #[arg(long)]
    out: Option<PathBuf>,
}

/// An envelope or an order to show.
#[derive(Args)]
pub(crate) struct Show {
    /// The envelope's file; or, as sha256:…, the digest of one that a console signed
    #[arg(add = crate::complete::orders())]
    envelope: PathBuf,
    /// Check that this public key has signed it
    #[arg(long)]
    key: Option<PublicKey>,
    #[command(flatten)]
    reach: Reach,
}

/// An order through a console.
#[derive(Args)]
pub(crate) struct Submitting {
    /// The node, by name or key id
    #[arg(add = crate::complete::nodes())]
    node: String,
    /// What is to be done: `boundary`, `suspend`, …
    verb: String,
    /// The verb's arguments, as JSON
    #[arg(long, default_value = "{}")]
    args: String,
    /// By which of the console's tiers; may be left out where it has one there
    #[arg(long)]
    tier: Option<TierId>,
    /// An object that the order names (`order object` makes one); several times for several
    #[arg(long = "object")]
    objects: Vec<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

/// An order to seal.
#[derive(Args)]
pub(crate) struct Seal {
    /// The signed order's file
    envelope: PathBuf,
    /// The node's statement about the tier, in its present epoch
    #[arg(long)]
    statement: PathBuf,
    /// The node that must have signed the statement: its public key or key id
    #[arg(long)]
    node_key: NodeKey,
    /// Write the sealed order to this new file, not to stdout
    #[arg(long)]
    out: Option<PathBuf>,
}

/// A content to make an object of.
#[derive(Args)]
pub(crate) struct Content {
    /// The content's file
    content: PathBuf,
    /// Write the object to this new file
    #[arg(long)]
    out: PathBuf,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::List(reach) => console::list(reach),
        Verb::Submit(submitting) => console::submit(submitting),
        Verb::New(parts) => new(parts),
        Verb::Sign(sign) => self::sign(sign),
        Verb::Show(show) => self::show(show),
        Verb::Seal(seal) => self::seal(seal),
        Verb::Object(content) => object(content),
    }
}

fn new(parts: &New) -> Result<Exit, Failure> {
    let args: Value = serde_json::from_str(&parts.args)
        .map_err(|error| Failure::new(Exit::Usage, format!("--args is no JSON: {error}")))?;
    let mut payload = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            payload.insert(key.to_owned(), value);
        }
    };
    put("node", Some(json!(parts.node)));
    put("lease", Some(json!(parts.lease)));
    put("tier", Some(json!(parts.tier)));
    put("epoch", Some(json!(parts.epoch)));
    put("seq", Some(json!(parts.seq)));
    put("not_after", parts.not_after.map(|time| json!(time)));
    put("nonce", parts.nonce.map(|nonce| json!(nonce)));
    put("term", parts.term.map(|term| json!(term)));
    put("verb", Some(json!(parts.verb)));
    put("args", Some(args));
    let order = parse(Value::Object(payload).to_string().as_bytes(), "the command line")?;
    line(&order.to_json());
    Ok(Exit::Ok)
}

fn sign(sign: &Sign) -> Result<Exit, Failure> {
    let payload = file::read(&sign.payload, ENVELOPE_BYTES_MAX)?;
    parse(&payload, &sign.payload.display().to_string())?;
    let envelope = Envelope::sign(PayloadType::Order, payload, &key::read(&sign.key)?).to_json();
    match &sign.out {
        Some(out) => file::write_new(out, format!("{envelope}\n").as_bytes(), 0o644)?,
        None => line(&envelope),
    }
    Ok(Exit::Ok)
}

/// The key comes out of a statement that the node has signed: whoever sealed for another's key would tell the
/// carrier what they hide.
fn seal(seal: &Seal) -> Result<Exit, Failure> {
    let path = seal.statement.display();
    let refused = |why: String| Failure::new(Exit::Refused, format!("{path}: {why}"));
    let statement = file::read(&seal.statement, ENVELOPE_BYTES_MAX)?;
    let statement =
        Statement::verify(statement.trim_ascii(), None).map_err(|invalid| refused(file::chain(&invalid)))?;
    if !seal.node_key.is(statement.node) {
        return Err(refused(format!("it is by node {}", statement.node)));
    }
    let key = statement.sealing.ok_or_else(|| refused("it has no key to seal for".to_owned()))?;
    let order = file::read(&seal.envelope, ENVELOPE_BYTES_MAX)?;
    let sealed = SealedOrder::seal(order.trim_ascii_end(), &key).map_err(|error| {
        Failure::new(Exit::Usage, format!("{}: {}", seal.envelope.display(), file::chain(&error)))
    })?;
    let Addressee { node, tier, epoch } = sealed.outside().addressee;
    if (node, tier, epoch) != (statement.node, statement.tier, statement.epoch) {
        return Err(refused(format!("the order is for tier {tier} in epoch {epoch} of node {node}")));
    }
    let sealed = sealed.to_json();
    match &seal.out {
        Some(out) => file::write_new(out, format!("{sealed}\n").as_bytes(), 0o644)?,
        None => line(&sealed),
    }
    Ok(Exit::Ok)
}

fn show(show: &Show) -> Result<Exit, Failure> {
    if let Some(order) = show.envelope.to_str().filter(|text| text.starts_with("sha256:")) {
        return console::show(order, &show.reach);
    }
    let bytes = file::read(&show.envelope, ENVELOPE_BYTES_MAX)?;
    let path = show.envelope.display();
    let envelope = Envelope::parse(bytes.trim_ascii_end())
        .map_err(|error| Failure::new(Exit::Usage, format!("{path}: {}", file::chain(&error))))?;
    let payload = String::from_utf8_lossy(envelope.unverified_payload());
    let payload: Value = serde_json::from_str(&payload)
        .map_err(|error| Failure::new(Exit::Usage, format!("{path}: the payload is no JSON: {error}")))?;
    let verified = show.key.map(|key| envelope.verify(&key));
    let answer = json!({
        "type": envelope.payload_type().as_str(),
        "signers": envelope.signers().collect::<Vec<_>>(),
        "verified": verified.as_ref().map(Result::is_ok),
        "payload": payload,
    });
    match show.reach.output {
        Format::Json => line(&answer.to_string()),
        Format::Text => {
            let verified = verified.and_then(Result::ok).map(|verified| verified.signer);
            line(&told(&envelope, &payload, verified));
        }
    }
    match verified {
        Some(Err(unverified)) => Err(Failure::new(Exit::NotAuthenticated, unverified.to_string())),
        Some(Ok(_)) | None => Ok(Exit::Ok),
    }
}

fn told(envelope: &Envelope, payload: &Value, verified: Option<KeyId>) -> String {
    let mut lines = vec![envelope.payload_type().to_string()];
    for signer in envelope.signers() {
        let checked = if verified == Some(signer) { "verified" } else { "not checked" };
        lines.push(format!("signed by {signer} ({checked})"));
    }
    lines.push(format!("{payload:#}"));
    lines.join("\n")
}

fn object(content: &Content) -> Result<Exit, Failure> {
    let bytes = file::read(&content.content, OBJECT_BYTES_MAX)?;
    let salt = os::random::bytes()
        .map_err(|error| Failure::new(Exit::Failed, format!("no salt was drawn: {error}")))?;
    let object = Object::new(salt, &bytes).map_err(|error| Failure::new(Exit::Usage, file::chain(&error)))?;
    file::write_new(&content.out, object.as_bytes(), 0o600)?;
    line(&Digest::of(object.as_bytes()).to_string());
    Ok(Exit::Ok)
}

fn parse(payload: &[u8], from: &str) -> Result<Order, Failure> {
    Order::parse(payload).map_err(|error| {
        Failure::new(Exit::Usage, format!("{from}: no order: {error}"))
            .hint("docs/orders.md has an example of each verb")
    })
}

/// A counter on the command line.
fn counter<T: TryFrom<u64, Error = &'static str>>(text: &str) -> Result<T, String> {
    let number: u64 = text.parse().map_err(|error: std::num::ParseIntError| error.to_string())?;
    T::try_from(number).map_err(str::to_owned)
}
