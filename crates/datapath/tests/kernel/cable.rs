//! A cable between two namespaces: the world at the near end, the realm at the far end.

use std::fs;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use datapath::Lease;
use os::link::{End, Links};
use os::namespace::{self, Namespace};
use os::packet::FrameSocket;

pub(crate) const NEAR: &str = "near";
const FAR: &str = "far";

/// Both ends are down at first; nothing but what a test sends goes over it.
pub(crate) struct Cable {
    /// Sends to the realm.
    pub(crate) near: FrameSocket,
    /// Sends as the realm.
    pub(crate) far: FrameSocket,
    /// The namespace at the far end. The calling thread is in the one at the near end.
    pub(crate) realm: Namespace,
    names: [PathBuf; 2],
}

impl Cable {
    /// Moves the calling thread into a namespace of its own: a test has a thread of its own.
    pub(crate) fn new(folder: &Path) -> Self {
        let names = [folder.join("outside"), folder.join("realm")];
        let outside = Namespace::create(&names[0]).unwrap();
        let realm = Namespace::create(&names[1]).unwrap();
        realm.run(silence).unwrap();
        outside.enter().unwrap();
        silence();
        let near = End { name: NEAR, mac: None, namespace: None };
        let far = End { name: FAR, mac: None, namespace: Some(realm.as_fd()) };
        Links::open().unwrap().add_veth(near, far).unwrap();
        let far = realm.run(|| FrameSocket::open(FAR).unwrap()).unwrap();
        Self { near: FrameSocket::open(NEAR).unwrap(), far, realm, names }
    }

    /// Sets both ends up.
    pub(crate) fn bring_up(&self) {
        Links::open().unwrap().set_up(NEAR).unwrap();
        self.realm.run(|| Links::open().unwrap().set_up(FAR).unwrap()).unwrap();
    }

    /// Gives both ends an address, and the realm's its MAC.
    pub(crate) fn give_addresses(&self, lease: &Lease, outside: IpAddr) {
        let prefix = 16;
        Links::open().unwrap().add_address(NEAR, outside, prefix).unwrap();
        self.realm
            .run(|| {
                let mut links = Links::open().unwrap();
                links.set_mac(FAR, lease.mac).unwrap();
                for address in &lease.addresses {
                    links.add_address(FAR, *address, prefix).unwrap();
                }
            })
            .unwrap();
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in &self.names {
            drop(namespace::delete(name));
        }
    }
}

/// Only the test's own frames go over the cable: no router solicitations, no duplicate detection.
fn silence() {
    for file in ["all", "default"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{file}/disable_ipv6"), "1").unwrap();
    }
}
