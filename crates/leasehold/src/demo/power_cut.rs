//! A node's power goes and comes back, by the landlord's order to its BMC, which is simulated. What ran on it really
//! dies; its disk alone brings back who it is, whose it is, and what may pass.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use console_api::{Node, NodeState, Page};
use lab::{Failed, Transport};

use super::desk::base64;
use super::show::Evidence;
use super::world::{LANDLORD, PATIENCE, TENANT_B, World};

/// The node, and its place in the plan.
const NAME: &str = "n6";
const PLACE: usize = 5;

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let before = world.settled(PLACE)?;
    let (own, to) = (world.standing(PLACE, TENANT_B)?, world.at(PLACE, TENANT_B, 80)?);
    let first = world.node(PLACE)?.first_process();
    reset(world, NAME, "ForceOff")?;
    let dead = !Path::new(&format!("/proc/{first}")).exists();
    let gone = !world.facility()?.path_of(&format!("{NAME}-{TENANT_B}")).exists();
    evidence
        .check("the simulated BMC cuts the power: each process and namespace of n6 is gone", dead && gone);
    let state = |nodes: &Page<Node>| nodes.items.iter().find(|node| node.name == NAME).map(|node| node.state);
    let landlord = world.desk(LANDLORD)?;
    landlord
        .until("/v1/nodes", |nodes: &Page<Node>| state(nodes).is_some_and(|state| state != NodeState::Up))?;
    evidence.check("the landlord's console does not call it up any more", true);
    reset(world, NAME, "On")?;
    let status = world.realm_up(PLACE, TENANT_B)?;
    evidence.check(
        format!("power again: it is the same node, at record {} of its journal", status.record),
        status.node == before.node && status.record >= before.record,
    );
    let after = (world.standing(PLACE, TENANT_B)?, world.at(PLACE, TENANT_B, 80)?);
    evidence.check(
        format!("with the tenant that it had, in the same epoch, at {}", after.1.ip()),
        after == (own, to),
    );
    landlord.until("/v1/nodes", |nodes: &Page<Node>| state(nodes) == Some(NodeState::Up))?;
    evidence.check("and the landlord's console says that it is up", true);
    world.start_engine(PLACE, TENANT_B)?.listen(Transport::Tcp, 80)?;
    let inside = world.engine(PLACE - 1, TENANT_B)?.connect(to, PATIENCE)?;
    evidence.check("its cluster reaches it as before", inside.is_ok());
    evidence.fact("record", status.record);
    Ok(())
}

/// Asks a node's BMC, from the landlord's console's place.
pub(super) fn reset(world: &World<'_>, node: &str, kind: &str) -> Result<(), Failed> {
    let act = |error: std::io::Error| Failed::new(format!("have the power of {node} changed"), error);
    let facility = world.facility()?;
    let port = facility.power_port().ok_or_else(|| Failed::new("go on", "there is no power port"))?;
    let body = format!("{{\"ResetType\":\"{kind}\"}}");
    let request = format!(
        "POST /redfish/v1/Systems/{node}/Actions/ComputerSystem.Reset HTTP/1.1\r\nHost: bmc\r\n\
         Authorization: Basic {}\r\nContent-Length: {}\r\n\r\n{body}",
        base64(format!("{}:{}", port.user(), port.password()).as_bytes()),
        body.len(),
    );
    let to = port.url().trim_start_matches("http://").to_owned();
    let stream = facility.namespace(LANDLORD)?.run(move || TcpStream::connect(to));
    let mut stream = stream.map_err(|failed| Failed::new("enter a namespace", failed))?.map_err(act)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(act)?;
    stream.write_all(request.as_bytes()).map_err(act)?;
    let mut said = String::new();
    stream.read_to_string(&mut said).map_err(act)?;
    if said.starts_with("HTTP/1.1 204 ") {
        Ok(())
    } else {
        Err(Failed::new(format!("have the power of {node} changed"), said))
    }
}
