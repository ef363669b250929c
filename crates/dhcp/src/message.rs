//! DHCP messages (RFC 2131 §2, fig. 1): the fields and options that a client or server here acts on.
//!
//! Reading is strict. What is not used is skipped, as the standard demands; what is used must be right, or
//! the whole message is refused.

use std::net::Ipv4Addr;

use crate::client_id::ClientId;
use crate::mac::Mac;
use crate::malformed::Malformed;
use crate::options::{self, Options, code};

/// The longest message that is read: what fits into an Ethernet frame beside the headers of IPv4 and UDP.
pub const MESSAGE_BYTES_MAX: usize = 1472;
/// The shortest one that is written: relays and servers of old drop shorter ones (RFC 1542 §2.1).
const MESSAGE_BYTES_MIN: usize = 300;

const OPTIONS_AT: usize = 240;
const SNAME_AT: usize = 44;
const FILE_AT: usize = 108;
const MAGIC_AT: usize = 236;
const MAGIC: [u8; 4] = [99, 130, 83, 99];
const ETHERNET: u8 = 1;
const MAC_BYTES: u8 = 6;
const BROADCAST_FLAG: u16 = 0x8000;

/// Message types (RFC 2132 §9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A client looks for servers.
    Discover,
    /// A server offers an address.
    Offer,
    /// A client takes an offer, or wants to go on with what it has.
    Request,
    /// A client says that an address is in use already.
    Decline,
    /// A server gives the address.
    Ack,
    /// A server says that the client may not have the address.
    Nak,
    /// A client gives its address back.
    Release,
    /// A client has an address from elsewhere and wants the rest.
    Inform,
}

impl Kind {
    /// All of them, in the order of their numbers, from 1.
    pub const ALL: [Self; 8] = [
        Self::Discover,
        Self::Offer,
        Self::Request,
        Self::Decline,
        Self::Ack,
        Self::Nak,
        Self::Release,
        Self::Inform,
    ];

    /// Whether servers send it; the others are sent by clients.
    #[must_use]
    pub const fn is_from_server(self) -> bool {
        match self {
            Self::Offer | Self::Ack | Self::Nak => true,
            Self::Discover | Self::Request | Self::Decline | Self::Release | Self::Inform => false,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Discover => 1,
            Self::Offer => 2,
            Self::Request => 3,
            Self::Decline => 4,
            Self::Ack => 5,
            Self::Nak => 6,
            Self::Release => 7,
            Self::Inform => 8,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    const fn op(self) -> u8 {
        if self.is_from_server() { 2 } else { 1 }
    }
}

/// 1 to 255 bytes: what one option can have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Short(Vec<u8>);

impl Short {
    /// The most bytes.
    pub const BYTES_MAX: usize = 255;

    /// `bytes`, if there are 1 to 255.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (1..=Self::BYTES_MAX).contains(&bytes.len()).then(|| Self(bytes.to_vec()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Default for Short {
    /// One zero.
    fn default() -> Self {
        Self(vec![0])
    }
}

/// A message. Addresses that are not said are 0.0.0.0 in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is; the direction follows from it.
    pub kind: Kind,
    /// Which exchange it belongs to.
    pub xid: u32,
    /// How long the client has been trying, in seconds.
    pub secs: u16,
    /// Whether the client asks for answers to everybody, because it cannot receive others yet.
    pub broadcast: bool,
    /// The address that the client has and uses.
    pub ciaddr: Ipv4Addr,
    /// The address that the server gives.
    pub yiaddr: Ipv4Addr,
    /// The server for what comes after DHCP; not acted on.
    pub siaddr: Ipv4Addr,
    /// The relay that passed it on.
    pub giaddr: Ipv4Addr,
    /// The client's hardware address.
    pub chaddr: Mac,
    /// The address that the client asks for.
    pub requested: Option<Ipv4Addr>,
    /// How long the lease is, in seconds; `u32::MAX` is for ever.
    pub lease_s: Option<u32>,
    /// The server that is meant, or that answers.
    pub server: Option<Ipv4Addr>,
    /// The codes of the options that the client would like.
    pub parameters: Option<Short>,
    /// Why, in words: from strangers.
    pub text: Option<Short>,
    /// The longest message that the client takes, in bytes.
    pub size_max: Option<u16>,
    /// T1, in seconds after the lease began.
    pub renewal_s: Option<u32>,
    /// T2, in seconds after the lease began.
    pub rebinding_s: Option<u32>,
    /// What kind of client it is.
    pub class: Option<Short>,
    /// Who the client is, if not its hardware address says it.
    pub client: Option<ClientId>,
    /// The length of the network's prefix, 0 to 32.
    pub prefix: Option<u8>,
    /// The first of the routers.
    pub router: Option<Ipv4Addr>,
}

impl Message {
    /// One with nothing but what every message has.
    #[must_use]
    pub const fn new(kind: Kind, xid: u32, chaddr: Mac) -> Self {
        Self {
            kind,
            xid,
            secs: 0,
            broadcast: false,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr,
            requested: None,
            lease_s: None,
            server: None,
            parameters: None,
            text: None,
            size_max: None,
            renewal_s: None,
            rebinding_s: None,
            class: None,
            client: None,
            prefix: None,
            router: None,
        }
    }

