//! The power port: consoles turn nodes off and on, as at the BMCs of real machines. It is *simulated*, and says so:
//! the power is that of namespaces and processes. What it speaks is a small part of Redfish (DSP0266).

mod http;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use os::namespace::Namespace;
use os::poll::{Wanted, wait};
use serde::Deserialize;
use serde_json::{Value, json};

use self::http::{Request, Response};
use crate::failed::{Act, Failed};
use crate::node::{Node, Slot};
use crate::role::complain;
use crate::site::Site;

/// Where it listens: at the router, on the management network.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 8000);
/// The only user.
const USER: &str = "lab";
const SIMULATED: &str = "simulated: namespaces and processes of a lab";
const SYSTEMS: &str = "/redfish/v1/Systems";
const RESET: &str = "/Actions/ComputerSystem.Reset";

/// A power port that runs until it is dropped.
#[derive(Debug)]
pub struct PowerPort {
    password: String,
    /// Its end is the port's.
    end: Option<UnixStream>,
    running: Option<JoinHandle<()>>,
}

impl PowerPort {
    pub(crate) fn open(
        site: Arc<Site>,
        nodes: &[Node],
        router: &Namespace,
        password: &str,
    ) -> Result<Self, Failed> {
        let act = || "open the power port".to_owned();
        let listener = router.run(|| TcpListener::bind(ADDRESS)).act(act)?.act(act)?;
        let nodes = nodes.iter().map(|node| (node.name().to_owned(), node.slot())).collect();
        let board = Board { site, nodes, password: password.to_owned() };
        let (end, ended) = UnixStream::pair().act(act)?;
        let running = thread::Builder::new().name("power port".to_owned());
        let running = running.spawn(move || serve(&board, &listener, &ended)).act(act)?;
        Ok(Self { password: password.to_owned(), end: Some(end), running: Some(running) })
    }

    /// Its address, before the paths of Redfish.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{ADDRESS}")
    }

    /// Whom it takes orders from (RFC 7617).
    #[must_use]
    pub const fn user(&self) -> &'static str {
        USER
    }

    /// What the user shows.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl Drop for PowerPort {
    fn drop(&mut self) {
        drop(self.end.take());
        // It has told what failed.
        drop(self.running.take().map(JoinHandle::join));
    }
}

fn serve(board: &Board, listener: &TcpListener, ended: &UnixStream) {
    loop {
        let ready = wait(&[(listener.as_fd(), Wanted::READ), (ended.as_fd(), Wanted::READ)], None);
        match ready.as_deref() {
            Ok([true, false]) => {}
            Ok(_) => return,
            Err(error) => return complain(&Failed::new("wait at the power port", error.to_string())),
        }
        // Whoever hangs up gets no answer.
        let Ok((stream, _from)) = listener.accept() else { continue };
        drop(board.answer(stream));
    }
}

/// What the port acts on.
struct Board {
    site: Arc<Site>,
    nodes: Vec<(String, Slot)>,
    password: String,
}

/// A change of a machine's power (Redfish's ComputerSystem.Reset).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    #[serde(rename = "ResetType")]
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Kind {
    On,
    ForceOff,
    ForceRestart,
}

impl Board {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let response = match http::read(&mut stream)? {
            Ok(request) => self.ask(&request),
            Err(response) => response,
        };
        http::write(&mut stream, &response)
    }

    fn ask(&self, request: &Request) -> Response {
        let path = request.path.trim_end_matches('/');
        if (request.method.as_str(), path) == ("GET", "/redfish/v1") {
            return Response::json(&json!({
                "@odata.id": "/redfish/v1/", "Id": "lab", "Name": format!("Simulated BMC of a Leasehold lab ({SIMULATED})"),
                "RedfishVersion": "1.6.0", "Systems": { "@odata.id": SYSTEMS },
            }));
        }
        if !request.is_by(USER, &self.password) {
            return Response::empty(401);
        }
        let Some(below) = path.strip_prefix(SYSTEMS) else { return Response::empty(404) };
        let (name, action) = match below.strip_prefix('/') {
            None if below.is_empty() => ("", ""),
            None => return Response::empty(404),
            Some(rest) => rest.find('/').map_or((rest, ""), |at| rest.split_at(at)),
        };
        let node = self.nodes.iter().enumerate().find(|(_, (known, _))| known == name);
        match (request.method.as_str(), node, action) {
            ("GET", None, "") if name.is_empty() => Response::json(&self.systems()),
            ("GET", Some((_, (name, slot))), "") => Response::json(&system(name, slot)),
            ("POST", Some((place, (_, slot))), RESET) => self.reset(place, slot, &request.body),
            (_, Some(_), "" | RESET) => Response::empty(405),
            _ => Response::empty(404),
        }
    }

    fn systems(&self) -> Value {
        let members = self.nodes.iter().map(|(name, _)| json!({ "@odata.id": format!("{SYSTEMS}/{name}") }));
        let members: Vec<Value> = members.collect();
        json!({ "@odata.id": SYSTEMS, "Name": format!("Nodes ({SIMULATED})"),
            "Members@odata.count": members.len(), "Members": members })
    }

    fn reset(&self, place: usize, slot: &Slot, body: &[u8]) -> Response {
        let Ok(reset) = serde_json::from_slice::<Reset>(body) else { return Response::empty(400) };
        let done = match reset.kind {
            Kind::On => self.on(place, slot),
            Kind::ForceOff => self.off(place, slot),
            Kind::ForceRestart => self.off(place, slot).and_then(|()| self.on(place, slot)),
        };
        match done {
            Ok(()) => Response::empty(204),
            Err(failed) => {
                let told = failed.told();
                complain(&failed);
                Response { status: 500, body: Some(json!({ "error": { "message": told } })) }
            }
        }
    }

    fn off(&self, place: usize, slot: &Slot) -> Result<(), Failed> {
        let _making = self.site.guard.making()?;
        self.site.power_off(place, slot)
    }

    /// A machine that comes up starts what ran before.
    fn on(&self, place: usize, slot: &Slot) -> Result<(), Failed> {
        let _making = self.site.guard.making()?;
        if !slot.lock().unwrap_or_else(PoisonError::into_inner).is_on() {
            self.site.power_on(place, slot)?;
            slot.lock().unwrap_or_else(PoisonError::into_inner).boot()?;
        }
        Ok(())
    }
}

fn system(name: &str, slot: &Slot) -> Value {
    let is_on = slot.lock().unwrap_or_else(PoisonError::into_inner).is_on();
    let at = format!("{SYSTEMS}/{name}");
    json!({
        "@odata.id": at, "Id": name, "Name": format!("{name} ({SIMULATED})"),
        "Manufacturer": "Leasehold lab (simulated)", "SystemType": "Virtual",
        "PowerState": if is_on { "On" } else { "Off" },
        "Actions": { "#ComputerSystem.Reset": {
            "target": format!("{at}{RESET}"),
            "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "ForceRestart"],
        } },
    })
}
