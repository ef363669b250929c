//! One table: what each process of the monitor may do, and why. [`enforce()`] makes it true before the
//! process does anything else; `bmonitor rights` prints it; tests compare it with `/proc`.
//!
//! What a process starts inherits its system-call list and its bounding set: so the supervisor's rows
//! hold what its children need, too (marked in the reasons), and each child narrows them to its own.

mod calls;
mod enforce;
#[cfg(test)]
mod tests;

use std::fmt;

use node_protocol::courier::{Confinement, Limits};
use os::capability::Capability;
use os::privilege::Limit;

pub(crate) use self::calls::Call;
pub(crate) use self::enforce::{Begin, NotEnforced, enforce};

/// A process of the monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Verifies, decides, records, starts and reaps the others.
    Supervisor,
    /// Does one effect that may block, then ends.
    Helper,
    /// Holds every key; lives as long as the supervisor.
    Custody,
    /// Has one tier's connections to its consoles. A program of its own: see decision 18.
    Courier,
    /// Leases the node's and the realms' addresses.
    Dhcp,
    /// Starts shims: what engines may do, it may, too.
    Launcher,
    /// Confines, hears and ends one engine.
    Shim,
    /// Unpacks one image.
    Unpacker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Supervisor => "supervisor",
            Self::Helper => "helper",
            Self::Custody => "custody",
            Self::Courier => "courier",
            Self::Dhcp => "dhcp",
            Self::Launcher => "launcher",
            Self::Shim => "shim",
            Self::Unpacker => "unpacker",
        })
    }
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Rights {
    pub(crate) role: Role,
    /// Its uid and gid, real, effective and saved; no further groups. Where there may be several such
    /// processes, each has one of its own, from this one up.
    pub(crate) uid: u32,
    /// How many there may be with a uid of their own.
    pub(crate) uids: u32,
    /// Permitted, effective and bounding set; nothing is inheritable or ambient.
    pub(crate) capabilities: &'static [(Capability, &'static str)],
    /// The system calls that work.
    pub(crate) calls: &'static [Call],
    /// What any other call does.
    pub(crate) others: Others,
    /// Who may speak to it, and how.
    pub(crate) callers: &'static str,
    /// Whether it keeps the node's network, or has an empty one of its own.
    pub(crate) network: bool,
    /// Whether it gets `SIGKILL` when the supervisor ends.
    pub(crate) dies_with_supervisor: bool,
    /// Hard limits; a process that runs into one fails, closed.
    pub(crate) limits: &'static [(Limit, u64)],
}

/// What becomes of a call that is not on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// It kills the process: its code is not ours any more.
    Kill,
    /// It is refused: what others wrote inherits the list, and tries what it does not need.
    Refuse,
}

/// Custody's uid and gid: of the range that Debian leaves to the machine's administrator (60000 to 64999
/// are given out by Debian itself, 65534 is shared with everything that is nobody).
pub(crate) const CUSTODY_UID: u32 = 65_210;

/// The uid and gid of who leases addresses.
const DHCP_UID: u32 = 65_211;

/// The uid and gid of who unpacks images.
pub(crate) const UNPACKER_UID: u32 = 65_212;

/// The first courier's uid and gid.
const COURIER_UID: u32 = 65_220;

/// Couriers at once, each with a uid.
pub(crate) const COURIERS_MAX: u32 = 32;

const MIB: u64 = 1024 * 1024;

