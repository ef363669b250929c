//! Garbage: rows of bytes that no honest peer sends, put to every socket that listens somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::linux::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use os::namespace::Namespace;

use crate::facility::Facility;
use crate::failed::{Act, Failed};

/// How long an answer to garbage is waited for, and how long a full socket.
const PATIENCE: Duration = Duration::from_millis(20);
/// Beginnings that lead further in: frames of every length, TLS records and hellos, HTTP of both kinds, JSON, DHCP.
const BEGINNINGS: [&[u8]; 13] = [
    b"",
    b"\0\0\0\0",
    b"\0\0\0\x02{}",
    b"\xff\xff\xff\xff",
    b"\0\0\x01\0{\"call\":",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    b"\x17\x03\x03\xff\xff",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /call HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
    b"GET /v1/nodes HTTP/1.1\r\nAuthorization: Bearer ",
    b"{\"payloadType\":\"application/vnd.leasehold.order+json\",\"payload\":\"",
    b"\x01\x01\x06\0",
    b"\x02\x01\x06\0",
];
const TAIL_BYTES_MAX: u64 = 3_000;

/// Rows of garbage that follow from a seed.
#[derive(Debug, Clone)]
pub struct Garbage(u64);

impl Garbage {
    /// The same seed, the same rows.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next row: a beginning that may lead further in, then anything.
    pub fn row(&mut self) -> Vec<u8> {
        let beginning = BEGINNINGS[usize::try_from(self.below(13)).unwrap_or(0)];
        let length = self.below(TAIL_BYTES_MAX);
        let tail = (0..length).map(|_| self.next().to_le_bytes()[5]);
        beginning.iter().copied().chain(tail).collect()
    }

    /// Xorshift, by Marsaglia.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }
}

/// A socket that takes what strangers send.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// Takes connections.
    Tcp(SocketAddr),
    /// Takes datagrams.
    Udp(SocketAddr),
    /// Takes connections, under a name in the file system.
    Unix(PathBuf),
}

/// A process, as the machine counts: its id, and its name.
pub type Running = (u32, String);

impl Facility {
    /// Every socket that listens in the network namespace called `PREFIX-name`. Of those with a name in
    /// the file system, the ones that lie in the facility's folder.
    ///
    /// # Errors
    /// When nothing runs there, or the kernel does not tell.
    pub fn doors(&self, name: &str) -> Result<BTreeSet<Door>, Failed> {
        let act = || format!("look for sockets in {name:?}");
        let (process, _) = self.running(name)?.into_iter().next().ok_or("nothing runs there").act(act)?;
        let read = |file: &str| fs::read_to_string(format!("/proc/{process}/net/{file}")).act(act);
        let mut doors = BTreeSet::new();
        for (file, door) in [("tcp", Door::Tcp as fn(_) -> _), ("tcp6", Door::Tcp), ("udp", Door::Udp)] {
            // 0A: listens; 07: a datagram socket that is connected to nobody.
            let wanted = if file == "udp" { "07" } else { "0A" };
            doors.extend(read(file)?.lines().filter_map(|line| address(line, wanted)).map(door));
        }
        let unix = read("unix")?;
        let names = unix.lines().filter_map(|line| line.split_whitespace().nth(7)).map(PathBuf::from);
        doors.extend(names.filter(|path| path.starts_with(self.folder()) && path.exists()).map(Door::Unix));
        Ok(doors)
    }

    /// The processes that live in the network namespace called `PREFIX-name`.
    ///
    /// # Errors
    /// When there is no such namespace.
    pub fn running(&self, name: &str) -> Result<BTreeSet<Running>, Failed> {
        let act = || format!("look who runs in {name:?}");
        let wanted = fs::metadata(self.path_of(name)).map(|found| found.st_ino()).act(act)?;
        let mut running = BTreeSet::new();
        for entry in fs::read_dir("/proc").act(act)? {
            let entry = entry.act(act)?;
            let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let lives = fs::metadata(entry.path().join("ns/net")).is_ok_and(|found| found.st_ino() == wanted);
            if let (true, Ok(name)) = (lives, fs::read_to_string(entry.path().join("comm"))) {
                running.insert((process, name.trim_end().to_owned()));
            }
        }
        Ok(running)
    }

