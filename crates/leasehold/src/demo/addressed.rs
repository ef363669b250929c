//! Addresses: each realm leased its own from the landlord's console, and the landlord's signed directory says
//! the same. A realm of which the directory says nothing stays down, whatever DHCP would give it.

use std::net::IpAddr;

use console_api::{DhcpClass, DhcpLease, DhcpStanding, DirectoryPublished, NewDirectory, Page};
use lab::Failed;
use node_protocol::call::Status;
use serde_json::{Value, json};

use super::boundaries::{DIRECTORY, DIRECTORY_WITHOUT_N6};
use super::show::Evidence;
use super::world::{CLUSTERS, LANDLORD, TENANT_B, World};

/// The node that the directory says nothing of for a while.
const N6: usize = 5;

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    leased_as_the_directory_says(world, evidence)?;
    let landlord = world.desk(LANDLORD)?;
    let before = world.at(N6, TENANT_B, 0)?.ip();
    let publish = |text: &str| -> Result<DirectoryPublished, Failed> {
        landlord.post("/v1/directory", &NewDirectory { text: text.to_owned() })
    };
    let without = publish(DIRECTORY_WITHOUT_N6)?.serial;
    let status = world.node_becomes(N6, "its realm go down", |status| no_entry(status).is_some())?;
    let told = no_entry(&status).unwrap_or_default();
    evidence.check(format!("by directory {without}, n6 says: {told}"), !is_open(&status));
    let lives = world.engine(N6, TENANT_B)?.heard().is_ok();
    evidence.check("nothing passes there; the engine in it lives on", lives);
    let again = publish(DIRECTORY)?.serial;
    let status = world.realm_up(N6, TENANT_B)?;
    let after = world.at(N6, TENANT_B, 0)?.ip();
    evidence.check(
        format!("by directory {again} it is up again, at {after}, which was kept for it"),
        after == before && no_entry(&status).is_none(),
    );
    let spread = world.directory_spread(|_| true)?;
    evidence.check(
        format!("all {} nodes have directory {}, and take none before it", spread.nodes.len(), spread.serial),
        spread.serial >= again,
    );
    evidence.fact("serial", spread.serial);
    evidence.fact("without_entry", told);
    Ok(())
}

/// What the console gave, what the nodes have, and what the directory says are the same.
fn leased_as_the_directory_says(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let leases: Page<DhcpLease> = world.desk(LANDLORD)?.get("/v1/dhcp/leases")?;
    let directory = world.directory_spread(|_| true)?;
    let said = boundary::Directory::parse(directory.text.as_bytes())
        .map_err(|problems| Failed::new("read the directory", problems))?;
    let mut facts = Vec::new();
    for cluster in CLUSTERS {
        let mut addresses = Vec::new();
        let mut agree = true;
        for place in cluster.places() {
            let status = world.realm_up(place, cluster.tenant)?;
            let realm = status.tiers.iter().find(|tier| tier.name.as_str() == cluster.tenant);
            let realm = realm.and_then(|tier| tier.realm.as_ref());
            let realm = realm.ok_or_else(|| Failed::new("look at a realm", "it has no address"))?;
            let entry = status.node.and_then(|node| said.node_of_key(&node.0));
            let entry = entry.and_then(|(_, entry)| entry.realm(&cluster.tenant.parse().ok()?));
            let given: Vec<IpAddr> = leases
                .items
                .iter()
                .filter(|lease| (lease.class, lease.standing) == (DhcpClass::Realm, DhcpStanding::Leased))
                .filter(|lease| lease.mac == realm.mac)
                .map(|lease| lease.address.into())
                .collect();
            agree &= given == realm.addresses && entry.as_deref() == Some(&realm.addresses[..]);
            addresses.extend(given.iter().map(ToString::to_string));
        }
        evidence.check(
            format!(
                "{}'s realms leased {} from the landlord's console; directory {} says the same",
                cluster.tenant,
                addresses.join(", "),
                directory.serial
            ),
            agree && addresses.len() == cluster.places().len(),
        );
        facts.push(json!({ "tenant": cluster.tenant, "addresses": addresses }));
    }
    evidence.fact("leased", Value::from(facts));
    Ok(())
}

/// What a node says of a realm of which the directory says nothing.
fn no_entry(status: &Status) -> Option<String> {
    let warning = status.warnings.iter().find(|warning| warning.code == "no-directory-entry")?;
    Some(warning.message.clone())
}

fn is_open(status: &Status) -> bool {
    let realm = status.tiers.iter().find(|tier| tier.name.as_str() == TENANT_B);
    realm.and_then(|tier| tier.realm.as_ref()).is_some_and(|realm| realm.open)
}
