//! Messages reach servers that somebody else wrote: Debian's aiosmtpd, and Python's web server and HMAC.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver as Channel};
use std::time::Duration;

use id::{KeyId, NodeId, Time};
use incident::{Command as Wanted, Desk, Event, Kept, Kind, Ladders, NoticeKind, Subject, Symptom};
use notify::{Message, Page, Receiver, Undelivered, deliver};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// A server that says on its stdout what came.
struct Server {
    child: Child,
    lines: Channel<Value>,
    port: u64,
}

impl Server {
    fn start(script: &str, arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(script);
        // The path of the file stands for all of Python's: Debian's packages are found by Debian's Python alone.
        let mut command = Command::new("/usr/bin/python3");
        let mut child = command.arg(script).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let (say, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if say.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        let first: Value = lines.recv_timeout(PATIENCE).unwrap();
        Self { child, lines, port: first["port"].as_u64().unwrap() }
    }

    fn heard(&self) -> Value {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn at() -> Time {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

/// What is said of a node that died.
fn page(detail: &str) -> Message {
    let node = NodeId(KeyId::of_public_key(&[7; 32]));
    let symptom = Symptom {
        subject: Subject::Node(node),
        kind: Kind::NodeDead,
        detail: detail.to_owned(),
        cluster: None,
        at: at(),
    };
    let mut desk = Desk::new(Ladders::default(), Kept::default());
    let notice = desk.step(Event::Symptom(symptom), at()).into_iter().find_map(|command| match command {
        Wanted::Notify(notice) => Some(notice),
        Wanted::Keep(_) | Wanted::Remedy(_) => None,
    });
    let page = Page { party: "acme", name_of: &|_| "n17".to_owned(), kind: NoticeKind::Opened };
    Message::page("msg-1".to_owned(), page, &notice.unwrap().incident, at())
}

fn receiver(text: &str) -> Receiver {
    toml::from_str(text).unwrap()
}

fn secret(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600)).unwrap();
}

/// A certificate for `localhost` that signs itself.
fn certificate(folder: &Path) -> [String; 2] {
    let [key, crt] = ["key.pem", "crt.pem"].map(|name| folder.join(name).display().to_string());
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", &key, "-out", &crt])
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    [crt, key]
}

#[tokio::test]
async fn a_mail_reaches_a_real_server_and_nothing_in_it_becomes_a_header() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start("smtp.py", &["plain"]);
    let text = format!(
        "name = \"ops\"\n[mail]\nserver = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\nfrom = \"leasehold@acme.example\"\n\
         to = [\"kim@acme.example\", \"Mia <mia@acme.example>\"]\n",
        server.port
    );
    let message = page("no pulse\r\nBcc: eve@evil.example\r\n\r\n.\r\nMAIL FROM:<eve@evil.example>");
    let said = deliver(&receiver(&text), folder.path(), &message, at()).await.unwrap();
    assert_eq!(said, "250 taken");
    let mail = server.heard();
    assert_eq!(mail["from"], "leasehold@acme.example");
    assert_eq!(mail["to"], serde_json::json!(["kim@acme.example", "mia@acme.example"]));
    let headers = mail["headers"].as_object().unwrap();
    assert_eq!(headers["subject"], "[CRITICAL] INC-1 node n17: node-dead (acme)");
    assert_eq!(headers["message-id"], "<msg-1@acme.example>");
    assert!(headers["references"].as_str().unwrap().starts_with("<INC-1."), "{headers:?}");
    assert!(!headers.contains_key("bcc"), "{headers:?}");
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("cause    node-dead: no pulse  Bcc: eve@evil.example"), "{text}");
    assert!(text.contains("leasehold incident show INC-1"), "{text}");
}

