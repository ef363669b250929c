//! `bmonitor rights`: the table of `rights`, for people and for programs.

use os::privilege::Limit;
use serde_json::{Value, json};

use crate::output::{Format, line};
use crate::rights::{Others, Rights, TABLE};

/// Prints the table.
pub(crate) fn print(format: Format) {
    match format {
        Format::Json => line(&Value::from_iter(TABLE.iter().map(as_json)).to_string()),
        Format::Text => TABLE.iter().for_each(as_text),
    }
}

fn as_json(rights: &Rights) -> Value {
    let capabilities = rights.capabilities.iter();
    let calls = rights.calls.iter();
    json!({
        "process": rights.role.to_string(),
        "uid": rights.uid,
        "uids": rights.uids,
        "network": if rights.network { "node" } else { "none" },
        "dies_with_supervisor": rights.dies_with_supervisor,
        "others": match rights.others {
            Others::Kill => "killed",
            Others::Refuse => "refused",
        },
        "callers": rights.callers,
        "capability_mask": format!("{:016x}", os::capability::mask(&rights.capabilities())),
        "capabilities": Value::from_iter(capabilities.map(|(capability, reason)| json!({
            "name": capability.to_string(), "reason": reason,
        }))),
        "system_calls": Value::from_iter(calls.map(|call| json!({
            "name": call.allowed.call, "first_argument": call.allowed.first, "reason": call.reason,
        }))),
        "limits": Value::from_iter(rights.limits.iter().map(|(limit, at_most)| json!({
            "name": limit_name(*limit), "at_most": at_most,
        }))),
    })
}

fn as_text(rights: &Rights) {
    let network = if rights.network { "the node's network" } else { "no network" };
    let lives = if rights.dies_with_supervisor { "dies with the supervisor" } else { "lives on its own" };
    let uids = match rights.uids {
        1 => rights.uid.to_string(),
        many => format!("{} to {}, one each", rights.uid, rights.uid + many - 1),
    };
    line(&format!("{}: uid {uids}, {network}, {lives}", rights.role));
    line(&format!("  callers: {}", rights.callers));
    for (limit, at_most) in rights.limits {
        line(&format!("  limit    {:26} {at_most}", limit_name(*limit)));
    }
    for (capability, reason) in rights.capabilities {
        line(&format!("  may      {:26} {reason}", capability.to_string()));
    }
    let others = match rights.others {
        Others::Kill => "any other call kills it",
        Others::Refuse => "any other call is refused",
    };
    line(&format!("  calls    these; {others}"));
    for call in rights.calls {
        let name = match call.allowed.first {
            [] => call.allowed.call.to_owned(),
            first => format!("{} {first:?}", call.allowed.call),
        };
        line(&format!("  calls    {name:26} {}", call.reason));
    }
}

const fn limit_name(limit: Limit) -> &'static str {
    match limit {
        Limit::CoreBytes => "core bytes",
        Limit::Descriptors => "descriptors",
        Limit::AddressSpaceBytes => "address space bytes",
        Limit::FileBytes => "file bytes",
    }
}
