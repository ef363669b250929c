//! As much of HTTP/1.1 as a power port needs: one request a connection, with limits on all of it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// The longest head, and the longest body.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const BODY_BYTES_MAX: usize = 4 * 1024;
/// How long each read and write may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    authorization: Option<String>,
    pub(super) body: Vec<u8>,
}

/// What is answered.
#[derive(Debug, PartialEq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
}

impl Response {
    pub(super) fn json(body: &Value) -> Self {
        Self { status: 200, body: Some(body.clone()) }
    }

    pub(super) const fn empty(status: u16) -> Self {
        Self { status, body: None }
    }
}

impl Request {
    /// Whether it shows this user and password (RFC 7617).
    pub(super) fn is_by(&self, user: &str, password: &str) -> bool {
        let shown = self.authorization.as_deref().and_then(|shown| shown.split_once(' '));
        let wanted = data_encoding::BASE64.encode(format!("{user}:{password}").as_bytes());
        shown.is_some_and(|(scheme, shown)| scheme.eq_ignore_ascii_case("basic") && shown.trim() == wanted)
    }
}

/// Reads one request; what is none comes as the answer to it.
pub(super) fn read(stream: &mut TcpStream) -> io::Result<Result<Request, Response>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > HEAD_BYTES_MAX {
            return Ok(Err(Response::empty(431)));
        }
        more(stream, &mut bytes)?;
    };
    let body = bytes.split_off(head + 4);
    let Some((mut request, length)) = head_of(&bytes) else { return Ok(Err(Response::empty(400))) };
    if length > BODY_BYTES_MAX {
        return Ok(Err(Response::empty(413)));
    }
    request.body = body;
    while request.body.len() < length {
        more(stream, &mut request.body)?;
    }
    request.body.truncate(length);
    Ok(Ok(request))
}

fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut part = [0; 1024];
    match stream.read(&mut part)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        length => {
            bytes.extend_from_slice(&part[..length]);
            Ok(())
        }
    }
}

/// The request line and the two fields that count; and how long the body is.
fn head_of(bytes: &[u8]) -> Option<(Request, usize)> {
    let mut lines = std::str::from_utf8(bytes).ok()?.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/1.") || !path.starts_with('/') {
        return None;
    }
    let (mut length, mut authorization) = (0, None);
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => authorization = Some(value.trim().to_owned()),
            // A body without a length in advance.
            "transfer-encoding" => return None,
            _ => {}
        }
    }
    Some((
        Request { method: method.to_owned(), path: path.to_owned(), authorization, body: Vec::new() },
        length,
    ))
}

pub(super) fn write(stream: &mut TcpStream, response: &Response) -> io::Result<()> {
    let body = response.body.as_ref().map(ToString::to_string).unwrap_or_default();
    let reason = match response.status {
        200 => "OK",
        204 => "No Content",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        500 => "Internal Server Error",
        _ => "Bad Request",
    };
    let mut head = format!(
        "HTTP/1.1 {} {reason}\r\nServer: leasehold-lab-simulated-bmc\r\nOData-Version: 4.0\r\nConnection: close\r\n",
        response.status
    );
    if response.status == 401 {
        head += "WWW-Authenticate: Basic realm=\"simulated BMC\"\r\n";
    }
    if response.status != 204 {
        head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    stream.write_all((head + "\r\n" + &body).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_and_nothing_else() {
        let (request, length) =
            head_of(b"POST /a HTTP/1.1\r\nAuthorization: basic bGFiOng=\r\ncontent-length: 3\r\n\r\n")
                .unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str(), length), ("POST", "/a", 3));
        assert!(request.is_by("lab", "x") && !request.is_by("lab", "y") && !request.is_by("la", "b:x"));
        for no_request in [
            "",
            "GET",
            "GET /",
            "GET / HTTP/1.1 x",
            "GET / HTTP/2",
            "GET a HTTP/1.1",
            "GET / HTTP/1.1\r\nx",
            "GET / HTTP/1.1\r\nContent-Length: -1",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked",
        ] {
            assert_eq!(head_of(no_request.as_bytes()), None, "{no_request}");
        }
    }
}
