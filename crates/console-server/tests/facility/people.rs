//! Several people at one console: what each may, and what is written down of it.

use console_api::{
    AuditEntry, AuditOutcome, Client, Enrolment, Exit, Failed, Lease, Node as Shown, Order, Page, Problem,
    Role, User, UserToken, Whoami,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::fig6::{World, grant, world};
use crate::party::Party;

async fn refused(client: &Client, path: &str, body: &impl Serialize) -> Problem {
    match client.post::<Value>(path, body).await {
        Err(Failed::Problem(problem)) => *problem,
        other => panic!("{path}: {other:?}"),
    }
}

async fn unknown(client: &Client) {
    match client.get::<Page<Shown>>("/v1/nodes").await {
        Err(Failed::Problem(problem)) => {
            assert_eq!(problem.exit, Exit::NotAuthenticated as u8, "{problem:?}")
        }
        other => panic!("{other:?}"),
    }
}

async fn add(landlord: &Party, name: &str, role: Role) -> UserToken {
    landlord.post("/v1/users", &json!({ "name": name, "role": role })).await
}

async fn trail(landlord: &Party) -> Vec<AuditEntry> {
    let trail: Page<AuditEntry> = landlord.get("/v1/audit?limit=1000").await;
    trail.items
}

/// A reader sees all, and changes nothing: what was asked for did not happen, and the trail says who asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_refused_and_nothing_happens() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    grant(&landlord, &tenant).await;
    let added = add(&landlord, "kim", Role::Read).await;
    let kim = landlord.as_one_with(&added.token);
    let me: Whoami = kim.get("/v1/whoami").await.unwrap();
    assert_eq!((me.name.as_str(), me.role, me.by.as_str()), ("kim", Role::Read, "token"));
    let leases: Page<Lease> = kim.get("/v1/leases").await.unwrap();
    let orders: Page<Order> = landlord.get("/v1/orders").await;

    let sever = json!({ "what": "L-9" });
    let plan: console_api::LeasePlan = kim.post("/v1/leases/sever/plan", &sever).await.unwrap();
    let sever = json!({ "what": "L-9", "if_match": plan.plan });
    let suspend = json!({ "node": "n1", "verb": "suspend", "args": { "tier": node.tier("tenant-a") } });
    for (path, body) in [
        ("/v1/leases/sever", sever),
        ("/v1/orders", suspend),
        ("/v1/enrolment", json!({ "minutes": 5 })),
        ("/v1/users", json!({ "name": "eve", "role": "administer" })),
        ("/v1/users/kim/rotate", json!({})),
    ] {
        let no = refused(&kim, path, &body).await;
        assert_eq!((no.code.as_str(), no.exit), ("role", Exit::Refused as u8), "{path}: {no:?}");
        assert!(no.hint.is_some() && no.message.contains("kim may read"), "{no:?}");
    }
    match kim.get::<Page<AuditEntry>>("/v1/audit").await {
        Err(Failed::Problem(no)) => assert_eq!(no.code, "role"),
        other => panic!("{other:?}"),
    }
    let after: Page<Lease> = landlord.get("/v1/leases").await;
    assert_eq!(after, leases);
    assert_eq!(landlord.get::<Page<Order>>("/v1/orders").await, orders);
    assert_eq!(landlord.get::<Enrolment>("/v1/enrolment").await.strangers, []);
    let tried: Vec<_> = trail(&landlord).await.into_iter().filter(|entry| entry.user == "kim").collect();
    let operations: Vec<_> = tried.iter().map(|entry| entry.operation.as_str()).collect();
    assert_eq!(
        operations,
        ["lease_sever", "order_submit", "node_enrol", "user_add", "user_rotate", "audit_list"]
    );
    assert!(
        tried
            .iter()
            .all(|entry| matches!(&entry.outcome, AuditOutcome::Refused { code, .. } if code == "role"))
    );
    assert_eq!(tried[0].about["what"], "L-9");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_names_who_did_it_and_what_came_of_it() {
    let World { landlord, .. } = world().await;
    let ada = add(&landlord, "ada", Role::Operate).await;
    let kim = add(&landlord, "kim", Role::Administer).await;
    let [ada, kim] = [ada, kim].map(|added| landlord.as_one_with(&added.token));
    let _: Enrolment = ada.delete("/v1/enrolment").await.unwrap();
    let none = refused(&kim, "/v1/leases/sever", &json!({ "what": "L-77", "nodes": ["n1"] })).await;
    assert_eq!(none.exit, Exit::NotFound as u8);

    let trail = trail(&landlord).await;
    let numbers: Vec<_> = trail.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let of = |user: &str| trail.iter().rfind(|entry| entry.user == user).unwrap();
    assert_eq!((of("ada").operation.as_str(), &of("ada").outcome), ("node_close", &AuditOutcome::Done));
    assert_eq!((of("kim").about["what"].as_str(), of("kim").about["nodes"].as_str()), ("L-77", "n1"));
    assert!(matches!(&of("kim").outcome, AuditOutcome::Refused { code, .. } if code == "not-found"));
    assert_eq!(of("admin").operation, "user_add");
    assert!(of("admin").by.starts_with("uid "), "{:?}", of("admin"));
    // What only reads leaves nothing.
    assert!(trail.iter().all(|entry| entry.operation != "audit_list" && entry.operation != "node_list"));
    let newest: Page<AuditEntry> = landlord.get("/v1/audit?newest=1").await;
    assert_eq!(newest.items.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_until_it_is_rotated_or_its_owner_removed() {
    let World { consoles, landlord, .. } = world().await;
    let first = add(&landlord, "kim", Role::Read).await;
    let taken = landlord.refused("/v1/users", &json!({ "name": "kim", "role": "operate" })).await;
    assert_eq!((taken.code.as_str(), taken.exit), ("name-taken", Exit::Refused as u8));
    let admin = landlord.refused("/v1/users", &json!({ "name": "admin", "role": "read" })).await;
    assert_eq!(admin.code, "name-taken");
    let second: UserToken = landlord.post("/v1/users/kim/rotate", &json!({})).await;
    assert_ne!(first.token, second.token);
    unknown(&landlord.as_one_with(&first.token)).await;
    let landlord = landlord.restart(&consoles, false).await;
    let kim = landlord.as_one_with(&second.token);
    let _: Page<Shown> = kim.get("/v1/nodes").await.unwrap();
    // Neither of them is anywhere in the folder.
    for entry in std::fs::read_dir(landlord.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read(&path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        assert!(!text.contains(&first.token) && !text.contains(&second.token), "{}", path.display());
    }
    let removed: User = landlord.delete("/v1/users/kim").await;
    assert_eq!(removed.name.as_str(), "kim");
    unknown(&kim).await;
    assert_eq!(landlord.get::<Page<User>>("/v1/users").await.items, []);
}

/// A uid is a person, if somebody said so; a token counts before it.
#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_says_who_comes_to_the_socket() {
    let World { landlord, .. } = world().await;
    let own = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(landlord.folder.path()).unwrap());
    let body = json!({ "name": "kim", "role": "read", "uid": own });
    let added: UserToken = landlord.post("/v1/users", &body).await;
    let me: Whoami = landlord.get("/v1/whoami").await;
    assert_eq!((me.name.as_str(), me.role, me.by), ("kim", Role::Read, format!("uid {own}")));
    let no = landlord.refused("/v1/users", &json!({ "name": "eve", "role": "read" })).await;
    assert_eq!(no.code, "role");
    let token = std::fs::read_to_string(landlord.folder.path().join("admin.token")).unwrap();
    let admin = landlord.as_one_with(token.trim());
    let twice = refused(&admin, "/v1/users", &json!({ "name": "eve", "role": "read", "uid": own })).await;
    assert_eq!(twice.code, "uid-taken");
    let _: User = admin.delete("/v1/users/kim").await.unwrap();
    unknown(&landlord.as_one_with(&added.token)).await;
    assert_eq!(landlord.get::<Whoami>("/v1/whoami").await.name, "admin");
}
