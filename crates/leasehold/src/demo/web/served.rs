//! An engine is deployed on an encrypted volume; its page comes to the outside as it is, and the medium shows nothing.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use console_api::Engine;
use id::Time;
use lab::Failed;
use serde_json::json;

use super::medium::{Medium, finds};
use super::{ENGINE, LADDERS, PORT, SPECIFICATION, VOLUME, image};
use crate::demo::show::Evidence;
use crate::demo::world::{CONSOLE_A, PATIENCE, TENANT_A, World};

const BYTES: usize = 1_000_000;
/// Longer than it takes to send a connection's first packet again.
const A_TRY: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(5);

/// What the engine serves: each line has a word that stands nowhere else in the world.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    word: String,
    text: Vec<u8>,
}

impl Page {
    fn new() -> Result<Self, Failed> {
        let random = os::random::bytes::<16>().map_err(|error| Failed::new("write a page", error))?;
        let word = format!("{:032x}", u128::from_ne_bytes(random));
        let lines = (1..).map(|number: u32| format!("{number} {word}\n").into_bytes());
        let text = lines.flatten().take(BYTES).collect();
        Ok(Self { word, text })
    }

    /// The word that is looked for.
    pub(crate) fn word(&self) -> &str {
        &self.word
    }
}

impl World<'_> {
    /// The page that the tenant's engine serves.
    pub(super) fn page(&self) -> Result<&Page, Failed> {
        self.page.as_ref().ok_or_else(|| Failed::new("go on", "there is no engine"))
    }

    /// Where the tenant's engine serves on a node.
    pub(crate) fn web(&self, place: usize) -> Result<SocketAddr, Failed> {
        self.at(place, TENANT_A, PORT)
    }

    /// One request from outside, answered with anything.
    pub(crate) fn page_served_once(&self, from: SocketAddr) -> Result<Option<Vec<u8>>, Failed> {
        let got = self.facility()?.namespace("internet")?.run(move || fetch(from));
        Ok(got.map_err(|failed| Failed::new("enter a namespace", failed))?.ok())
    }

    /// Waits until the outside client is given the page from there, whole; how long that took.
    pub(crate) fn page_served(&self, from: SocketAddr) -> Result<Duration, Failed> {
        let (page, internet) = (self.page()?, self.facility()?.namespace("internet")?);
        let (began, deadline) = (Instant::now(), Instant::now() + PATIENCE);
        loop {
            let got = internet
                .run(move || fetch(from))
                .map_err(|failed| Failed::new("enter a namespace", failed))?;
            match got {
                Ok(text) if text == page.text => return Ok(began.elapsed()),
                Ok(text) if !text.is_empty() => {
                    let why = format!("{} bytes came, and not the page", text.len());
                    return Err(Failed::new(format!("get the page from {from}"), why));
                }
                Err(error) if Instant::now() > deadline => {
                    return Err(Failed::new(format!("get the page from {from}"), error));
                }
                Ok(_) | Err(_) => {}
            }
            os::poll::wait(&[], Some(LOOK)).map(drop).map_err(|error| Failed::new("wait", error))?;
        }
    }
}

/// One request. An answer that was broken off is none.
fn fetch(from: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&from, A_TRY)?;
    stream.set_read_timeout(Some(A_TRY))?;
    stream.write_all(b"GET /page HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head =
        answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let text = answer.split_off(head + 4);
    if text.len() < BYTES { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(text) }
}

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let page = Page::new()?;
    let console = world.console(CONSOLE_A)?;
    let built = image::build(&page.text)?;
    let tar = console.folder().join("web.tar");
    fs::write(&tar, &built).map_err(|error| Failed::new("write an image", error))?;
    console.write("web.toml", SPECIFICATION)?;
    console.write("ladders.toml", LADDERS)?;
    let does = |arguments: &[&str]| -> Result<(), Failed> {
        let said = console.run(arguments)?;
        let act = || format!("do as {TENANT_A}: leasehold {}", arguments.join(" "));
        if said.exit == 0 { Ok(()) } else { Err(Failed::new(act(), said.talk.trim_end())) }
    };
    does(&["ladder", "apply", "ladders.toml"])?;
    for node in ["n1", "n3"] {
        does(&["volume", "make", VOLUME, "--size-mib", "64", "--node", node])?;
    }
    evidence.check("the tenant makes an encrypted volume on n1 and on n3", true);
    does(&["engine", "deploy", "web.toml", "--image", "web.tar", "--node", "n1", "--node", "n3"])?;
    let mib = built.len() / 1_048_576;
    evidence.check(
        format!("and deploys {ENGINE:?} on both: busybox's web server and perl, an image of {mib} MiB"),
        true,
    );
    world.page = Some(page);
    for place in [0, 2] {
        let from = world.web(place)?;
        world.page_served(from)?;
        evidence.check(
            format!("the outside client gets the page from {from}: {BYTES} bytes, each as it is"),
            true,
        );
    }
    on_the_medium(world, evidence)?;
    watched(world, evidence)?;
    evidence.fact("image_bytes", json!(built.len()));
    evidence.fact("page_bytes", json!(BYTES));
    Ok(())
}

/// The tenant's console hears of its engine each second. What it has heard twice, it has looked at once.
fn watched(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let tenant = world.desk(CONSOLE_A)?;
    let runs_since = |after: Option<Time>| -> Result<Option<Time>, Failed> {
        let on_n1 = |engine: &&Engine| engine.node_name == "n1";
        let runs = |engine: &Engine| engine.status.as_ref().is_some_and(|status| status.ready);
        let later = |engine: &Engine| runs(engine) && engine.status_at > after;
        let wanted = |all: &console_api::Page<Engine>| all.items.iter().find(on_n1).is_some_and(later);
        let all = tenant.until("/v1/engines", wanted)?;
        Ok(all.items.iter().find(on_n1).and_then(|engine| engine.status_at))
    };
    let first = runs_since(None)?;
    runs_since(first)?;
    evidence.check("the tenant's console hears each second that it runs", true);
    Ok(())
}

/// The page is in the volume, and nowhere on what a thief of the disk would have.
fn on_the_medium(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let (medium, word) = (Medium::of(world, 0)?, world.page()?.word());
    evidence.check(
        "`grep` finds the page's text in the open volume, from within the node",
        finds(word, &medium.open)?,
    );
    evidence.check(
        format!("and not in the volume's image of {} MiB, which is all that is on the disk", medium.mib()?),
        !finds(word, &medium.image)?,
    );
    evidence
        .check(format!("nor on its block device {}", medium.device.display()), !finds(word, &medium.device)?);
    Ok(())
}
