//! A realm is made and removed. It is open to nothing before its filter is on both hooks of its link, and
//! nothing is left of it but closed before the filter goes.

use std::fs::DirBuilder;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use datapath::{Filter, FilterError, Program, Settings};
use os::Failed;
use os::link::{End, Links};
use os::namespace::{self, Namespace};
use thiserror::Error;

use super::Place;
use super::processes::{NotKilled, kill_in};
use crate::step::{Step, Steps};

/// The realm's end of its link.
const INSIDE: &str = "eth0";

/// Why a realm is not as it should be.
#[derive(Debug, Error)]
pub(super) enum RealmError {
    #[error(transparent)]
    Kernel(#[from] Failed),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    NotKilled(#[from] NotKilled),
    #[error("cannot make the folder of the pins")]
    Pins(#[source] io::Error),
}

/// Makes a realm: namespace, link, addresses, filter; the link's host end comes up last.
pub(super) fn up(place: &Place, bridge: &str, gateways: &[IpAddr], steps: &Steps) -> Result<(), RealmError> {
    // The folder is the trace by which a later supervisor finds whatever else there is of the realm.
    make_folder(&place.pins).map_err(RealmError::Pins)?;
    let mut links = Links::open()?;
    // What is there is not whole: it goes, and nothing passes any more.
    gone(links.delete(&place.link))?;
    let namespace = open_or_make(&place.namespace)?;
    steps.reach(Step::RealmNamespace);
    let near = End { name: &place.link, mac: None, namespace: None };
    let far = End { name: INSIDE, mac: Some(place.mac), namespace: Some(namespace.as_fd()) };
    links.add_veth(near, far)?;
    steps.reach(Step::RealmCable);
    namespace.run(|| inside(place, gateways))??;
    steps.reach(Step::RealmAddress);
    closed_filter(&place.pins)?.attach(&place.link)?;
    steps.reach(Step::RealmFilter);
    links.set_master(&place.link, bridge)?;
    links.set_up(&place.link)?;
    steps.reach(Step::RealmLinkUp);
    Ok(())
}

/// Removes a realm: its processes, its link, its namespace, and its filter last.
pub(super) fn down(place: &Place, steps: &Steps) -> Result<(), RealmError> {
    kill_in(&place.namespace)?;
    steps.reach(Step::DownKilled);
    gone(Links::open()?.delete(&place.link))?;
    steps.reach(Step::DownLink);
    gone(namespace::delete(&place.namespace))?;
    steps.reach(Step::DownNamespace);
    Filter::remove(&place.pins, None)?;
    Ok(())
}

/// Addresses and ways out, in the realm's namespace.
fn inside(place: &Place, gateways: &[IpAddr]) -> Result<(), Failed> {
    let mut links = Links::open()?;
    links.set_up("lo")?;
    for (address, prefix) in &place.addresses {
        links.add_address(INSIDE, *address, *prefix)?;
    }
    links.set_up(INSIDE)?;
    for gateway in gateways {
        links.add_default_route(*gateway)?;
    }
    Ok(())
}

/// The realm's filter, cut: the one that is pinned, or a new one.
fn closed_filter(pins: &Path) -> Result<Filter, FilterError> {
    let (program, settings) = (Program::embedded(), Settings::default());
    let pinned = match Filter::open(pins, &program, &settings) {
        Err(FilterError::NotWhole { .. }) => None,
        opened => opened?,
    };
    let mut filter = match pinned {
        Some(filter) => filter,
        None => Filter::load(pins, &program, &settings)?,
    };
    filter.cut()?;
    Ok(filter)
}

fn open_or_make(path: &Path) -> Result<Namespace, Failed> {
    match Namespace::open(path) {
        Err(failed) if failed.not_found() => {
            // A name whose namespace was never made, or went away with a start of the machine.
            gone(namespace::delete(path))?;
            Namespace::create(path)
        }
        opened => opened,
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What is not there needs not be removed.
fn gone(removed: Result<(), Failed>) -> Result<(), Failed> {
    match removed {
        Err(failed) if !failed.not_found() => Err(failed),
        Ok(()) | Err(_) => Ok(()),
    }
}