    /// Who the client is: what it says, else its hardware address.
    #[must_use]
    pub fn client_id(&self) -> ClientId {
        self.client.clone().unwrap_or_else(|| ClientId::of_mac(self.chaddr))
    }

    /// Reads a message.
    ///
    /// # Errors
    /// When it is not a whole and right one.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Malformed::Long);
        }
        let (fixed, options) = bytes.split_first_chunk::<OPTIONS_AT>().ok_or(Malformed::Short)?;
        let chaddr = Mac(array(fixed, 28));
        let is_ethernet = fixed[1] == ETHERNET && fixed[2] == MAC_BYTES && chaddr.is_one_station();
        if !is_ethernet || fixed[MAGIC_AT..] != MAGIC {
            return Err(Malformed::NotDhcp);
        }
        let found = options::read(options, &fixed[FILE_AT..MAGIC_AT], &fixed[SNAME_AT..FILE_AT])?;
        let kind = match found.get(&code::KIND).map(Vec::as_slice) {
            Some([number]) => Kind::of_number(*number).ok_or(Malformed::Kind)?,
            Some(_) | None => return Err(Malformed::Kind),
        };
        if fixed[0] != kind.op() {
            return Err(Malformed::Kind);
        }
        let mut message = Self::new(kind, u32::from_be_bytes(array(fixed, 4)), chaddr);
        message.secs = u16::from_be_bytes(array(fixed, 8));
        message.broadcast = u16::from_be_bytes(array(fixed, 10)) & BROADCAST_FLAG != 0;
        message.ciaddr = array::<4>(fixed, 12).into();
        message.yiaddr = array::<4>(fixed, 16).into();
        message.siaddr = array::<4>(fixed, 20).into();
        message.giaddr = array::<4>(fixed, 24).into();
        message.take(&found)?;
        Ok(message)
    }

    fn take(&mut self, found: &Options) -> Result<(), Malformed> {
        self.requested = fixed(found, code::REQUESTED)?.map(<[u8; 4]>::into);
        self.lease_s = fixed(found, code::LEASE)?.map(u32::from_be_bytes);
        self.server = fixed(found, code::SERVER)?.map(<[u8; 4]>::into);
        self.parameters = short(found, code::PARAMETERS)?;
        self.text = short(found, code::TEXT)?;
        self.size_max = fixed(found, code::SIZE)?.map(u16::from_be_bytes);
        self.renewal_s = fixed(found, code::RENEWAL)?.map(u32::from_be_bytes);
        self.rebinding_s = fixed(found, code::REBINDING)?.map(u32::from_be_bytes);
        self.class = short(found, code::CLASS)?;
        let client = found.get(&code::CLIENT);
        let client = client.map(|bytes| ClientId::from_bytes(bytes).ok_or(Malformed::Option(code::CLIENT)));
        self.client = client.transpose()?;
        let mask = fixed(found, code::MASK)?.map(u32::from_be_bytes);
        self.prefix = mask.map(prefix_of).transpose()?;
        self.router = found.get(&code::ROUTERS).map(|bytes| first_router(bytes)).transpose()?;
        Ok(())
    }

    /// Its bytes: 300 at least, and as many as its options need.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MESSAGE_BYTES_MIN);
        bytes.extend([self.kind.op(), ETHERNET, MAC_BYTES, 0]);
        bytes.extend(self.xid.to_be_bytes());
        bytes.extend(self.secs.to_be_bytes());
        bytes.extend(if self.broadcast { BROADCAST_FLAG } else { 0 }.to_be_bytes());
        for address in [self.ciaddr, self.yiaddr, self.siaddr, self.giaddr] {
            bytes.extend(address.octets());
        }
        bytes.extend(self.chaddr.0);
        bytes.resize(MAGIC_AT, 0);
        bytes.extend(MAGIC);
        self.write_options(&mut bytes);
        options::end(&mut bytes);
        bytes.resize(bytes.len().max(MESSAGE_BYTES_MIN), 0);
        bytes
    }

    fn write_options(&self, bytes: &mut Vec<u8>) {
        let mut put = |code, value: Option<&[u8]>| {
            if let Some(value) = value {
                options::write(bytes, code, value);
            }
        };
        put(code::KIND, Some(&[self.kind.number()]));
        put(code::SERVER, self.server.map(|address| address.octets()).as_ref().map(<[u8; 4]>::as_slice));
        put(
            code::REQUESTED,
            self.requested.map(|address| address.octets()).as_ref().map(<[u8; 4]>::as_slice),
        );
        put(code::LEASE, self.lease_s.map(u32::to_be_bytes).as_ref().map(<[u8; 4]>::as_slice));
        put(code::RENEWAL, self.renewal_s.map(u32::to_be_bytes).as_ref().map(<[u8; 4]>::as_slice));
        put(code::REBINDING, self.rebinding_s.map(u32::to_be_bytes).as_ref().map(<[u8; 4]>::as_slice));
        // The mask stands before the routers (RFC 2132 §3.3).
        put(code::MASK, self.prefix.map(mask_of).as_ref().map(<[u8; 4]>::as_slice));
        put(code::ROUTERS, self.router.map(|address| address.octets()).as_ref().map(<[u8; 4]>::as_slice));
        put(code::SIZE, self.size_max.map(u16::to_be_bytes).as_ref().map(<[u8; 2]>::as_slice));
        put(code::CLASS, self.class.as_ref().map(Short::as_bytes));
        put(code::CLIENT, self.client.as_ref().map(|client| client.short().as_bytes()));
        put(code::PARAMETERS, self.parameters.as_ref().map(Short::as_bytes));
        put(code::TEXT, self.text.as_ref().map(Short::as_bytes));
    }
}

