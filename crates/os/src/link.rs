//! Network links, their addresses and routes, by netlink (rtnetlink(7)).

pub(crate) mod socket;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use self::socket::RouteSocket;
use crate::failed::{Act, Failed};

/// A link's hardware address, EUI-48.
pub type Mac = [u8; 6];

/// A link as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number within the namespace.
    pub index: u32,
    /// Its name: 1 to 15 bytes.
    pub name: String,
    /// Its hardware address; none for kinds without one.
    pub mac: Option<Mac>,
    /// The number of the bridge that it is a port of.
    pub master: Option<u32>,
    /// Whether it was set up (not whether a carrier is there).
    pub up: bool,
    /// `bridge`, `veth` and so on; none for hardware and loopback.
    pub kind: Option<String>,
}

/// One end of a cable to be made.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// Its name: 1 to 15 bytes.
    pub name: &'a str,
    /// Its hardware address; the kernel makes one up when there is none.
    pub mac: Option<Mac>,
    /// The network namespace it is made in; the socket's when there is none.
    pub namespace: Option<BorrowedFd<'a>>,
}

/// The links of one network namespace: that of the thread which opened this.
#[derive(Debug)]
pub struct Links {
    socket: RouteSocket,
}

impl Links {
    /// Opens the links of the calling thread's network namespace.
    ///
    /// # Errors
    /// When the kernel gives no routing socket.
    pub fn open() -> Result<Self, Failed> {
        let socket = RouteSocket::open().act(|| "open a routing socket".to_owned())?;
        Ok(Self { socket })
    }

