//! Who may ask: who the kernel says is root or the folder's owner, and who has the admin token.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use console_api::Exit;
use id::Digest;

use super::problem::No;
use crate::folder::token_digest;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A process of this machine, with its uid.
    Local(u32),
    /// Anybody.
    Remote,
}

/// Lets the peer in, or not.
pub(crate) fn check(peer: Peer, owner: u32, headers: &HeaderMap, token: &Digest) -> Result<(), No> {
    match peer {
        Peer::Local(uid) if uid == 0 || uid == owner => return Ok(()),
        Peer::Local(_) | Peer::Remote => {}
    }
    let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let Some(given) = given else {
        return Err(No::new("not-authenticated", Exit::NotAuthenticated, "the request has no token")
            .hint("set LEASEHOLD_TOKEN_FILE to a copy of the console's admin.token"));
    };
    if equal(&token_digest(given.trim_ascii()), token) {
        Ok(())
    } else {
        Err(No::new("not-authenticated", Exit::NotAuthenticated, "the token is not this console's")
            .hint("the console's admin.token has the right one"))
    }
}

/// Compares without stopping at the first difference. What is compared are digests: how long it takes would
/// tell nothing of the token anyway.
fn equal(a: &Digest, b: &Digest) -> bool {
    a.as_bytes().iter().zip(b.as_bytes()).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}
