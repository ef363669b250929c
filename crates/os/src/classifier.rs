//! eBPF classifiers on a link's two hooks (clsact, tc-bpf(8)): attached by netlink, so that they outlive
//! whoever attached them, and read back from the kernel.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcHeader, TcMessage, TcOption,
};

use crate::failed::{Act, Failed};
use crate::link::Links;
use crate::link::socket::RouteSocket;

/// Where on a link a program sees packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    /// What comes in from the link.
    Ingress,
    /// What goes out to the link.
    Egress,
}

/// A filter on a hook, as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Filters are asked in the order of their priorities, lowest first.
    pub priority: u16,
    /// Its number within the priority.
    pub handle: u32,
    /// The id of its eBPF program; none for a filter of another kind.
    pub program: Option<u32>,
    /// Whether the program's answer is the verdict.
    pub direct: bool,
}

/// The classifiers of one link in the network namespace of the thread that opened this.
#[derive(Debug)]
pub struct Classifiers {
    socket: RouteSocket,
    link: String,
    index: i32,
}

impl Classifiers {
    /// Opens the classifiers of the link `name`.
    ///
    /// # Errors
    /// When there is no such link ([`Failed::not_found`]).
    pub fn open(name: &str) -> Result<Self, Failed> {
        let act = || format!("open the classifiers of the link {name:?}");
        let index = Links::open()?.find(name)?.index;
        let index = i32::try_from(index).map_err(io::Error::other).act(act)?;
        let socket = RouteSocket::open().act(act)?;
        Ok(Self { socket, link: name.to_owned(), index })
    }

    /// Gives the link its two hooks, if it has none yet.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn prepare(&mut self) -> Result<(), Failed> {
        let mut message = self.message(TcHandle::CLSACT);
        message.header.handle = TcHandle { major: u16::MAX, minor: 0 };
        message.attributes = vec![TcAttribute::Kind("clsact".to_owned())];
        let made = self
            .socket
            .change(RouteNetlinkMessage::NewQueueDiscipline(message), NLM_F_CREATE | NLM_F_EXCL)
            .act(|| format!("give hooks to the link {:?}", self.link));
        match made {
            Err(failed) if failed.already_exists() => Ok(()),
            other => other,
        }
    }

    /// Makes `program` the filter of `hook` at priority 1, handle 1; one that is there is replaced
    /// at once, without a packet between them.
    ///
    /// # Errors
    /// When the link has no hooks ([`Self::prepare`]) or the kernel refuses.
    pub fn attach(&mut self, hook: Hook, program: BorrowedFd<'_>, name: &str) -> Result<(), Failed> {
        let act = || format!("attach {name:?} to {hook:?} of the link");
        let descriptor = u32::try_from(program.as_raw_fd()).map_err(io::Error::other).act(act)?;
        let mut message = self.message(hook.parent());
        message.header.handle = TcHandle { major: 0, minor: 1 };
        message.header.info = FIRST | ALL_PROTOCOLS;
        message.attributes = vec![
            TcAttribute::Kind(TcFilterBpf::KIND.to_owned()),
            TcAttribute::Options(vec![
                TcOption::Bpf(TcFilterBpfOption::ProgFd(descriptor)),
                TcOption::Bpf(TcFilterBpfOption::ProgName(name.to_owned())),
                TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
            ]),
        ];
        self.socket.change(RouteNetlinkMessage::NewTrafficFilter(message), NLM_F_CREATE).act(act)
    }

    /// All filters on `hook`, in the order in which the kernel asks them.
    ///
    /// # Errors
    /// When the kernel refuses. A link without hooks has no filters.
    pub fn list(&mut self, hook: Hook) -> Result<Vec<Attached>, Failed> {
        let message = self.message(hook.parent());
        let answers = self
            .socket
            .dump(RouteNetlinkMessage::GetTrafficFilter(message))
            .act(|| format!("list the filters of {hook:?} of the link {:?}", self.link))?;
        let mut found: Vec<Attached> = answers.iter().filter_map(described).collect();
        found.sort_by_key(|filter| (filter.priority, filter.handle));
        Ok(found)
    }

    /// Takes the hooks with all their filters from the link. Nothing filters it then.
    ///
    /// # Errors
    /// When the kernel refuses; a link without hooks is no error.
    pub fn clear(&mut self) -> Result<(), Failed> {
        let mut message = self.message(TcHandle::CLSACT);
        message.header.handle = TcHandle { major: u16::MAX, minor: 0 };
        message.attributes = vec![TcAttribute::Kind("clsact".to_owned())];
        let cleared = self
            .socket
            .change(RouteNetlinkMessage::DelQueueDiscipline(message), 0)
            .act(|| format!("take the hooks from the link {:?}", self.link));
        match cleared {
            // The kernel says "invalid" or "not there" of hooks that never were.
            Err(failed) if failed.not_found() || failed.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other,
        }
    }

    fn message(&self, parent: TcHandle) -> TcMessage {
        let mut message = TcMessage::default();
        message.header = TcHeader { index: self.index, parent, ..TcHeader::default() };
        message
    }
}

impl Hook {
    fn parent(self) -> TcHandle {
        let minor = match self {
            Self::Ingress => TcHandle::MIN_INGRESS,
            Self::Egress => TcHandle::MIN_EGRESS,
        };
        TcHandle { major: u16::MAX, minor }
    }
}

/// Priority 1, in the upper half of `tcm_info`.
const FIRST: u32 = 1 << 16;
/// `ETH_P_ALL`, big-endian, in the lower half of `tcm_info`.
const ALL_PROTOCOLS: u32 = 0x0300;

/// A dump names each priority once without a filter; those have handle 0 and are left out.
fn described(answer: &RouteNetlinkMessage) -> Option<Attached> {
    let RouteNetlinkMessage::NewTrafficFilter(message) = answer else { return None };
    let handle = u32::from(message.header.handle);
    if handle == 0 {
        return None;
    }
    let options = message.attributes.iter().flat_map(|attribute| {
        if let TcAttribute::Options(options) = attribute { options.as_slice() } else { &[] }
    });
    let mut found = Attached {
        priority: u16::try_from(message.header.info >> 16).unwrap_or_default(),
        handle,
        program: None,
        direct: false,
    };
    for option in options {
        if let TcOption::Bpf(TcFilterBpfOption::ProgId(id)) = option {
            found.program = Some(*id);
        }
        if let TcOption::Bpf(TcFilterBpfOption::Flags(flags)) = option {
            found.direct = flags.contains(TcBpfFlags::DirectAction);
        }
    }
    Some(found)
}