/// `N` bytes of the fixed fields.
fn array<const N: usize>(fixed: &[u8; OPTIONS_AT], at: usize) -> [u8; N] {
    std::array::from_fn(|index| fixed[at + index])
}

/// An option of `N` bytes, no fewer and no more.
fn fixed<const N: usize>(found: &Options, code: u8) -> Result<Option<[u8; N]>, Malformed> {
    let Some(bytes) = found.get(&code) else { return Ok(None) };
    bytes.as_slice().try_into().map(Some).or(Err(Malformed::Option(code)))
}

fn short(found: &Options, code: u8) -> Result<Option<Short>, Malformed> {
    found.get(&code).map(|bytes| Short::new(bytes).ok_or(Malformed::Option(code))).transpose()
}

/// A mask is ones, then zeros.
fn prefix_of(mask: u32) -> Result<u8, Malformed> {
    let ones = mask.leading_ones();
    if mask.count_ones() != ones {
        return Err(Malformed::Option(code::MASK));
    }
    u8::try_from(ones).or(Err(Malformed::Option(code::MASK)))
}

fn mask_of(prefix: u8) -> [u8; 4] {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0).to_be_bytes()
}

fn first_router(bytes: &[u8]) -> Result<Ipv4Addr, Malformed> {
    let (routers, rest) = bytes.as_chunks::<4>();
    match (routers, rest) {
        ([first, ..], []) => Ok((*first).into()),
        _ => Err(Malformed::Option(code::ROUTERS)),
    }
}
