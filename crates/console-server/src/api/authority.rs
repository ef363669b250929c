//! Who asks: whom a token names; else whom the kernel names at a unix socket.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use console_api::Exit;
use id::Digest;

use super::problem::No;
use crate::folder::token_digest;
use crate::people::{Asker, users};
use crate::state::Console;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A process of this machine, with its uid.
    Local(u32),
    /// Anybody.
    Remote,
}

/// Who it is, if it is anybody. A token counts before the uid: so one who is root may ask as less.
pub(crate) fn asker(console: &Console, peer: Peer, headers: &HeaderMap) -> Result<Asker, No> {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if let Some(given) = given {
        return by_token(console, &token_digest(given.trim_ascii()));
    }
    match peer {
        Peer::Local(uid) => by_uid(console, uid),
        Peer::Remote => Err(nobody("the request has no token")
            .hint("set LEASEHOLD_TOKEN_FILE to the file with your token (`leasehold user add` makes one)")),
    }
}

fn by_token(console: &Console, given: &Digest) -> Result<Asker, No> {
    if equal(given, &console.opened.token) {
        return Ok(Asker::admin("token".to_owned()));
    }
    users::by_token(console.store(), given)?.ok_or_else(|| {
        nobody("the token is not this console's")
            .hint("ask whoever administers it: leasehold user rotate NAME")
    })
}

fn by_uid(console: &Console, uid: u32) -> Result<Asker, No> {
    if let Some(person) = users::by_uid(console.store(), uid)? {
        return Ok(person);
    }
    if uid == 0 || uid == console.opened.owner {
        return Ok(Asker::admin(format!("uid {uid}")));
    }
    Err(nobody(format!("uid {uid} is nobody to this console"))
        .hint(format!("whoever administers it can change that: leasehold user add NAME --uid {uid}")))
}

fn nobody(why: impl Into<String>) -> No {
    No::new("not-authenticated", Exit::NotAuthenticated, why)
}

/// Compares without stopping at the first difference. What is compared are digests: how long it takes would
/// tell nothing of the token anyway.
fn equal(a: &Digest, b: &Digest) -> bool {
    a.as_bytes().iter().zip(b.as_bytes()).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}
