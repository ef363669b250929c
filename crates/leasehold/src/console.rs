//! `leasehold console …`: makes, runs and shows a console.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use console_api::{Console, Identity};
use console_server::{Failed, Init, Ready, World};
use id::{Name, PublicKey, Time};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::file;
use crate::output::{Format, line, warning};
use crate::reach::Reach;

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make a console's folder, with its keys
    Init(Start),
    /// Run the console of a folder, until it is asked to end
    Run {
        /// The folder that `init` made
        folder: PathBuf,
    },
    /// Show which console answers
    Show(Reach),
    /// Print what another party must know to lease nodes to this one
    Identity(Reach),
}

/// A new console.
#[derive(Args)]
pub(crate) struct Start {
    /// A new folder, or an empty one
    folder: PathBuf,
    /// The party's name
    #[arg(long)]
    name: Name,
    /// Where nodes dial, which must reach it; one on the loopback is dialled by this machine alone
    #[arg(long, default_value = "127.0.0.1:7443")]
    listen: SocketAddr,
    /// What enrolments and leases say of that, where it is something else; several times for several
    #[arg(long = "address")]
    addresses: Vec<SocketAddr>,
    /// Where requests are answered, beside the socket in the folder (with the token of admin.token)
    #[arg(long)]
    api: Option<SocketAddr>,
    /// Answer there off the loopback, too, though whoever is on the way reads tokens and answers
    #[arg(long, requires = "api")]
    unencrypted: bool,
    /// A further socket, which everybody on this machine may open; `user add --uid` says who they are
    #[arg(long)]
    socket: Option<PathBuf>,
    /// A further controller key of the party, which this console does not hold; several times for several
    #[arg(long = "controller")]
    controllers: Vec<PublicKey>,
    /// The addresses from which realms get theirs, as 10.1.0.10-10.1.255.254
    #[arg(long)]
    realms: Option<String>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Init(start) => init(start),
        Verb::Run { folder } => serve(folder),
        Verb::Show(reach) => show(reach),
        Verb::Identity(reach) => identity(reach),
    }
}

/// What a console takes from this machine.
const WORLD: World = World { random: os::random::bytes, now, tell };

fn now() -> Time {
    Time::ZERO.plus(os::clock::wall())
}

/// A console goes on when nobody listens to it any more.
fn tell(told: &str) {
    drop(writeln!(std::io::stderr(), "{told}"));
}

fn init(start: &Start) -> Result<Exit, Failure> {
    let Start { folder, name, listen, addresses, api, unencrypted, socket, controllers, realms, output } =
        start;
    let wanted = Init {
        name: name.clone(),
        listen: *listen,
        addresses: addresses.clone(),
        api: *api,
        unencrypted: *unencrypted,
        socket: socket.clone(),
        controllers: controllers.clone(),
        realms: realms.clone(),
    };
    let made = console_server::init(folder, &wanted, &WORLD).map_err(failure)?;
    match output {
        Format::Text => line(&format!(
            "console {name} in {}\nchannel key     {}\ncontroller key  {}\ndirectory key   {}",
            folder.display(),
            made.channel,
            made.controller,
            made.directory
        )),
        Format::Json => line(
            &json!({
                "name": name,
                "folder": folder,
                "channel": made.channel,
                "controller": made.controller,
                "directory": made.directory,
            })
            .to_string(),
        ),
    }
    warn_of_loopback(if addresses.is_empty() { std::slice::from_ref(listen) } else { addresses });
    Ok(Exit::Ok)
}

/// Told at once: a node says it only when it is leased, by refusing the lease.
fn warn_of_loopback(dialled: &[SocketAddr]) {
    if let Some(address) = dialled.iter().find(|address| address.ip().is_loopback()) {
        let what =
            format!("no other machine dials {address}, and no node dials the console of a tenant there");
        warning(&what, "write an address that nodes reach into console.toml: listen = \"10.0.0.2:7443\"");
    }
}

fn serve(folder: &std::path::Path) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failure::new(Exit::Failed, format!("no runtime was started: {error}")))?;
    let ready = |ready: &Ready| tell(&format!("console {} answers at {}", ready.name, ready.api.join(", ")));
    runtime.block_on(console_server::run(folder, WORLD, ready)).map_err(failure)?;
    tell("ended");
    Ok(Exit::Ok)
}

fn failure(failed: Failed) -> Failure {
    let told = file::chain(&failed);
    let exit = match failed {
        Failed::Missing { .. } => Exit::NotFound,
        Failed::Folder { .. } => Exit::Usage,
        Failed::Act { .. } => Exit::Failed,
    };
    match failed.hint() {
        Some(hint) => Failure::new(exit, told).hint(hint),
        None => Failure::new(exit, told),
    }
}

fn show(reach: &Reach) -> Result<Exit, Failure> {
    let console: Console = reach.ask(async |client| client.get("/v1/console").await)?;
    match reach.output {
        Format::Json => line(&json!(console).to_string()),
        Format::Text => line(&format!(
            "console {}, version {}\nnodes dial      {} at {}\ndirectory key   {}\nnodes           {}, {} connected",
            console.name,
            console.version,
            console.channel.key,
            console.channel.addresses.join(", "),
            console.directory,
            console.nodes,
            console.connected,
        )),
    }
    Ok(Exit::Ok)
}

/// The answer is a file to be handed over: the same for people and programs.
fn identity(reach: &Reach) -> Result<Exit, Failure> {
    let identity: Identity = reach.ask(async |client| client.get("/v1/console/identity").await)?;
    match reach.output {
        Format::Json => line(&json!(identity).to_string()),
        Format::Text => line(&format!("{:#}", json!(identity))),
    }
    Ok(Exit::Ok)
}
