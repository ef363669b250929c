//! `leasehold user …`: who may do what at a console.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use console_api::{NewUser, Page, Role, User, UserToken, Whoami};
use id::Name;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::file;
use crate::output::{self, Format, line};
use crate::reach::{Reach, segment};
use crate::table::table;

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make somebody known, and print their token: this once
    Add(Adding),
    /// List everybody whom the console knows, beside admin
    List(Reach),
    /// Give somebody another token, and print it: the one before counts no more
    Rotate(Rotating),
    /// Forget somebody: their token and their uid count no more
    Remove(One),
    /// Show as whom the console knows you
    Whoami(Reach),
}

/// A new person.
#[derive(Args)]
pub(crate) struct Adding {
    /// What the audit trail is to call them
    name: Name,
    /// What they may do: read (look and plan), operate (also the daily work), administer (also leases, keys, people)
    #[arg(long)]
    role: Role,
    /// Who this is on the console's machine: over a unix socket this uid needs no token
    #[arg(long)]
    uid: Option<u32>,
    /// Write the token to this new file, not to stdout
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

/// A new token.
#[derive(Args)]
pub(crate) struct Rotating {
    /// Whose
    #[arg(add = crate::complete::users())]
    name: Name,
    /// Write the token to this new file, not to stdout
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

/// One person.
#[derive(Args)]
pub(crate) struct One {
    /// Their name
    #[arg(add = crate::complete::users())]
    name: Name,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Add(Adding { name, role, uid, out, reach }) => {
            let new = NewUser { name: name.clone(), role: *role, uid: *uid };
            let added = reach.ask(async |client| client.post("/v1/users", &new).await)?;
            given(&added, out.as_ref(), reach.output)
        }
        Verb::Rotate(Rotating { name, out, reach }) => {
            let path = format!("/v1/users/{}/rotate", segment(name.as_str()));
            let rotated = reach.ask(async |client| client.post(&path, &json!({})).await)?;
            given(&rotated, out.as_ref(), reach.output)
        }
        Verb::List(reach) => list(reach),
        Verb::Remove(One { name, reach }) => {
            let path = format!("/v1/users/{}", segment(name.as_str()));
            let user: User = reach.ask(async |client| client.delete(&path).await)?;
            match reach.output {
                Format::Json => line(&json!(user).to_string()),
                Format::Text => line(&format!("{} may do nothing here any more", user.name)),
            }
            Ok(Exit::Ok)
        }
        Verb::Whoami(reach) => {
            let me: Whoami = reach.ask(async |client| client.get("/v1/whoami").await)?;
            match reach.output {
                Format::Json => line(&json!(me).to_string()),
                Format::Text => line(&format!("{}, who may {} (known by {})", me.name, me.role, me.by)),
            }
            Ok(Exit::Ok)
        }
    }
}

/// The token alone goes to stdout, so that a file of it is a token file.
fn given(given: &UserToken, out: Option<&PathBuf>, output: Format) -> Result<Exit, Failure> {
    let user = &given.user;
    match (out, output) {
        (Some(path), _) => file::write_new(path, format!("{}\n", given.token).as_bytes(), 0o600)?,
        (None, Format::Json) => line(&json!(given).to_string()),
        (None, Format::Text) => line(&given.token),
    }
    if output == Format::Text {
        output::talk(&format!(
            "this is the token of {}, who may {}: nobody is shown it again",
            user.name, user.role
        ));
        output::talk("they name its file with LEASEHOLD_TOKEN_FILE");
    }
    Ok(Exit::Ok)
}

fn list(reach: &Reach) -> Result<Exit, Failure> {
    let users: Page<User> = reach.all("/v1/users")?;
    match reach.output {
        Format::Json => line(&json!(users).to_string()),
        Format::Text => {
            let row = |user: &User| {
                [
                    user.name.to_string(),
                    user.role.to_string(),
                    user.uid.map_or_else(|| "-".to_owned(), |uid| uid.to_string()),
                    user.since.to_string(),
                    user.token_since.to_string(),
                ]
            };
            let rows: Vec<_> = users.items.iter().map(row).collect();
            line(&table(["USER", "MAY", "UID", "SINCE", "TOKEN SINCE"], &rows));
        }
    }
    Ok(Exit::Ok)
}
