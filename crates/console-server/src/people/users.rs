//! Whom the console knows: their roles, the digests of their tokens, their uids.

use console_api::{NewUser, Role, User, UserToken, Whoami};
use id::{Digest, Digester, Name, Time};
use serde::{Deserialize, Serialize};
use store::{Key, Store, Transaction};
use zeroize::Zeroizing;

use crate::api::{No, not_found, refused};
use crate::folder::token_digest;
use crate::records::{self, Read, key, value};
use crate::state::Console;

/// Who has the admin token, the folder, or the machine. Nobody else may be called so.
pub(crate) const ADMIN: &str = "admin";

/// The most people of one console.
const USERS_MAX: usize = 1000;

/// Who asks, once the door knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// `token`, or `uid 1000`.
    pub(crate) by: String,
}

impl Asker {
    pub(crate) fn admin(by: String) -> Self {
        Self { name: ADMIN.to_owned(), role: Role::Administer, by }
    }

    pub(crate) fn shown(&self) -> Whoami {
        Whoami { name: self.name.clone(), role: self.role, by: self.by.clone() }
    }
}

/// What stands in the store about a person. Of the token there is only a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KnownUser {
    name: Name,
    role: Role,
    uid: Option<u32>,
    since: Time,
    token: Digest,
    token_since: Time,
}

impl KnownUser {
    fn shown(&self) -> User {
        User {
            name: self.name.clone(),
            role: self.role,
            uid: self.uid,
            since: self.since,
            token_since: self.token_since,
        }
    }

    fn asker(&self, by: String) -> Asker {
        Asker { name: self.name.to_string(), role: self.role, by }
    }
}

fn user_key(name: &Name) -> Key {
    key(format!("user/{name}"))
}

/// Who has a token is found by its digest.
fn token_key(token: &Digest) -> Key {
    key(format!("user-token/{token}"))
}

fn uid_key(uid: u32) -> Key {
    key(format!("user-uid/{uid}"))
}

/// The person with that token, if it is somebody's.
pub(crate) fn by_token(store: &dyn Store, token: &Digest) -> Result<Option<Asker>, No> {
    let user = indexed(store, &token_key(token))?;
    Ok(user.filter(|user| user.token == *token).map(|user| user.asker("token".to_owned())))
}

/// The person who is that uid on this machine, if it is somebody's.
pub(crate) fn by_uid(store: &dyn Store, uid: u32) -> Result<Option<Asker>, No> {
    let user = indexed(store, &uid_key(uid))?;
    Ok(user.filter(|user| user.uid == Some(uid)).map(|user| user.asker(format!("uid {uid}"))))
}

fn indexed(store: &dyn Store, index: &Key) -> Result<Option<KnownUser>, No> {
    let Some(name) = records::get::<Name>(store, index)? else { return Ok(None) };
    Ok(records::get::<KnownUser>(store, &user_key(&name.value))?.map(|read| read.value))
}

impl Console {
    /// Everybody, by name.
    pub(super) fn users(&self) -> Result<Vec<User>, No> {
        let all = records::all::<KnownUser>(self.store(), "user/")?;
        Ok(all.iter().map(|read| read.value.shown()).collect())
    }

    /// Makes somebody known, and a token for them.
    pub(super) async fn add_user(&self, new: NewUser) -> Result<UserToken, No> {
        let NewUser { name, role, uid } = new;
        if name.as_str() == ADMIN {
            return Err(refused("name-taken", "admin is who has the admin token").hint("choose another name"));
        }
        if self.users()?.len() >= USERS_MAX {
            return Err(refused("limit", format!("the console knows {USERS_MAX} people already")));
        }
        if records::get::<KnownUser>(self.store(), &user_key(&name))?.is_some() {
            return Err(refused("name-taken", format!("there is a user {name} already"))
                .hint("`leasehold user rotate` gives them a new token"));
        }
        if let Some(other) = uid.map(|uid| indexed(self.store(), &uid_key(uid))).transpose()?.flatten() {
            return Err(refused("uid-taken", format!("this uid is {} already", other.name)));
        }
        let (token, digest) = self.new_token()?;
        let now = self.world.now();
        let user = KnownUser { name, role, uid, since: now, token: digest, token_since: now };
        let mut write = Transaction::new()
            .expect(&user_key(&user.name), None)
            .put(&user_key(&user.name), value(&user))
            .put(&token_key(&digest), value(&user.name));
        if let Some(uid) = uid {
            write = write.expect(&uid_key(uid), None).put(&uid_key(uid), value(&user.name));
        }
        self.commit(write).await?;
        Ok(UserToken { user: user.shown(), token: token.to_string() })
    }

    /// Gives somebody another token; the one before counts no more.
    pub(super) async fn rotate_user(&self, name: &str) -> Result<UserToken, No> {
        let Read { entry, value: before } = self.known_user(name)?;
        let (token, digest) = self.new_token()?;
        let user = KnownUser { token: digest, token_since: self.world.now(), ..before.clone() };
        let write = Transaction::new()
            .expect(&entry.key, Some(&entry))
            .put(&entry.key, value(&user))
            .remove(&token_key(&before.token))
            .put(&token_key(&digest), value(&user.name));
        self.commit(write).await?;
        Ok(UserToken { user: user.shown(), token: token.to_string() })
    }

    /// Forgets somebody: neither their token nor their uid counts any more.
    pub(super) async fn remove_user(&self, name: &str) -> Result<User, No> {
        let Read { entry, value: user } = self.known_user(name)?;
        let mut write = Transaction::new()
            .expect(&entry.key, Some(&entry))
            .remove(&entry.key)
            .remove(&token_key(&user.token));
        if let Some(uid) = user.uid {
            write = write.remove(&uid_key(uid));
        }
        self.commit(write).await?;
        Ok(user.shown())
    }

    fn known_user(&self, name: &str) -> Result<Read<KnownUser>, No> {
        let short: String = name.chars().take(80).collect();
        let found = match name.parse::<Name>() {
            Ok(name) => records::get(self.store(), &user_key(&name))?,
            Err(_no_name) => None,
        };
        found.ok_or_else(|| {
            not_found(format!("there is no user {short:?}")).hint("`leasehold user list` shows all")
        })
    }

    fn new_token(&self) -> Result<(Zeroizing<String>, Digest), No> {
        let drawn = Zeroizing::new(self.world.random()?);
        let token =
            Zeroizing::new(Digester::new("leasehold user token").part(drawn.as_slice()).finish().to_string());
        let token = Zeroizing::new(token.trim_start_matches("sha256:").to_owned());
        let digest = token_digest(token.as_bytes());
        Ok((token, digest))
    }
}
