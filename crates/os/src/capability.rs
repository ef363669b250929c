//! Capabilities: `capabilities(7)`.

use std::fmt;
use std::io;
use std::str::FromStr;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

macro_rules! capabilities {
    ($($(#[$doc:meta])* $name:ident = $flag:ident, $number:literal;)*) => {
        /// A capability that some process of the project holds; the kernel knows more.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Capability { $($(#[$doc])* $name,)* }

        impl Capability {
            /// Every capability of the list.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The kernel's number.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self { $(Self::$name => $number,)* }
            }

            const fn flag(self) -> CapabilitySet {
                match self { $(Self::$name => CapabilitySet::$flag,)* }
            }

            const fn text(self) -> &'static str {
                match self { $(Self::$name => concat!("CAP_", stringify!($flag)),)* }
            }
        }
    };
}

capabilities! {
    /// Give files to another uid.
    Chown = CHOWN, 0;
    /// Open and remove files whatever their mode.
    DacOverride = DAC_OVERRIDE, 1;
    /// Act on files of others as their owner.
    Fowner = FOWNER, 3;
    /// Signal processes of any uid.
    Kill = KILL, 5;
    /// Change groups.
    SetGid = SETGID, 6;
    /// Change the uid.
    SetUid = SETUID, 7;
    /// Take capabilities out of the bounding set.
    SetPcap = SETPCAP, 8;
    /// Links, addresses, filters.
    NetAdmin = NET_ADMIN, 12;
    /// Sockets below the kernel's own IP.
    NetRaw = NET_RAW, 13;
    /// See which namespaces a process of another uid is in.
    SysPtrace = SYS_PTRACE, 19;
    /// Namespaces and mounts.
    SysAdmin = SYS_ADMIN, 21;
    /// Load filter programs that the verifier lets compare packet pointers.
    PerfMon = PERFMON, 38;
    /// Filter programs and maps.
    Bpf = BPF, 39;
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl FromStr for Capability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|capability| capability.text() == text);
        found.copied().ok_or_else(|| format!("{text:?} is not a known capability"))
    }
}

/// The kernel's 64-bit mask of these, as in `CapEff` of `/proc/PID/status`.
#[must_use]
pub fn mask(kept: &[Capability]) -> u64 {
    kept.iter().fold(0, |mask, capability| mask | 1 << capability.number())
}

/// Takes everything but `kept` out of the bounding set of this thread, for ever.
///
/// # Errors
/// The kernel's: without `CAP_SETPCAP` nothing can be taken out.
pub fn bound(kept: &[Capability]) -> io::Result<()> {
    let kept = mask(kept);
    for number in 0..u64::BITS {
        let flag = CapabilitySet::from_bits_retain(1 << number);
        // The kernel answers EINVAL for the first number that it does not know: the end of its list.
        let Ok(held) = capability_is_in_bounding_set(flag) else { break };
        if held && kept & (1 << number) == 0 {
            remove_capability_from_bounding_set(flag)?;
        }
    }
    Ok(())
}

/// Makes `kept` the permitted and effective set of this thread; inheritable and ambient become empty.
///
/// # Errors
/// The kernel's: a capability that is not permitted now cannot be kept.
pub fn keep(kept: &[Capability]) -> io::Result<()> {
    let kept = kept.iter().fold(CapabilitySet::empty(), |set, capability| set | capability.flag());
    clear_ambient_capability_set()?;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_flags() {
        for capability in Capability::ALL {
            assert_eq!(capability.flag().bits(), 1 << capability.number(), "{capability}");
            assert_eq!(capability.to_string().parse(), Ok(*capability));
        }
    }

    #[test]
    fn a_mask_is_what_proc_shows() {
        assert_eq!(mask(&[Capability::Chown, Capability::NetAdmin]), 0x1001);
        assert_eq!(mask(&[]), 0);
    }
}