#[tokio::test]
async fn a_mail_with_a_password_goes_over_tls_that_holds_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let [crt, key] = certificate(folder.path());
    let server = Server::start("smtp.py", &["starttls", &crt, &key]);
    secret(folder.path(), "password", "hush\n");
    let with = |more: &str| {
        receiver(&format!(
            "name = \"ops\"\n[mail]\nserver = \"localhost\"\nport = {}\nfrom = \"a@acme.example\"\n\
             to = [\"kim@acme.example\"]\nuser = \"ops\"\npassword_file = \"password\"\n{more}",
            server.port
        ))
    };
    let message = page("no pulse");
    let attempt = async |receiver: &Receiver| deliver(receiver, folder.path(), &message, at()).await;
    assert_eq!(attempt(&with("ca_file = \"crt.pem\"")).await.unwrap(), "250 taken");
    assert_eq!(server.heard()["tls"], true);

    // A certificate that nobody vouches for, with TLS from the first byte.
    let wrapped = Server::start("smtp.py", &["tls", &crt, &key]);
    let mut unknown = with("security = \"tls\"");
    unknown.mail.as_mut().unwrap().port = Some(u16::try_from(wrapped.port).unwrap());
    let failed = attempt(&unknown).await.unwrap_err();
    assert!(wrapped.lines.try_recv().is_err());
    assert!(matches!(failed, Undelivered::Smtp(_)) && !failed.told().contains("hush"), "{failed:?}");
    // A password that is wrong, and one that others may read.
    secret(folder.path(), "password", "wrong-hush");
    let failed = attempt(&with("ca_file = \"crt.pem\"")).await.unwrap_err();
    assert!(!format!("{failed:?}{}", failed.told()).contains("wrong-hush"), "{failed:?}");
    fs::set_permissions(folder.path().join("password"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(attempt(&with("ca_file = \"crt.pem\"")).await, Err(Undelivered::Secret(_))));
    // A server without STARTTLS gets neither password nor mail.
    let plain = Server::start("smtp.py", &["plain"]);
    let mut bare = with("ca_file = \"crt.pem\"");
    secret(folder.path(), "password", "hush");
    bare.mail.as_mut().unwrap().port = Some(u16::try_from(plain.port).unwrap());
    assert!(matches!(attempt(&bare).await, Err(Undelivered::Smtp(_))));
    assert!(plain.lines.try_recv().is_err());
}

#[tokio::test]
async fn a_webhook_is_signed_and_keeps_its_id() {
    let folder = tempfile::tempdir().unwrap();
    secret(folder.path(), "secret", "s3cr3t\n");
    let server = Server::start("web.py", &["s3cr3t"]);
    let to = |path: &str| {
        let url = format!("http://127.0.0.1:{}{path}", server.port);
        receiver(&format!("name = \"hook\"\n[webhook]\nurl = \"{url}\"\nsecret_file = \"secret\"\n"))
    };
    let message = page("no pulse");
    let attempt = async |path: &str, at: Time| deliver(&to(path), folder.path(), &message, at).await;
    assert_eq!(attempt("/hook?a=1", at()).await.unwrap(), "204");
    let first = server.heard();
    assert_eq!((&first["signed"], &first["path"]), (&Value::from(true), &Value::from("/hook?a=1")));
    assert_eq!(first["body"]["type"], "incident.opened");
    assert_eq!(first["body"]["data"]["incident"]["number"], "INC-1");
    assert_eq!(first["timestamp"], at().as_millis() / 1000);

    // Not taken, then sent again: another time, the same id and body.
    assert!(matches!(attempt("/busy", at()).await, Err(Undelivered::Answer(503))));
    let busy = server.heard();
    assert_eq!(attempt("/", at().plus(Duration::from_secs(60))).await.unwrap(), "204");
    let again = server.heard();
    assert_eq!((&again["id"], &again["body"]), (&busy["id"], &busy["body"]));
    assert_ne!(again["timestamp"], busy["timestamp"]);
    // Nobody is sent elsewhere.
    assert!(matches!(attempt("/away", at()).await, Err(Undelivered::Answer(302))));
    assert_eq!((server.heard()["path"].as_str(), server.lines.try_recv().is_err()), (Some("/away"), true));
    // Another secret, and the signature does not hold.
    secret(folder.path(), "secret", "other");
    attempt("/", at()).await.unwrap();
    assert_eq!(server.heard()["signed"], false);
}

#[tokio::test]
async fn a_webhook_over_tls_wants_a_certificate_that_holds() {
    let folder = tempfile::tempdir().unwrap();
    let [crt, key] = certificate(folder.path());
    secret(folder.path(), "secret", "s3cr3t");
    let server = Server::start("web.py", &["s3cr3t", &crt, &key]);
    let to = |host: &str, more: &str| {
        let url = format!("https://{host}:{}/", server.port);
        receiver(&format!("name = \"hook\"\n[webhook]\nurl = \"{url}\"\nsecret_file = \"secret\"\n{more}"))
    };
    let message = page("no pulse");
    let attempt = async |receiver: Receiver| deliver(&receiver, folder.path(), &message, at()).await;
    assert_eq!(attempt(to("localhost", "ca_file = \"crt.pem\"")).await.unwrap(), "204");
    assert_eq!(server.heard()["signed"], true);
    assert!(matches!(attempt(to("localhost", "")).await, Err(Undelivered::Connect(..))));
    assert!(matches!(attempt(to("127.0.0.1", "ca_file = \"crt.pem\"")).await, Err(Undelivered::Connect(..))));
    assert!(server.lines.try_recv().is_err());
}
