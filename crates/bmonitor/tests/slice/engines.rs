//! Engines on a real node: a web server that is deployed, serves a page through the filters, comes back after
//! whatever dies, and ends with its tier.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use id::{Digest, TierId};
use lab::{Door, Garbage, Object};
use node_protocol::call::{Call, EngineExit, EngineState, EngineStatus};
use tenure::{Engine, EngineAction, NewVolume, SizeMib, Verb};

use crate::couriers::Tenancy;
use crate::world::{SOON, TENANT, World, at};

const PAGE_BYTES: usize = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a connection that nobody answers takes to be tried again.
const A_TRY: Duration = Duration::from_secs(2);
/// More than a shim's streams at once.
const GARBAGE_ROWS: usize = 40;
const LOOK: Duration = Duration::from_millis(10);

pub(crate) fn serves_and_comes_back() {
    let mut tenancy = Tenancy::begin();
    let tier = tenancy.tier;
    let page: Vec<u8> = (0..PAGE_BYTES).map(|number| u8::try_from(number * 7 % 251).unwrap()).collect();
    let image = image(&page);
    // Without its volume nothing is taken and nothing starts.
    deploy(&mut tenancy, &image, "always");
    let waits = engine(&tenancy, |engine| engine.state == EngineState::Waiting);
    assert_eq!(waits.reason.as_deref(), Some("no-volume"));
    volume(&mut tenancy);
    engine(&tenancy, |engine| engine.reason.as_deref() == Some("image-missing"));
    push(&tenancy, tier, &image);
    tenancy.tenant_orders(order(EngineAction::Restart));
    let first = engine(&tenancy, |engine| engine.state == EngineState::Running);
    assert_eq!((first.restarts, first.reason, first.ready), (0, None, true));
    assert_eq!(served(&tenancy), page);

    crate::rights::compare(crate::rights::the_one(&tenancy.world, "shim"), "shim");

    garbage_harms_nothing(&tenancy);
    assert_eq!(served(&tenancy), page);

    // Nobody above sees it.
    let status = tenancy.landlord.status_with(&tenancy.landlords, |_| true);
    assert!(status.tiers.iter().all(|tier| tier.engines.is_empty()));

    // A supervisor that dies takes no engine along, and the next starts none twice.
    let before = shims(&tenancy);
    assert_eq!(before.len(), 1);
    tenancy.world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    assert_eq!(served(&tenancy), page);
    tenancy.world.start(0, &[]);
    tenancy.world.settled(0);
    tenancy.tenants = tenancy.tenant.link();
    tenancy.landlords = tenancy.landlord.link();
    let found = engine(&tenancy, |engine| engine.state == EngineState::Running);
    assert_eq!((shims(&tenancy), found.restarts), (before, 0));

    // An engine that is killed is served again, from another run.
    let began = Instant::now();
    kill_program(&tenancy.world, 0);
    let again = engine(&tenancy, |engine| engine.state == EngineState::Running && engine.restarts == 1);
    assert!(again.last_exit.is_some());
    assert_eq!(served(&tenancy), page);
    assert!(began.elapsed() < PATIENCE);

    // Whatever the supervisor dies at, one run comes of it.
    for step in ["engine:ended", "engine:asked", "engine:launched"] {
        tenancy.world.facility.nodes_mut()[0].kill_supervisor().unwrap();
        let before = shims(&tenancy);
        tenancy.world.start(0, &["--die-at", step]);
        let standing = tenancy.world.standing_now(0, TENANT);
        let restart = tenancy.world.tenant.order(&standing, order(EngineAction::Restart));
        tenancy.world.facility.nodes()[0].submit(&restart, &[]).unwrap().accepted();
        tenancy.world.facility.nodes_mut()[0].supervisor_ended(PATIENCE).unwrap();
        tenancy.world.start(0, &[]);
        tenancy.world.settled(0);
        tenancy.tenants = tenancy.tenant.living_link();
        tenancy.landlords = tenancy.landlord.living_link();
        engine(&tenancy, |engine| engine.state == EngineState::Running);
        // One that was started for nobody ends by itself.
        becomes(step, || shims(&tenancy).len() == 1);
        assert_ne!(shims(&tenancy), before, "{step}");
        assert_eq!(served(&tenancy), page);
    }

    tenancy.tenant_orders(order(EngineAction::Stop));
    engine(&tenancy, |engine| engine.state == EngineState::Stopped);
    assert!(shims(&tenancy).is_empty());
    tenancy.tenant_orders(order(EngineAction::Reload));
    engine(&tenancy, |engine| engine.state == EngineState::Running);
    assert_eq!(served(&tenancy), page);

    tenancy.sever();
    tenancy.world.settled(0);
    assert!(shims(&tenancy).is_empty());
    let own = crate::returns::home_of_groups(&tenancy.world.facility.plan().prefix);
    becomes("no control group is left", || {
        fs::read_dir(&own).into_iter().flatten().all(|entry| entry.unwrap().path().is_file())
    });
}

