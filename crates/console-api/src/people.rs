//! The people at a console: who may do what, and who did what.

use std::collections::BTreeMap;
use std::fmt;

use id::{Name, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use zeroize::Zeroize as _;

/// How much a person may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look at everything that the console shows, and plan.
    Read,
    /// Also the daily work: boundaries, engines, incidents, names.
    Operate,
    /// Also what binds or ends: leases, nodes, keys, orders written by hand, other people.
    Administer,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Operate, Self::Administer];

    /// Its name, as in JSON and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Administer => "administer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| format!("one of {} is wanted", Self::ALL.map(Self::name).join(", ")))
    }
}

/// A person whom the console knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What the audit trail calls them.
    #[schema(value_type = String)]
    pub name: Name,
    /// What they may do.
    pub role: Role,
    /// Who this is on the console's machine: over a unix socket this uid needs no token.
    pub uid: Option<u32>,
    /// Since when they are known.
    #[schema(value_type = String)]
    pub since: Time,
    /// Since when their token is the one that counts.
    #[schema(value_type = String)]
    pub token_since: Time,
}

/// A person to be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// What to call them.
    #[schema(value_type = String)]
    pub name: Name,
    /// What they may do.
    pub role: Role,
    /// Who this is on the console's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

/// A person and their new token. The console keeps a digest of it: nobody is shown it again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserToken {
    /// Whose it is.
    pub user: User,
    /// The token, for `LEASEHOLD_TOKEN` or a file that `LEASEHOLD_TOKEN_FILE` names.
    pub token: String,
}

impl fmt::Debug for UserToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserToken({})", self.user.name)
    }
}

impl Drop for UserToken {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

/// As whom a request comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Whoami {
    /// The person; `admin` is who has the admin token, or the folder, or the machine.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How the console knows: `token`, or `uid 1000`.
    pub by: String,
}

/// Something that a person did, or was refused. What only reads is not in the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Its place in the trail; none is left out.
    pub number: u64,
    /// When it was asked for.
    #[schema(value_type = String)]
    pub at: Time,
    /// By whom.
    pub user: String,
    /// How the console knew: `token`, or `uid 1000`.
    pub by: String,
    /// What: an operation of the API, as `lease_sever`.
    pub operation: String,
    /// On what path.
    pub path: String,
    /// The short parts of what was asked, as the contract or the node.
    pub about: BTreeMap<String, String>,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// Which request it was.
    pub request_id: String,
}

/// What came of something that a person asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "outcome", deny_unknown_fields)]
pub enum AuditOutcome {
    /// It was begun. If this stays, the console ended or the request took too long: look at what it was about.
    Begun,
    /// It was done; what each node said to it is in the orders.
    Done,
    /// It was refused, or failed.
    Refused {
        /// The problem's code.
        code: String,
        /// The problem's words.
        message: String,
    },
}

/// Which part of the trail is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// What follows this number. A `next` of the page before is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Begin with the newest this many, where `after` is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<u64>,
    /// At most this many; 100 when left out, 1000 at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_and_have_one_name() {
        assert!(Role::Read < Role::Operate && Role::Operate < Role::Administer);
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert!("root".parse::<Role>().unwrap_err().contains("read, operate, administer"));
    }

    #[test]
    fn a_token_is_not_shown_by_debug() {
        let user = User {
            name: "kim".parse().unwrap(),
            role: Role::Read,
            uid: None,
            since: Time::ZERO,
            token_since: Time::ZERO,
        };
        let shown = UserToken { user, token: "verysecret".to_owned() };
        assert_eq!(format!("{shown:?}"), "UserToken(kim)");
    }
}