    /// All links.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn list(&mut self) -> Result<Vec<Link>, Failed> {
        let answers = self
            .socket
            .dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))
            .act(|| "list the links".to_owned())?;
        Ok(answers.iter().filter_map(described).collect())
    }

    /// The link called `name`.
    ///
    /// # Errors
    /// When there is none ([`Failed::not_found`]).
    pub fn find(&mut self, name: &str) -> Result<Link, Failed> {
        let act = || format!("find the link {name:?}");
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let answers = self.socket.get(RouteNetlinkMessage::GetLink(message)).act(act)?;
        answers
            .iter()
            .find_map(described)
            .ok_or_else(|| Failed::new(act(), io::Error::from(io::ErrorKind::NotFound)))
    }

    /// Makes a bridge, down. It forwards by address and listens to no multicast group messages.
    ///
    /// # Errors
    /// When the name is taken ([`Failed::already_exists`]) or the kernel refuses.
    pub fn add_bridge(&mut self, name: &str) -> Result<(), Failed> {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Bridge),
                LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::MulticastSnooping(false)])),
            ]),
        ];
        self.create(message, || format!("create the bridge {name:?}"))
    }

    /// Makes a cable, both ends down, each directly in its namespace and with its address.
    ///
    /// # Errors
    /// When a name is taken ([`Failed::already_exists`]) or the kernel refuses; then neither end is there.
    pub fn add_veth(&mut self, near: End<'_>, far: End<'_>) -> Result<(), Failed> {
        let mut peer = LinkMessage::default();
        peer.attributes = near_attributes(far);
        let mut message = LinkMessage::default();
        message.attributes = near_attributes(near);
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        self.create(message, || format!("create the cable {:?} to {:?}", near.name, far.name))
    }

    /// Deletes a link; of a cable both ends.
    ///
    /// # Errors
    /// When there is none ([`Failed::not_found`]) or the kernel refuses.
    pub fn delete(&mut self, name: &str) -> Result<(), Failed> {
        let mut message = LinkMessage::default();
        message.header.index = self.find(name)?.index;
        self.socket
            .change(RouteNetlinkMessage::DelLink(message), 0)
            .act(|| format!("delete the link {name:?}"))
    }

    /// Sets a link up.
    ///
    /// # Errors
    /// When there is none ([`Failed::not_found`]) or the kernel refuses.
    pub fn set_up(&mut self, name: &str) -> Result<(), Failed> {
        self.set(name, "set up", |message| {
            message.header.flags |= LinkFlags::Up;
            message.header.change_mask |= LinkFlags::Up;
        })
    }

    /// Sets a link down.
    ///
    /// # Errors
    /// When there is none ([`Failed::not_found`]) or the kernel refuses.
    pub fn set_down(&mut self, name: &str) -> Result<(), Failed> {
        self.set(name, "set down", |message| message.header.change_mask |= LinkFlags::Up)
    }

    /// Gives a link a hardware address.
    ///
    /// # Errors
    /// When there is none ([`Failed::not_found`]) or the kernel refuses.
    pub fn set_mac(&mut self, name: &str, mac: Mac) -> Result<(), Failed> {
        self.set(name, "give an address to", |message| {
            message.attributes.push(LinkAttribute::Address(mac.to_vec()));
        })
    }

    /// Makes a link a port of the bridge `master`.
    ///
    /// # Errors
    /// When one of them is not there ([`Failed::not_found`]) or the kernel refuses.
    pub fn set_master(&mut self, name: &str, master: &str) -> Result<(), Failed> {
        let master = self.find(master)?.index;
        self.set(name, "plug in", |message| message.attributes.push(LinkAttribute::Controller(master)))
    }

    /// Moves a link to another network namespace. It loses its addresses and goes down.
    ///
    /// # Errors
    /// When there is none ([`Failed::not_found`]) or the kernel refuses.
    pub fn move_to(&mut self, name: &str, namespace: BorrowedFd<'_>) -> Result<(), Failed> {
        self.set(name, "move", |message| {
            message.attributes.push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
        })
    }

    /// Gives a link an address with its prefix length; usable at once (no duplicate detection).
    ///
    /// # Errors
    /// When the link is not there, or has the address ([`Failed::already_exists`]).
    pub fn add_address(&mut self, name: &str, address: IpAddr, prefix: u8) -> Result<(), Failed> {
        let mut message = self.address_of(name, address, prefix)?;
        if address.is_ipv6() {
            message.header.flags = AddressHeaderFlags::Nodad;
        }
        self.socket
            .change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
            .act(|| format!("give {address}/{prefix} to the link {name:?}"))
    }

    /// Takes an address from a link.
    ///
    /// # Errors
    /// When the link is not there ([`Failed::not_found`]), or has no such address (`AddrNotAvailable`).
    pub fn remove_address(&mut self, name: &str, address: IpAddr, prefix: u8) -> Result<(), Failed> {
        let message = self.address_of(name, address, prefix)?;
        self.socket
            .change(RouteNetlinkMessage::DelAddress(message), 0)
            .act(|| format!("take {address}/{prefix} from the link {name:?}"))
    }

    fn address_of(&mut self, name: &str, address: IpAddr, prefix: u8) -> Result<AddressMessage, Failed> {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = prefix;
        message.header.scope = AddressScope::Universe;
        message.header.index = self.find(name)?.index;
        message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        Ok(message)
    }

    /// The addresses of a link with their prefix lengths.
    ///
    /// # Errors
    /// When the link is not there ([`Failed::not_found`]).
    pub fn addresses(&mut self, name: &str) -> Result<Vec<(IpAddr, u8)>, Failed> {
        let index = self.find(name)?.index;
        let answers = self
            .socket
            .dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))
            .act(|| format!("list the addresses of {name:?}"))?;
        Ok(answers.iter().filter_map(|answer| assigned(answer, index)).collect())
    }

    /// Sends what has no nearer route by way of `gateway`, a neighbour of one of the links.
    ///
    /// # Errors
    /// When there is such a route ([`Failed::already_exists`]) or no link reaches the gateway.
    pub fn add_default_route(&mut self, gateway: IpAddr) -> Result<(), Failed> {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family(gateway),
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Static,
            scope: RouteScope::Universe,
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        message.attributes = vec![RouteAttribute::Gateway(RouteAddress::from(gateway))];
        self.socket
            .change(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)
            .act(|| format!("route by way of {gateway}"))
    }

    fn create(&mut self, message: LinkMessage, act: impl FnOnce() -> String) -> Result<(), Failed> {
        self.socket.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL).act(act)
    }

    fn set(&mut self, name: &str, verb: &str, fill: impl FnOnce(&mut LinkMessage)) -> Result<(), Failed> {
        let mut message = LinkMessage::default();
        message.header.index = self.find(name)?.index;
        fill(&mut message);
        self.socket
            .change(RouteNetlinkMessage::SetLink(message), 0)
            .act(|| format!("{verb} the link {name:?}"))
    }
}

fn near_attributes(end: End<'_>) -> Vec<LinkAttribute> {
    let mut attributes = vec![LinkAttribute::IfName(end.name.to_owned())];
    attributes.extend(end.mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
    attributes.extend(end.namespace.map(|namespace| LinkAttribute::NetNsFd(namespace.as_fd().as_raw_fd())));
    attributes
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the kernel tells more about a link than is used here")]
fn described(answer: &RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = answer else { return None };
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        mac: None,
        master: None,
        up: message.header.flags.contains(LinkFlags::Up),
        kind: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => link.mac = bytes.as_slice().try_into().ok(),
            LinkAttribute::Controller(index) => link.master = Some(*index),
            LinkAttribute::LinkInfo(infos) => {
                link.kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => (),
        }
    }
    Some(link)
}

/// An address that `answer` says is the link's. On cables `Local` is the own one.
fn assigned(answer: &RouteNetlinkMessage, index: u32) -> Option<(IpAddr, u8)> {
    let RouteNetlinkMessage::NewAddress(message) = answer else { return None };
    if message.header.index != index {
        return None;
    }
    let attributes = &message.attributes;
    let own = attributes.iter().find_map(|attribute| {
        if let AddressAttribute::Local(address) = attribute { Some(*address) } else { None }
    });
    let any = attributes.iter().find_map(|attribute| {
        if let AddressAttribute::Address(address) = attribute { Some(*address) } else { None }
    });
    let address = own.or(any)?;
    Some((address, message.header.prefix_len))
}