/// At every socket that has a name on the node, a shim's among them.
fn garbage_harms_nothing(tenancy: &Tenancy) {
    tenancy.world.settled(0);
    let (facility, before) = (&tenancy.world.facility, shims(tenancy));
    let running = facility.running("n1").unwrap();
    let doors = facility.throw_garbage("n1", &mut Garbage::new(20_261_131), GARBAGE_ROWS).unwrap();
    let thrown_at: BTreeSet<PathBuf> = doors
        .into_iter()
        .filter_map(|door| match door {
            Door::Unix(path) => Some(path),
            Door::Tcp(_) | Door::Udp(_) => None,
        })
        .collect();
    let is_a_shims = |path: &&PathBuf| path.ends_with(engine::shim::SOCKET);
    assert_eq!(thrown_at.iter().filter(is_a_shims).count(), before.len(), "{thrown_at:?}");
    // So that no socket is forgotten that gets a name some day.
    let (process, _) = running.first().unwrap();
    let listed = fs::read_to_string(format!("/proc/{process}/net/unix")).unwrap();
    let names = listed.lines().skip(1).filter_map(|line| line.split_whitespace().nth(7)).map(PathBuf::from);
    assert_eq!(names.collect::<BTreeSet<_>>(), thrown_at);
    // The supervisor has heard of nothing, and the same processes go on.
    tenancy.world.settled(0);
    let after = engine(tenancy, |engine| engine.state == EngineState::Running);
    assert_eq!((after.restarts, after.reason.as_deref()), (0, None), "{after:?}");
    assert_eq!((shims(tenancy), facility.running("n1").unwrap()), (before, running));
}

fn becomes(what: &str, wanted: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !wanted() {
        assert!(Instant::now() < deadline, "{what}");
        os::poll::wait(&[], Some(LOOK)).unwrap();
    }
}

fn order(action: EngineAction) -> Verb {
    Verb::Engine(Engine { name: "web".parse().unwrap(), action })
}

/// What is to run once is not run again because its end was heard by another supervisor than the one that had it
/// started, or by none; until that is ordered.
pub(crate) fn once_is_once() {
    let mut tenancy = Tenancy::begin();
    let (tier, image) = (tenancy.tier, image(b"once"));
    volume(&mut tenancy);
    deploy(&mut tenancy, &image, "never");
    engine(&tenancy, |engine| engine.reason.as_deref() == Some("image-missing"));
    push(&tenancy, tier, &image);
    let ends = |tenancy: &Tenancy| {
        kill_program(&tenancy.world, 0);
        becomes("the shim ends", || shims(tenancy).is_empty());
    };
    for heard in [false, true] {
        engine(&tenancy, |engine| engine.state == EngineState::Running);
        tenancy.world.facility.nodes_mut()[0].kill_supervisor().unwrap();
        if !heard {
            ends(&tenancy);
        }
        tenancy.world.start(0, &[]);
        tenancy.tenants = tenancy.tenant.link();
        if heard {
            engine(&tenancy, |engine| engine.state == EngineState::Running);
            ends(&tenancy);
        }
        // One that is run again is in another state before, and for good.
        let over = engine(&tenancy, |engine| {
            assert!(!heard || engine.restarts == 0);
            engine.state == EngineState::Ended
        });
        assert_eq!((over.last_exit, over.restarts), (Some(EngineExit::Signal(9)), 0));
        tenancy.tenant_orders(order(EngineAction::Restart));
    }
    let again = engine(&tenancy, |engine| engine.state == EngineState::Running);
    assert_eq!(again.restarts, 0);
}

