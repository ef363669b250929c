//! Links, namespaces and mounts against the running kernel. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;

use os::link::{End, Links};
use os::mount;
use os::namespace::{self, Namespace};

const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1));
const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2));
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// A named namespace that goes when the test ends, however it ends.
struct Named<'a>(&'a Path);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if let Err(failed) = namespace::delete(self.0) {
            assert!(failed.not_found(), "{failed}");
        }
    }
}

#[test]
fn a_cable_between_two_namespaces_carries_tcp() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let _names = (Named(&a), Named(&b));
    let near = Namespace::create(&a).unwrap();
    let far = Namespace::create(&b).unwrap();
    assert_ne!(near.inode().unwrap(), far.inode().unwrap());
    near.run(|| plug(&far)).unwrap();
    far.run(|| address(FAR, "far")).unwrap();

    let listener = far.run(|| TcpListener::bind(SocketAddr::new(FAR, 0)).unwrap()).unwrap();
    let at = listener.local_addr().unwrap();
    let mut client = near.run(|| TcpStream::connect(at).unwrap()).unwrap();
    let (mut server, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), NEAR);
    client.write_all(b"x").unwrap();
    let mut byte = [0];
    server.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
}

/// In the near namespace: a bridge with an address, and a cable from it into the far namespace.
fn plug(far: &Namespace) {
    let mut links = Links::open().unwrap();
    links.add_bridge("br0").unwrap();
    assert!(links.add_bridge("br0").unwrap_err().already_exists());
    let end = |name, namespace| End { name, mac: None, namespace };
    links.add_veth(end("near", None), End { mac: Some(MAC), ..end("far", Some(far.as_fd())) }).unwrap();
    links.set_master("near", "br0").unwrap();
    links.set_up("near").unwrap();
    address(NEAR, "br0");
    let bridge = links.find("br0").unwrap();
    assert_eq!(bridge.kind.as_deref(), Some("bridge"));
    assert_eq!(links.find("near").unwrap().master, Some(bridge.index));
    assert!(links.find("far").unwrap_err().not_found());
    assert_eq!(links.list().unwrap().len(), 3, "loopback, bridge, cable");
}

fn address(address: IpAddr, name: &str) {
    let mut links = Links::open().unwrap();
    links.add_address(name, address, 24).unwrap();
    links.set_up(name).unwrap();
    assert!(links.find(name).unwrap().up);
    assert!(links.addresses(name).unwrap().contains(&(address, 24)));
    if name == "far" {
        assert_eq!(links.find(name).unwrap().mac, Some(MAC));
    }
}

#[test]
fn a_deleted_link_takes_its_other_end_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let _names = (Named(&a), Named(&b));
    let near = Namespace::create(&a).unwrap();
    let far = Namespace::create(&b).unwrap();
    let listed = near
        .run(|| {
            let mut links = Links::open().unwrap();
            let end = |name| End { name, mac: None, namespace: None };
            links.add_veth(end("one"), end("two")).unwrap();
            links.move_to("two", far.as_fd()).unwrap();
            links.delete("one").unwrap();
            assert!(links.delete("one").unwrap_err().not_found());
        })
        .and_then(|()| far.run(|| Links::open().unwrap().list().unwrap()))
        .unwrap();
    assert_eq!(listed.len(), 1, "loopback alone: {listed:?}");
}

#[test]
fn a_name_is_taken_once_and_means_a_namespace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let _name = Named(&path);
    drop(Namespace::create(&path).unwrap());
    assert!(Namespace::create(&path).unwrap_err().already_exists());
    namespace::delete(&path).unwrap();
    assert!(Namespace::open(&path).unwrap_err().not_found());
    std::fs::write(&path, "").unwrap();
    assert!(Namespace::open(&path).unwrap_err().not_found(), "a plain file is no namespace");
}

#[test]
fn a_bpffs_comes_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    mount::bpffs(folder.path()).unwrap();
    assert!(mount::is_mounted(folder.path()).unwrap());
    std::fs::create_dir(folder.path().join("pins")).unwrap();
    mount::unmount(folder.path()).unwrap();
    assert!(!mount::is_mounted(folder.path()).unwrap());
    assert!(!folder.path().join("pins").exists());
}
