//! A console as a process: made, run, spoken to, ended; and what becomes of those who speak otherwise.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_leasehold");
const NOBODY: u32 = 65_534;
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);
/// `O_NONBLOCK` (open(2)), on x86-64 and arm64.
const NONBLOCK: i32 = 0o4000;

/// A console that runs; killed if a test forgets it.
struct Running {
    child: Child,
    /// What it has said when it was ready.
    told: String,
    folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

fn made() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(PROGRAM)
        .args(["console", "init", "--name", "landlord", "--api", "127.0.0.1:0", "--listen", "127.0.0.1:0"])
        .args(["--address", "127.0.0.1:7443"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    folder
}

impl Running {
    fn start(folder: tempfile::TempDir) -> Self {
        Self::start_by(Command::new(PROGRAM), folder)
    }

    fn start_by(mut program: Command, folder: tempfile::TempDir) -> Self {
        program.args(["console", "run"]).arg(folder.path()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let mut told = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut told).unwrap();
        assert!(told.contains("answers at"), "{told}");
        Self { child, told, folder }
    }

    fn http(&self) -> String {
        self.told.trim_end().rsplit("http://").next().unwrap().to_owned()
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("console.sock")
    }

    fn terminate(mut self) -> i32 {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(asked.success());
        self.child.wait().unwrap().code().unwrap()
    }
}

fn leasehold(console: &str, token: Option<&Path>, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env("LEASEHOLD_CONSOLE", console).env_remove("LEASEHOLD_TOKEN");
    match token {
        Some(file) => command.env("LEASEHOLD_TOKEN_FILE", file),
        None => command.env_remove("LEASEHOLD_TOKEN_FILE"),
    };
    command.output().unwrap()
}

#[test]
fn a_console_is_made_run_asked_and_ended() {
    let folder = made();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
    let running = Running::start(folder);
    let mode = std::fs::metadata(running.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let unix = format!("unix:{}", running.socket().display());
    let shown = leasehold(&unix, None, &["console", "show", "-o", "json"]);
    let console: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((console["name"].as_str(), console["nodes"].as_u64()), (Some("landlord"), Some(0)));

    let token = running.folder.path().join("admin.token");
    let http = format!("http://{}", running.http());
    let identity = leasehold(&http, Some(&token), &["console", "identity"]);
    let identity: Value = serde_json::from_slice(&identity.stdout).unwrap();
    assert_eq!(identity["consoles"][0]["addresses"][0], "127.0.0.1:7443");

    let second = Command::new(PROGRAM).args(["console", "run"]).arg(running.folder.path()).output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another console runs"), "{second:?}");

    assert_eq!(running.terminate(), 0);
    let gone = leasehold(&unix, None, &["console", "show"]);
    assert_eq!(gone.status.code(), Some(1));
}

/// Its keys are there: no core is left of it, and nobody else of its uid reads them.
#[test]
fn a_consoles_memory_is_its_own() {
    let mut program = Command::new(PROGRAM);
    program.gid(NOBODY);
    let running = Running::start_by(program, made());
    leaves_no_core(running.child.id());
    assert_eq!(running.terminate(), 0);
}

fn leaves_no_core(process: u32) {
    let process = format!("/proc/{process}");
    // Files of a process that may be dumped belong to whom it runs as, those of another to root (proc(5)).
    assert_eq!(std::fs::metadata(format!("{process}/environ")).unwrap().gid(), 0);
    let limits = std::fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
}

/// So it is with every command: those that sign read a key. One that waits for its input is looked at, and aborted.
#[test]
fn a_commands_memory_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("payload");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let sign: &[&str] = &["order", "sign", "--key", "a.key", "payload"];
    let evaluate: &[&str] = &["receipt", "verify", "payload"];
    for arguments in [sign, evaluate] {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).gid(NOBODY).current_dir(folder.path()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let open = opened_by_a_reader(&pipe, &mut child);
        leaves_no_core(child.id());
        let abort = ["-ABRT", &child.id().to_string()];
        assert!(Command::new("kill").args(abort).status().unwrap().success());
        let ended = child.wait().unwrap();
        drop(open);
        assert!(ended.signal() == Some(6) && !ended.core_dumped(), "{arguments:?}: {ended:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{arguments:?}");
    }
}

/// A pipe's end to write to, once the command has come to read. One that ends before never does.
fn opened_by_a_reader(pipe: &Path, child: &mut Child) -> std::fs::File {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Nobody reads yet: the kernel says so (ENXIO, fifo(7)).
        match std::fs::File::options().write(true).custom_flags(NONBLOCK).open(pipe) {
            Ok(open) => return open,
            Err(error) => {
                let ended = child.try_wait().unwrap();
                let waits = ended.is_none() && Instant::now() < deadline;
                assert!(waits, "nobody came to read: {error}; the command: {ended:?}");
            }
        }
        os::poll::wait(&[], Some(LOOK)).unwrap();
    }
}

#[test]
fn over_tcp_the_token_is_needed_and_the_right_one() {
    let running = Running::start(made());
    let http = format!("http://{}", running.http());
    let none = leasehold(&http, None, &["console", "show"]);
    assert_eq!(none.status.code(), Some(4), "{none:?}");
    let wrong = running.folder.path().join("wrong");
    std::fs::write(&wrong, "0".repeat(64)).unwrap();
    let wrong = leasehold(&http, Some(&wrong), &["console", "show"]);
    assert_eq!(wrong.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("is not this console's"), "{wrong:?}");
    let health =
        say(&mut TcpStream::connect(running.http()).unwrap(), b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
}

/// Says it, and gives all that comes back until the other end closes.
fn say(stream: &mut (impl std::io::Read + std::io::Write), bytes: &[u8]) -> String {
    // Who is refused in mid-sentence cannot say the rest.
    drop(stream.write_all(bytes));
    let mut heard = Vec::new();
    drop(stream.read_to_end(&mut heard));
    String::from_utf8_lossy(&heard).into_owned()
}

#[test]
fn hostile_clients_get_an_answer_or_nothing_and_hold_up_nobody() {
    let running = Running::start(made());
    let patience = Some(Duration::from_secs(30));
    // Slow ones: they say a word, and then nothing more.
    let slow: Vec<UnixStream> = (0..100)
        .map(|_| {
            let mut stream = UnixStream::connect(running.socket()).unwrap();
            stream.set_read_timeout(patience).unwrap();
            stream.write_all(b"GET /v1/cons").unwrap();
            stream
        })
        .collect();
    let connect = || {
        let stream = UnixStream::connect(running.socket()).unwrap();
        stream.set_read_timeout(patience).unwrap();
        stream
    };
    let mut garbage = vec![0xff; 4096];
    garbage.extend((0..=255_u8).cycle().take(20_000));
    let long_head = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 100_000], b"\r\n\r\n"].concat();
    for (said, expected) in [
        (garbage.as_slice(), "400"),
        (&long_head, "431"),
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        (b"POST /v1/console HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
    ] {
        let heard = say(&mut connect(), said);
        let status = heard.split(' ').nth(1).unwrap_or_default();
        assert!(expected.is_empty() || status == expected, "{expected}: {heard}");
    }
    let no = say(&mut connect(), b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    let problem: Value = serde_json::from_str(no.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((problem["code"].as_str(), problem["exit"].as_u64()), (Some("not-found"), Some(5)));
    assert!(problem["request_id"].is_string());
    // In the end the slow ones are let go.
    for mut stream in slow {
        let mut heard = Vec::new();
        drop(stream.read_to_end(&mut heard));
    }
    let unix = format!("unix:{}", running.socket().display());
    assert!(leasehold(&unix, None, &["console", "show"]).status.success());
}

#[test]
fn a_folder_that_is_no_consoles_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = |folder: &Path| Command::new(PROGRAM).args(["console", "run"]).arg(folder).output().unwrap();
    let none = run(folder.path());
    assert_eq!(none.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&none.stderr).contains("hint: `leasehold console init"), "{none:?}");

    let made = made();
    let key = made.path().join("controller.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = run(made.path());
    assert_eq!(open.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&open.stderr).contains("others may read it (mode 644)"), "{open:?}");

    let again =
        Command::new(PROGRAM).args(["console", "init", "--name", "other"]).arg(made.path()).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
}

#[test]
fn nouns_answer_people_and_programs_with_the_codes_of_the_table() {
    let running = Running::start(made());
    let unix = format!("unix:{}", running.socket().display());
    let say = |arguments: &[&str]| {
        let said = leasehold(&unix, None, arguments);
        let [out, err] = [said.stdout, said.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (said.status.code().unwrap(), out, err)
    };
    let nodes = say(&["node", "list"]);
    assert_eq!((nodes.0, nodes.1.split_whitespace().next()), (0, Some("NODE")), "{nodes:?}");
    let nodes: Value = serde_json::from_str(&say(&["node", "list", "-o", "json"]).1).unwrap();
    assert_eq!(nodes, serde_json::json!({ "items": [], "next": null }));
    let none = say(&["node", "show", "n1"]);
    let told = "error: there is no node \"n1\"\nhint: `leasehold node list` shows all\n";
    assert_eq!(none, (5, String::new(), told.to_owned()));
    let window: Value = serde_json::from_str(&say(&["node", "enrol", "-o", "json"]).1).unwrap();
    assert!(window["open_until"].is_string(), "{window}");
    let fingerprint = "lh1:Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOzkCpZHQ1fKSU";
    assert_eq!(say(&["node", "confirm", fingerprint, "--name", "n1"]).0, 5);
    assert_eq!(say(&["node", "enrol", "--minutes", "0"]).0, 2);
    assert_eq!(say(&["node", "close"]).1, "the window for unknown nodes is closed\n");
    assert_eq!(say(&["lease", "sever", "L/9 ?#%", "--plan"]).0, 5);
    assert_eq!(say(&["lease", "offer", "L/9 ?#%"]).0, 5);
    let token = running.folder.path().join("admin.token");
    assert_eq!(say(&["lease", "take", token.to_str().unwrap()]).0, 2);
    assert_eq!(say(&["lease", "list"]).0, 0);
    assert_eq!(say(&["lease", "tree", "-o", "json"]).0, 0);
    let nowhere = leasehold("unix:/nonexistent/console.sock", None, &["node", "list"]);
    assert_eq!(nowhere.status.code(), Some(1));
    let nobody =
        Command::new(PROGRAM).args(["node", "list"]).env_remove("LEASEHOLD_CONSOLE").output().unwrap();
    assert_eq!(nobody.status.code(), Some(2));
}

/// Whoever is at the door that is open to the network may fill it, and keeps nobody from the socket.
#[test]
fn a_crowd_at_the_network_keeps_nobody_from_the_socket() {
    let running = Running::start(made());
    let crowd: Vec<_> = (0..300).map(|_| TcpStream::connect(running.http()).unwrap()).collect();
    let mut stream = UnixStream::connect(running.socket()).unwrap();
    // Less than the console's patience with those who say nothing.
    stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(crowd);
}

#[test]
fn a_folder_that_was_tampered_with_is_not_run() {
    let refused = |change: &dyn Fn(&Path), told: &str| {
        let folder = made();
        change(folder.path());
        let run = Command::new(PROGRAM).args(["console", "run"]).arg(folder.path()).output().unwrap();
        assert_eq!(run.status.code(), Some(2), "{run:?}");
        assert!(String::from_utf8_lossy(&run.stderr).contains(told), "{run:?}");
    };
    refused(&|folder| std::fs::write(folder.join("admin.token"), "\n").unwrap(), "32 characters or more");
    refused(&|folder| std::fs::write(folder.join("channel.key"), "no key\n").unwrap(), "channel.key: ");
    let open = |folder: &Path| {
        let others = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(folder.join("controller.key"), others).unwrap();
    };
    refused(&open, "others may read it (mode 640)");
    let own = |folder: &Path| {
        let key = std::fs::read_to_string(folder.join("controller.key")).unwrap();
        let key = key.split_whitespace().find(|word| word.starts_with("ed25519:")).unwrap();
        let file = folder.join("console.toml");
        let settings = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{settings}\n[[controller]]\nkey = \"{key}\"\nrights = []\n")).unwrap();
    };
    refused(&own, "the key that this console holds");
}

