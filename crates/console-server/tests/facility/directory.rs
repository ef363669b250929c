//! Addresses are reserved at the lease, stand in the signed directory, and go to every node.

use console_api::{Directory, DirectoryPublished, LeasePlan, NewDirectory, Severed};
use serde_json::json;

use crate::fig6::{enrol, grant, wanted};
use crate::node::{Consoles, Node};
use crate::party::Party;

async fn landlord() -> (Consoles, Party, Node) {
    let consoles = Consoles::default();
    let landlord = Party::with_realms("landlord", &consoles, Some("10.1.0.10-10.1.0.11")).await;
    let node = Node::enrolled(&landlord.identity().await, &consoles);
    enrol(&landlord, &node, "n1").await;
    (consoles, landlord, node)
}

fn realm(directory: &Directory, node: &Node, tier: &str) -> Option<String> {
    let parsed = boundary::Directory::parse(directory.text.as_bytes()).unwrap();
    let (_, entry) = parsed.node_of_key(&node.fingerprint())?;
    Some(entry.realm(&tier.parse().unwrap())?[0].to_string())
}

/// The newest one, once the node has it.
async fn spread(landlord: &Party, is_it: impl Fn(&Directory) -> bool) -> Directory {
    let everywhere = |directory: &Directory| {
        is_it(directory) && directory.nodes.iter().all(|node| node.serial == Some(directory.serial))
    };
    landlord.until("/v1/directory", everywhere).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_reserved_at_the_lease_and_free_after_it() {
    let (consoles, landlord, node) = landlord().await;
    let first = spread(&landlord, |_| true).await;
    assert_eq!(realm(&first, &node, "tenant-a"), None);
    let text = keys::verify_directory(first.envelope.as_bytes(), &first.signer).unwrap();
    assert_eq!(text, first.text);

    let tenant = Party::new("tenant-a", &consoles).await;
    grant(&landlord, &tenant).await;
    let second = spread(&landlord, |directory| directory.serial > first.serial).await;
    assert_eq!(realm(&second, &node, "tenant-a").as_deref(), Some("10.1.0.10"));
    let mut other = wanted(&tenant).await;
    (other.name, other.contract) = (Some("tenant-b".to_owned()), "L-10".to_owned());
    let _: console_api::Granted = landlord.post("/v1/leases", &other).await;
    let third = spread(&landlord, |directory| directory.serial > second.serial).await;
    assert_eq!(realm(&third, &node, "tenant-b").as_deref(), Some("10.1.0.11"));

    let plan: LeasePlan = landlord.post("/v1/leases/sever/plan", &json!({ "what": "L-9" })).await;
    let _: Severed =
        landlord.post("/v1/leases/sever", &json!({ "what": "L-9", "if_match": plan.plan })).await;
    let fourth = spread(&landlord, |directory| directory.serial > third.serial).await;
    assert_eq!(realm(&fourth, &node, "tenant-a"), None);
    assert_eq!(realm(&fourth, &node, "tenant-b").as_deref(), Some("10.1.0.11"));
    grant(&landlord, &tenant).await;
    let fifth = spread(&landlord, |directory| directory.serial > fourth.serial).await;
    assert_eq!(realm(&fifth, &node, "tenant-a").as_deref(), Some("10.1.0.10"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_published_is_counted_on_and_never_back() {
    let (consoles, landlord, node) = landlord().await;
    let first = spread(&landlord, |_| true).await;
    let text = "version = 1\nfacility = [\"10.0.0.0/8\"]\n[node.n1]\ncluster = \"bakery\"\n".to_owned();
    let published: DirectoryPublished =
        landlord.post("/v1/directory", &NewDirectory { text: text.clone() }).await;
    assert_eq!(published.serial, first.serial + 1);
    let second = spread(&landlord, |directory| directory.serial == published.serial).await;
    assert!(second.text.contains("bakery") && second.text.contains(&node.fingerprint().to_string()));
    // The same again is no new version; an older one is refused, nonsense too.
    let again: DirectoryPublished =
        landlord.post("/v1/directory", &NewDirectory { text: text.clone() }).await;
    assert_eq!(again.serial, published.serial);
    let old = format!("serial = 1\n{text}");
    assert_eq!(landlord.refused("/v1/directory", &NewDirectory { text: old }).await.exit, 2);
    let nonsense = NewDirectory { text: "nodes = {}".to_owned() };
    assert_eq!(landlord.refused("/v1/directory", &nonsense).await.exit, 2);

    // A console that lost its store counts on from what its nodes have.
    let landlord = landlord.restart(&consoles, true).await;
    enrol(&landlord, &node, "n1").await;
    spread(&landlord, |directory| directory.serial > published.serial).await;
}
