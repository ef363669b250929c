//! Requests and bulk data through a realm, against the same without a filter.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::Figure;
use crate::lane::{Lane, NET};
use crate::{Outcome, ROUNDS};

const HTTP: u16 = 5080;
const BULK: u16 = 5090;
/// "Requests/s through a realm at least 0.9 of the same server without filters" (issue 4).
const HTTP_LEAST: f64 = 0.9;
const TURN: Duration = Duration::from_millis(250);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

/// Requests a second and bytes a second of the second lane, as parts of the first one's; gives whether bounds are kept.
pub(crate) fn ratios(lanes: &mut [Lane]) -> Outcome<bool> {
    let mut kept = true;
    for lane in &lanes[..2] {
        let (http, bulk) = lane.net.run(|| (listen(HTTP), listen(BULK)))?;
        let (http, bulk) = (http?, bulk?);
        // They end with the process.
        thread::spawn(move || http.incoming().flatten().for_each(|stream| drop(answer(stream))));
        thread::spawn(move || bulk.incoming().flatten().for_each(|stream| drop(swallow(stream))));
    }
    // Not less than that; of bulk data nothing is promised.
    for (name, turn, least) in
        [("http_ratio", requests as fn() -> _, HTTP_LEAST), ("tcp_ratio", bytes as fn() -> _, 0.0)]
    {
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            // Each request is a flow, and has to find room.
            lanes[..2].iter_mut().try_for_each(Lane::forget_flows)?;
            let rates = lanes[..2].iter().map(|lane| rate(lane, turn)).collect::<Outcome<Vec<f64>>>()?;
            ratios.push(rates[1] / rates[0]);
        }
        kept &= Figure::of(name, "ratio", &mut ratios).at_least(least).print();
    }
    Ok(kept)
}

fn rate(lane: &Lane, turn: fn() -> std::io::Result<u64>) -> Outcome<f64> {
    let (done, took) = lane.realm.run(|| {
        let began = Instant::now();
        (turn(), began.elapsed())
    })?;
    // A whole number below 2^53.
    Ok(f64::from(u32::try_from(done? / 16)?) / took.as_secs_f64())
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = [0; 512];
    let _length = stream.read(&mut request)?;
    stream.write_all(ANSWER)
}

fn swallow(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 17];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Sixteen times the requests of a turn, each over a connection of its own.
fn requests() -> std::io::Result<u64> {
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < TURN {
        let mut stream = TcpStream::connect((NET, HTTP))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: net\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        done += 16;
    }
    Ok(done)
}

/// The bytes that one connection took in a turn.
fn bytes() -> std::io::Result<u64> {
    let mut stream = TcpStream::connect((NET, BULK))?;
    let block = vec![0x5a; 1 << 16];
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < TURN {
        stream.write_all(&block)?;
        done += block.len() as u64;
    }
    Ok(done)
}