    /// Puts so many rows of garbage to every door in that namespace. Whether anybody minds is for the
    /// caller to see.
    ///
    /// # Errors
    /// When nothing runs there, or a door cannot be reached at all.
    pub fn throw_garbage(
        &self,
        name: &str,
        garbage: &mut Garbage,
        rows: usize,
    ) -> Result<BTreeSet<Door>, Failed> {
        let doors = self.doors(name)?;
        let namespace: Namespace = self.namespace(name)?;
        let act = || format!("throw garbage in {name:?}");
        let thrown = namespace.run(|| -> std::io::Result<()> {
            for _ in 0..rows {
                doors.iter().try_for_each(|door| throw(door, &garbage.row()))?;
            }
            Ok(())
        });
        thrown.act(act)?.act(act)?;
        Ok(doors)
    }
}

impl Facility {
    /// Sends so many rows of garbage to everybody on the management network, as datagrams from one port to another:
    /// who listens below IP has no socket that could be looked up.
    ///
    /// # Errors
    /// When they cannot be sent.
    pub fn broadcast_garbage(
        &self,
        (from, to): (u16, u16),
        garbage: &mut Garbage,
        rows: usize,
    ) -> Result<(), Failed> {
        let act = || "send garbage to everybody".to_owned();
        let sent = self.namespace("router")?.run(|| -> std::io::Result<()> {
            // A sender's own address says which link is meant (ip(7)).
            let socket = UdpSocket::bind((Ipv4Addr::new(10, 0, 0, 1), from))?;
            socket.set_broadcast(true)?;
            (0..rows).try_for_each(|_| socket.send_to(&garbage.row(), (Ipv4Addr::BROADCAST, to)).map(drop))
        });
        sent.act(act)?.act(act)
    }
}

/// The local address of a line of `/proc/net/tcp` and the like, if it is in this state.
fn address(line: &str, state: &str) -> Option<SocketAddr> {
    let mut fields = line.split_whitespace().skip(1);
    let (address, port) = fields.next()?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if fields.nth(1)? != state {
        return None;
    }
    // In words of 32 bits, each as the machine writes it.
    let words = (0..address.len() / 8).map(|word| u32::from_str_radix(&address[word * 8..word * 8 + 8], 16));
    let words: Vec<[u8; 4]> = words.map(|word| word.map(u32::to_ne_bytes)).collect::<Result<_, _>>().ok()?;
    let address = match words.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(*word)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words.concat()).ok()?)),
    };
    let local = match address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    };
    Some(SocketAddr::new(local, port))
}

fn throw(door: &Door, row: &[u8]) -> std::io::Result<()> {
    match door {
        Door::Tcp(to) => {
            let stream = TcpStream::connect_timeout(to, Duration::from_secs(5))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            talk(&stream, row, || stream.shutdown(Shutdown::Write))
        }
        Door::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            talk(&stream, row, || stream.shutdown(Shutdown::Write))
        }
        Door::Udp(to) => {
            let own = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(own)?;
            socket.send_to(row, to).map(drop)
        }
    }
}

/// Says it, and hears what comes back; that the other end hangs up meanwhile is its right.
fn talk(
    mut stream: impl Read + Write,
    row: &[u8],
    end: impl FnOnce() -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut answer = [0; 1024];
    let said = stream.write_all(row).and_then(|()| end()).and_then(|()| stream.read(&mut answer).map(drop));
    match said {
        Err(error) if !given_up(error.kind()) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn given_up(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionReset, Interrupted, NotConnected, TimedOut, WouldBlock};
    [BrokenPipe, ConnectionReset, Interrupted, NotConnected, TimedOut, WouldBlock].contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_are_read_as_the_kernel_writes_them() {
        let line = "  0: 0200000A:1D13 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1";
        assert_eq!(address(line, "0A"), Some("10.0.0.2:7443".parse().unwrap()));
        assert_eq!(address(line, "01"), None);
        let line = "  0: 00000000000000000000000000000000:0050 0000:0000 0A 0:0 0:0 0 0 0 1 1";
        assert_eq!(address(line, "0A"), Some("[::1]:80".parse().unwrap()));
    }

    #[test]
    fn garbage_follows_from_its_seed() {
        let (mut one, mut other) = (Garbage::new(7), Garbage::new(7));
        assert!((0..50).all(|_| one.row() == other.row()));
        assert_ne!(one.row(), Garbage::new(9).row());
    }
}