/// The table.
pub(crate) const TABLE: [Rights; 8] = [
    Rights {
        role: Role::Supervisor,
        uid: 0,
        uids: 1,
        capabilities: &[
            (Capability::Chown, "gives custody its folder"),
            (Capability::DacOverride, "unlinks a tier's secret in custody's folder, without custody's help"),
            (Capability::Fowner, "for helpers: encrypting a volume's folder under a key that custody gave"),
            (Capability::Kill, "kills custody, couriers and dhcp, which have other uids"),
            (Capability::Bpf, "opens a realm's pinned maps and sets the cut bit; for helpers: loads filters"),
            (
                Capability::SysAdmin,
                "for helpers: network namespaces and their names; for custody: leaving the network",
            ),
            (Capability::NetAdmin, "the node's leased address; for helpers: links, addresses, filters"),
            (Capability::NetRaw, "for dhcp: its one socket, opened before it gives up every right"),
            (Capability::PerfMon, "for helpers: the verifier's leave to compare packet pointers"),
            (Capability::SysPtrace, "for helpers: which namespace a process of another uid is in"),
            (Capability::SetUid, "for custody, couriers, dhcp and unpackers: their own uid"),
            (Capability::SetGid, "for custody, couriers, dhcp and unpackers: their own gid"),
            (Capability::SetPcap, "for children: narrowing the bounding set"),
        ],
        calls: calls::SUPERVISOR,
        others: Others::Kill,
        callers: "run/bmonitor.sock: root and the uids of `orderers`, by SO_PEERCRED",
        network: true,
        dies_with_supervisor: false,
        limits: &[(Limit::CoreBytes, 0), (Limit::Descriptors, 256), (Limit::AddressSpaceBytes, 1024 * MIB)],
    },
    Rights {
        role: Role::Helper,
        uid: 0,
        uids: 1,
        capabilities: &[
            (
                Capability::SysAdmin,
                "enters and names network namespaces; mounts volumes, takes their keys away",
            ),
            (Capability::Fowner, "encrypts a volume's folder under a key that custody gave"),
            (Capability::NetAdmin, "links, addresses, filters"),
            (Capability::Bpf, "loads the filter program and its maps"),
            (Capability::PerfMon, "the verifier's leave to compare packet pointers"),
            (Capability::SysPtrace, "sees which processes are in a realm"),
            (Capability::Kill, "kills the processes of a realm that ended, and who holds a volume open"),
            (Capability::DacOverride, "reads objects and the pins' folder whoever made them"),
        ],
        calls: calls::HELPER,
        others: Others::Kill,
        callers: "the supervisor, by its stdin: one effect",
        network: true,
        dies_with_supervisor: true,
        limits: &[(Limit::CoreBytes, 0), (Limit::Descriptors, 256), (Limit::AddressSpaceBytes, 1024 * MIB)],
    },
    Rights {
        role: Role::Custody,
        uid: CUSTODY_UID,
        uids: 1,
        capabilities: &[],
        calls: calls::CUSTODY,
        others: Others::Kill,
        callers: "the supervisor, by its stdin: numbered requests; couriers, by streams that the supervisor \
                  hands over: one signature a handshake",
        network: false,
        dies_with_supervisor: true,
        limits: &[
            (Limit::CoreBytes, 0),
            (Limit::Descriptors, 96),
            (Limit::AddressSpaceBytes, 256 * MIB),
            (Limit::FileBytes, MIB),
        ],
    },
    Rights {
        role: Role::Courier,
        uid: COURIER_UID,
        uids: COURIERS_MAX,
        capabilities: &[],
        calls: calls::COURIER,
        others: Others::Kill,
        callers: "the supervisor, by its stdin: statuses and answers; its tier's consoles, by the connections \
                  that it dials: calls, which the supervisor answers",
        network: true,
        dies_with_supervisor: true,
        limits: &[(Limit::CoreBytes, 0), (Limit::Descriptors, 64), (Limit::AddressSpaceBytes, 1024 * MIB)],
    },
    Rights {
        role: Role::Dhcp,
        uid: DHCP_UID,
        uids: 1,
        capabilities: &[],
        calls: calls::DHCP,
        others: Others::Kill,
        callers: "the supervisor, by its stdin: which addresses are wished for; anybody on the bridge, by \
                  its one socket, whose filter takes DHCP to clients and ARP",
        network: true,
        dies_with_supervisor: true,
        limits: &[
            (Limit::CoreBytes, 0),
            (Limit::Descriptors, 32),
            (Limit::AddressSpaceBytes, 256 * MIB),
            (Limit::FileBytes, MIB),
        ],
    },
    Rights {
        role: Role::Launcher,
        uid: 0,
        uids: 1,
        capabilities: &[
            (Capability::Chown, "for shims: an engine's folder is the engine's"),
            (Capability::DacOverride, "for shims: an engine's folder, to show it to the engine"),
            (Capability::Kill, "for shims: ending an engine, which has another uid"),
            (Capability::SetUid, "for shims: an engine's own uid"),
            (Capability::SetGid, "for shims: an engine's own gid"),
            (Capability::SetPcap, "for shims: narrowing the bounding set"),
            (Capability::SysAdmin, "for shims: an engine's namespaces and mounts"),
        ],
        calls: calls::LAUNCHER,
        others: Others::Refuse,
        callers: "the supervisor, by its stdin: descriptors, each the stream to a shim that is to be started",
        network: true,
        dies_with_supervisor: true,
        limits: &[(Limit::CoreBytes, 0), (Limit::Descriptors, 4096)],
    },
    Rights {
        role: Role::Shim,
        uid: 0,
        uids: 1,
        capabilities: &[(Capability::Kill, "ends its engine, which has another uid")],
        calls: calls::SHIM,
        others: Others::Kill,
        callers: "the supervisor, by its stdin or by the socket in its run folder, which is root's: two commands; its \
                  engine, by a socket of its own: notices; and by its output",
        network: true,
        dies_with_supervisor: false,
        limits: &[(Limit::CoreBytes, 0), (Limit::Descriptors, 64), (Limit::AddressSpaceBytes, 256 * MIB)],
    },
    Rights {
        role: Role::Unpacker,
        uid: UNPACKER_UID,
        uids: 1,
        capabilities: &[],
        calls: calls::UNPACKER,
        others: Others::Kill,
        callers: "nobody: it has the image's descriptor and its folder, opened before it gives up every right",
        network: false,
        dies_with_supervisor: true,
        limits: &[
            (Limit::CoreBytes, 0),
            (Limit::Descriptors, 32),
            (Limit::AddressSpaceBytes, 256 * MIB),
            (Limit::FileBytes, 1024 * MIB),
        ],
    },
];

impl Role {
    /// Its row.
    pub(crate) fn rights(self) -> &'static Rights {
        match self {
            Self::Supervisor => &TABLE[0],
            Self::Helper => &TABLE[1],
            Self::Custody => &TABLE[2],
            Self::Courier => &TABLE[3],
            Self::Dhcp => &TABLE[4],
            Self::Launcher => &TABLE[5],
            Self::Shim => &TABLE[6],
            Self::Unpacker => &TABLE[7],
        }
    }
}

impl Rights {
    /// What a courier is told of its row: it makes it true of itself.
    pub(crate) fn confinement(&self, uid: u32, parent: u32) -> Confinement {
        let limit = |wanted: Limit| {
            let found = self.limits.iter().find(|(limit, _at_most)| *limit == wanted);
            found.map_or(0, |(_limit, at_most)| *at_most)
        };
        Confinement {
            uid,
            parent,
            limits: Limits {
                core_bytes: limit(Limit::CoreBytes),
                descriptors: limit(Limit::Descriptors),
                address_space_bytes: limit(Limit::AddressSpaceBytes),
            },
            calls: self.calls.iter().map(Call::as_told).collect(),
        }
    }

    /// The capabilities without their reasons.
    pub(crate) fn capabilities(&self) -> Vec<Capability> {
        self.capabilities.iter().map(|(capability, _reason)| *capability).collect()
    }
}
