use std::collections::HashSet;

use super::{Role, TABLE};

#[test]
fn every_row_stands_where_its_role_looks() {
    for rights in &TABLE {
        assert_eq!(rights.role.rights().role, rights.role);
    }
}

#[test]
fn every_call_is_known_and_has_a_reason_and_stands_once() {
    for rights in &TABLE {
        let mut seen = HashSet::new();
        for call in rights.calls {
            assert!(os::seccomp::number(call.allowed.call).is_some(), "{}", call.allowed.call);
            assert!(!call.reason.is_empty());
            assert!(seen.insert(call.allowed.call), "{}: {} twice", rights.role, call.allowed.call);
        }
    }
}

#[test]
fn children_have_nothing_that_the_supervisor_lacks() {
    let supervisor = Role::Supervisor.rights();
    // A launcher is started before the supervisor narrows itself, and shims by the launcher.
    let own = TABLE.iter().filter(|rights| !matches!(rights.role, Role::Launcher | Role::Shim));
    for rights in own {
        for capability in rights.capabilities() {
            assert!(supervisor.capabilities().contains(&capability), "{} of {}", capability, rights.role);
        }
        for call in rights.calls {
            let name = call.allowed.call;
            assert!(
                supervisor.calls.iter().any(|call| call.allowed.call == name),
                "{name} of {}",
                rights.role
            );
        }
    }
}

#[test]
fn custody_has_no_capability_no_network_and_starts_nothing() {
    let custody = Role::Custody.rights();
    assert!(custody.capabilities.is_empty() && !custody.network && custody.uid != 0);
    for forbidden in ["socket", "connect", "execve", "clone", "clone3", "ptrace", "bpf", "mount"] {
        assert!(!custody.calls.iter().any(|call| call.allowed.call == forbidden), "{forbidden}");
    }
}

#[test]
fn dhcp_has_no_capability_opens_nothing_and_starts_nothing() {
    let dhcp = Role::Dhcp.rights();
    assert!(dhcp.capabilities.is_empty() && dhcp.uid != 0);
    for forbidden in ["socket", "connect", "bind", "setsockopt", "openat", "execve", "clone", "clone3", "bpf"]
    {
        assert!(!dhcp.calls.iter().any(|call| call.allowed.call == forbidden), "{forbidden}");
    }
}

#[test]
fn what_engines_inherit_reaches_neither_keys_nor_the_kernel_nor_the_wire() {
    let launcher = Role::Launcher.rights();
    for forbidden in ["bpf", "ptrace", "perf_event_open", "init_module", "reboot", "memfd_secret", "chroot"] {
        assert!(!launcher.calls.iter().any(|call| call.allowed.call == forbidden), "{forbidden}");
    }
    let sockets = launcher.calls.iter().find(|call| call.allowed.call == "socket").unwrap();
    assert_eq!(sockets.allowed.first, [1, 2, 10]);
}

#[test]
fn a_shim_and_an_unpacker_start_nothing_and_dial_nobody() {
    for role in [Role::Shim, Role::Unpacker] {
        for forbidden in ["socket", "connect", "execve", "clone", "clone3", "fork", "mount", "setns", "bpf"] {
            assert!(!role.rights().calls.iter().any(|call| call.allowed.call == forbidden), "{forbidden}");
        }
    }
    assert!(Role::Unpacker.rights().capabilities.is_empty() && !Role::Unpacker.rights().network);
}