/// What a shell is offered behind these words: as `source <(leasehold completions bash)` has it asked.
fn offered(console: &str, words: &[&str]) -> Vec<String> {
    let asked = Command::new(PROGRAM)
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", (words.len()).to_string())
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "true")
        .env("_CLAP_IFS", "\n")
        .env("LEASEHOLD_CONSOLE", console)
        .env_remove("LEASEHOLD_TOKEN_FILE")
        .args(["--", "leasehold"])
        .args(words)
        .output()
        .unwrap();
    String::from_utf8(asked.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn people_are_added_listed_completed_and_removed() {
    let running = Running::start(made());
    let unix = format!("unix:{}", running.socket().display());
    let file = running.folder.path().join("kim.token");
    let added =
        leasehold(&unix, None, &["user", "add", "kim", "--role", "read", "--out", file.to_str().unwrap()]);
    assert_eq!((added.status.code(), added.stdout.as_slice()), (Some(0), b"".as_slice()), "{added:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let ada = leasehold(&unix, None, &["user", "add", "ada", "--role", "administer"]);
    let token = String::from_utf8(ada.stdout).unwrap();
    assert_eq!((token.trim().len(), token.lines().count()), (64, 1));

    let http = format!("http://{}", running.http());
    let me = leasehold(&http, Some(&file), &["user", "whoami"]);
    assert_eq!(String::from_utf8(me.stdout).unwrap(), "kim, who may read (known by token)\n");
    let refused = leasehold(&http, Some(&file), &["node", "enrol"]);
    assert_eq!(refused.status.code(), Some(3));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.starts_with("error: kim may read, and this takes administer\nhint: "), "{told}");

    // Off this machine the token does not go, and nobody is dialled.
    let far = leasehold("http://192.0.2.1:7070", Some(&file), &["user", "whoami"]);
    assert_eq!(far.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&far.stderr).contains("in the clear"), "{far:?}");

    assert_eq!(offered(&unix, &["user", "remove", "k"]), ["kim"]);
    assert_eq!(offered(&unix, &["lease", "sev"]), ["sever"]);
    assert!(offered("unix:/nonexistent", &["user", "remove", "k"]).is_empty());

    let trail = leasehold(&unix, None, &["audit", "list", "-o", "json"]);
    let trail: Value = serde_json::from_slice(&trail.stdout).unwrap();
    let of: Vec<_> = trail["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["user"].as_str().unwrap(), one["operation"].as_str().unwrap()))
        .collect();
    assert_eq!(of, [("admin", "user_add"), ("admin", "user_add"), ("kim", "node_enrol")]);
    let listed = leasehold(&unix, None, &["user", "list"]);
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), 3);
    assert!(leasehold(&unix, None, &["user", "remove", "kim"]).status.success());
    assert_eq!(leasehold(&http, Some(&file), &["user", "whoami"]).status.code(), Some(4));
}
