//! Trouble: noticed, remedied, told to a web server, taken over by a person, and still there after a start.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use console_api::{
    Acknowledge, Incident, IncidentState, LadderSet, NewLadders, NotifyDelivery, NotifyTest, Page,
};
use incident::{Happened, Kind, Remedy};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::fig6::enrol;
use crate::node::{Consoles, Node};
use crate::party::Party;

const PATIENCE: Duration = Duration::from_secs(60);

const LADDERS: &str = "version = 1\n[[ladder]]\nname = \"engine\"\nkinds = [\"engine-hung\"]\nsettle_s = 1\n\
    step = [{ do = \"notify\" }, { do = \"restart-engine\" }]\n\
    [[ladder]]\nname = \"rest\"\nsettle_s = 1\nstep = [{ do = \"notify\" }]\n";

/// A web server that takes what comes, or is too busy for it.
#[derive(Clone, Default)]
struct Web {
    took: Arc<Mutex<Vec<Value>>>,
    busy: Arc<Mutex<bool>>,
}

impl Web {
    async fn start(self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                let body = loop {
                    let mut more = [0; 4096];
                    let read = stream.read(&mut more).await.unwrap();
                    bytes.extend_from_slice(&more[..read]);
                    let text = String::from_utf8_lossy(&bytes);
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                    if body.len() >= length.parse::<usize>().unwrap() {
                        break serde_json::from_str(body).unwrap();
                    }
                };
                let busy = *self.busy.lock().unwrap();
                if !busy {
                    self.took.lock().unwrap().push(body);
                }
                let status = if busy { "503 Busy" } else { "204 Taken" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        port
    }

    /// Waits until this many messages of that type came.
    async fn took(&self, kind: &str, number: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let took: Vec<Value> =
                self.took.lock().unwrap().iter().filter(|body| body["type"] == kind).cloned().collect();
            if took.len() >= number {
                return took;
            }
            assert!(Instant::now() < deadline, "{kind}: {:?}", self.took.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Adds a receiver to a console's settings.
fn receiver(folder: &Path, port: u16) {
    let mut options = OpenOptions::new();
    let mut settings = options.append(true).open(folder.join("console.toml")).unwrap();
    let url = format!("http://127.0.0.1:{port}/hook");
    let text = format!(
        "\n[[receiver]]\nname = \"hook\"\nwebhook = {{ url = \"{url}\", secret_file = \"hook.secret\" }}\n"
    );
    settings.write_all(text.as_bytes()).unwrap();
    let mut options = OpenOptions::new();
    let mut secret =
        options.create_new(true).write(true).mode(0o600).open(folder.join("hook.secret")).unwrap();
    secret.write_all(b"hush").unwrap();
}

fn engine(state: &str, restarts: u64) -> Value {
    json!([{ "name": "web", "state": state, "ready": false, "restarts": restarts, "out_of_memory": false, "watchdog": true }])
}

async fn until(landlord: &Party, is_so: impl Fn(&[Incident]) -> bool) -> Vec<Incident> {
    landlord.until("/v1/incidents?all=true", |page: &Page<Incident>| is_so(&page.items)).await.items
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_one_incident_that_is_told_taken_over_and_ends() {
    let consoles = Consoles::default();
    let web = Web::default();
    let port = web.clone().start().await;
    let landlord = Party::new("landlord", &consoles).await;
    let landlord = landlord.restart_after(&consoles, |folder| receiver(folder, port)).await;
    let node = Node::enrolled(&landlord.identity().await, &consoles);
    enrol(&landlord, &node, "n1").await;
    let new = NewLadders { text: Some(LADDERS.to_owned()) };
    let set: LadderSet = landlord.post("/v1/ladders", &new).await;
    assert!(!set.built_in && set.text == LADDERS);
    let wrong = NewLadders { text: Some("version = 1\n[[ladder]]\nname = \"A\"".to_owned()) };
    assert_eq!(landlord.refused("/v1/ladders", &wrong).await.exit, 2);

    let sent: Vec<NotifyDelivery> = landlord.post("/v1/notify/test", &NotifyTest { receiver: None }).await;
    assert_eq!(sent.len(), 1);
    web.took("test", 1).await;

    // An engine hangs. Restarting it is ordered; the node knows no such engine, and a person is needed.
    node.with_engines(engine("hung", 0));
    let incidents =
        until(&landlord, |all| all.iter().any(|incident| incident.state == IncidentState::NeedsPerson)).await;
    let incident = &incidents[0];
    assert_eq!((incident.cause, incident.about.as_str()), (Kind::EngineHung, "engine web on n1"));
    let tried =
        |happened: &Happened| matches!(happened, Happened::Failed { remedy: Remedy::RestartEngine, .. });
    assert!(incident.timeline.iter().any(|entry| tried(&entry.what)), "{:?}", incident.timeline);
    let opened = web.took("incident.opened", 1).await;
    assert_eq!(opened[0]["data"]["incident"]["number"], "INC-1");
    let needs = web.took("incident.needs-person", 1).await;
    assert_eq!(needs[0]["data"]["dedup_key"], opened[0]["data"]["dedup_key"]);

    // Who takes it over stands in it, also after a start of the console.
    let ack = Acknowledge { message: Some("on site".to_owned()), minutes: 10 };
    let taken: Incident = landlord.post("/v1/incidents/1/ack", &ack).await;
    assert_eq!(taken.state, IncidentState::Acknowledged);
    assert_eq!(taken.acknowledged.as_ref().unwrap().message.as_deref(), Some("on site"));
    assert_eq!(landlord.refused("/v1/incidents/77/ack", &ack).await.exit, 5);
    let endless = Acknowledge { message: None, minutes: 0 };
    assert_eq!(landlord.refused("/v1/incidents/1/ack", &endless).await.exit, 2);
    let landlord = landlord.restart(&consoles, false).await;
    let kept: Incident = landlord.get("/v1/incidents/INC-1").await;
    assert_eq!(kept.acknowledged, taken.acknowledged);

    // The engine is well again, and stays so: it is over, and that is told.
    node.with_engines(engine("running", 0));
    until(&landlord, |all| all[0].state == IncidentState::Resolved).await;
    let resolved = web.took("incident.resolved", 1).await;
    assert_eq!(resolved[0]["data"]["action"], "resolve");
    assert_eq!(landlord.refused("/v1/incidents/1/ack", &ack).await.code, "resolved");
    let open: Page<Incident> = landlord.get("/v1/incidents").await;
    assert!(open.items.is_empty(), "{open:?}");
}

/// An engine may be up again before its console hears of it for the first time.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_died_before_anybody_looked_is_an_incident() {
    let consoles = Consoles::default();
    let landlord = Party::new("landlord", &consoles).await;
    let node = Node::enrolled(&landlord.identity().await, &consoles);
    let engine = |name: &str, state: &str, restarts: u64| json!({ "name": name, "state": state, "ready": true, "restarts": restarts, "out_of_memory": false, "watchdog": false });
    let about = |all: &[Incident], name: &str| {
        all.iter().any(|one| one.about == format!("engine {name} on n1") && one.cause == Kind::EngineExited)
    };
    // One that had died before its console knew the node: of that nobody knows when it was.
    node.with_engines(json!([engine("old", "running", 7), engine("other", "ended", 0)]));
    enrol(&landlord, &node, "n1").await;
    until(&landlord, |all| about(all, "other")).await;
    node.with_engines(json!([engine("old", "running", 7), engine("web", "running", 1)]));
    let all = until(&landlord, |all| about(all, "web")).await;
    assert!(!about(&all, "old"), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_takes_nothing_is_an_incident_and_loses_nothing() {
    let consoles = Consoles::default();
    let web = Web::default();
    *web.busy.lock().unwrap() = true;
    let port = web.clone().start().await;
    let landlord = Party::new("landlord", &consoles).await;
    let landlord = landlord.restart_after(&consoles, |folder| receiver(folder, port)).await;
    let _: Vec<NotifyDelivery> = landlord.post("/v1/notify/test", &NotifyTest { receiver: None }).await;
    let incidents = until(&landlord, |all| !all.is_empty()).await;
    let found = (incidents[0].cause, incidents[0].about.as_str(), incidents[0].detail.as_str());
    assert_eq!(found, (Kind::DeliveryFailed, "receiver hook", "the web server answered 503"));
    let log: Page<NotifyDelivery> = landlord.get("/v1/notify/log").await;
    // Who cannot be told is not told of that.
    assert!(log.items.len() == 1 && log.items[0].tried >= 3 && log.items[0].state == "pending", "{log:?}");
    let id = log.items[0].id.clone();

    // A console that starts anew goes on with it, under the same id; and then it is over.
    let landlord = landlord.restart(&consoles, false).await;
    *web.busy.lock().unwrap() = false;
    web.took("test", 1).await;
    let log = landlord
        .until("/v1/notify/log", |log: &Page<NotifyDelivery>| {
            log.items.iter().all(|one| one.state == "delivered")
        })
        .await;
    assert_eq!((log.items.len(), log.items[0].id.as_str()), (1, id.as_str()));
    let state = |all: &[Incident]| all[0].state != IncidentState::NeedsPerson;
    until(&landlord, state).await;
}