/// A tar file with busybox and a page.
fn image(page: &[u8]) -> Vec<u8> {
    let mut image = tar::Builder::new(Vec::new());
    let mut add = |path: &str, content: &[u8], mode: u32| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        image.append_data(&mut header, path, content).unwrap();
    };
    add("bin/busybox", &fs::read("/bin/busybox").unwrap(), 0o755);
    add("www/page", page, 0o644);
    image.into_inner().unwrap()
}

/// The tenant's own volume.
fn volume(tenancy: &mut Tenancy) {
    let size_mib = SizeMib::try_from(64).unwrap();
    tenancy.tenant_orders(Verb::Volume(NewVolume { name: "data".parse().unwrap(), size_mib }));
}

fn push(tenancy: &Tenancy, tier: TierId, image: &[u8]) {
    let (volume, digest) = ("data".parse().unwrap(), Digest::of(image));
    let mut offset = 0;
    while offset < image.len() {
        let part = &image[offset..image.len().min(offset + 1024 * 1024)];
        let call =
            Call::PutImage { tier, volume: Clone::clone(&volume), image: digest, offset: offset as u64 };
        let (answer, _) = tenancy.world.facility.nodes()[0]
            .call(&call, part, SOON)
            .unwrap_or_else(|error| panic!("{error}"));
        let _ = answer;
        offset += part.len();
    }
}

fn deploy(tenancy: &mut Tenancy, image: &[u8], restart: &str) {
    let text = format!(
        "version = 1\nengine = \"web\"\nimage = \"{}\"\nvolume = \"data\"\n\
         command = [\"/bin/busybox\", \"httpd\", \"-f\", \"-p\", \"80\", \"-h\", \"/www\"]\nstop_seconds = 1\nrestart = \"{restart}\"\n\
         [limits]\nmemory_mib = 64\nprocesses = 32\n",
        Digest::of(image)
    );
    let object = Object::new(&text).unwrap();
    tenancy.tenant.put(&tenancy.tenants, &object);
    tenancy.tenant_orders(order(EngineAction::Deploy { specification: object.name() }));
}

fn engine(tenancy: &Tenancy, wanted: impl Fn(&EngineStatus) -> bool) -> EngineStatus {
    let began = Instant::now();
    loop {
        let status = tenancy.tenant.status_with(&tenancy.tenants, |_| true);
        let own = status.tiers.iter().find(|tier| tier.name.as_str() == TENANT).unwrap();
        match own.engines.first() {
            Some(engine) if wanted(engine) => return engine.clone(),
            other if began.elapsed() > PATIENCE => {
                panic!("{other:?}\n{:?}\n{}", status.warnings, tenancy.world.facility.nodes()[0].log())
            }
            _ => os::poll::wait(&[], Some(LOOK)).map(drop).unwrap(),
        }
    }
}

/// The page, as a client in another realm's place gets it: through the filters.
fn served(tenancy: &Tenancy) -> Vec<u8> {
    let router = tenancy.world.facility.namespace("router").unwrap();
    let began = Instant::now();
    loop {
        match router.run(|| page(at(0, 80))).unwrap() {
            Ok(page) => return page,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
    }
}

fn page(from: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&from, A_TRY)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /page HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
    head.map(|head| answer.split_off(head + 4)).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// The shims of the node.
fn shims(tenancy: &Tenancy) -> Vec<u32> {
    let processes = tenancy.world.processes(0);
    processes.into_iter().filter(|(name, _)| name == "shim").map(|(_, id)| id).collect()
}

/// Kills the program of the engine in a node's realm, wherever it is: it is another's child's child.
pub(crate) fn kill_program(world: &World, node: usize) {
    let realm = format!("net:[{}]", fs::metadata(world.realm(node)).unwrap().ino());
    for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let within = fs::read_link(entry.path().join("ns/net")).is_ok_and(|its| its.as_os_str() == &*realm);
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if within && line.starts_with(b"/bin/busybox\0httpd\0-f\0-p\080") {
            // One that answered a request may have ended meanwhile.
            os::process::Process::open(id).and_then(|process| process.kill()).unwrap_or_default();
        }
    }
}
