//! A party with a console that runs in this process, spoken to through its real door.

use std::path::Path;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use console_api::{Client, Failed, Identity, Problem};
use console_server::{Init, World};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::node::{Consoles, now, random};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// The files of a console's store.
pub(crate) const STORE: [&str; 3] = ["console.sqlite", "console.sqlite-wal", "console.sqlite-shm"];

pub(crate) struct Party {
    pub(crate) folder: tempfile::TempDir,
    client: Client,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Party {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What all consoles of this process told.
static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

const WORLD: World =
    World { random: || Ok(random()), now, tell: |line| TOLD.lock().unwrap().push(line.to_owned()) };

/// Looks again and again until it is so, where nothing tells of it; gives up when that takes too long.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never comes: {what}\n{}", told());
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until some console has told it.
pub(crate) async fn until_told(is_it: impl Fn(&str) -> bool) {
    until("a line", || TOLD.lock().unwrap().iter().any(|line| is_it(line))).await;
}

/// All that was told up to now.
pub(crate) fn told() -> String {
    TOLD.lock().unwrap().join("\n")
}

impl Party {
    pub(crate) async fn new(name: &str, consoles: &Consoles) -> Self {
        Self::with_realms(name, consoles, None).await
    }

    pub(crate) async fn with_realms(name: &str, consoles: &Consoles, realms: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        // Fake nodes ask `consoles` where that really is.
        let addresses = vec!["192.0.2.7:7443".parse().unwrap()];
        let init = Init {
            name: name.parse().unwrap(),
            listen,
            addresses,
            api: None,
            unencrypted: false,
            socket: None,
            controllers: Vec::new(),
            realms: realms.map(str::to_owned),
        };
        console_server::init(folder.path(), &init, &WORLD).unwrap();
        Self::run(folder, consoles).await
    }

    pub(crate) async fn run(folder: tempfile::TempDir, consoles: &Consoles) -> Self {
        let (ready, is_ready) = mpsc::channel();
        let path = folder.path().to_owned();
        let task = tokio::spawn(async move {
            let ended = console_server::run(&path, WORLD, |what| ready.send(what.channel).unwrap()).await;
            ended.unwrap_or_else(|failed| panic!("{failed}: {:?}", std::error::Error::source(&failed)));
        });
        let address = tokio::task::spawn_blocking(move || is_ready.recv()).await.unwrap().unwrap();
        let socket = folder.path().join(console_server::SOCKET);
        let client = Client::new(console_api::Address::Unix(socket), None, PATIENCE);
        let party = Self { folder, client, task };
        let key = party.identity().await.consoles[0].key;
        consoles.lock().unwrap().insert(key, address);
        party
    }

    /// Ends the console as a power cut does, and starts another one on what it left; without its store, if asked.
    pub(crate) async fn restart(self, consoles: &Consoles, lose_the_store: bool) -> Self {
        let lose = |folder: &Path| {
            for file in STORE {
                drop(std::fs::remove_file(folder.join(file)));
            }
            drop(std::fs::remove_dir_all(folder.join("journals")));
            std::fs::create_dir(folder.join("journals")).unwrap();
        };
        self.restart_after(consoles, |folder| {
            if lose_the_store {
                lose(folder)
            }
        })
        .await
    }

    /// The same, with something done to the folder in between.
    pub(crate) async fn restart_after(mut self, consoles: &Consoles, between: impl FnOnce(&Path)) -> Self {
        self.task.abort();
        until("the console's end", || self.task.is_finished()).await;
        let lock = std::fs::File::open(self.folder.path().join("console.sqlite.lock")).unwrap();
        // What it had spawned ends a moment later, and with it the store is free.
        until("a free store", || lock.try_lock().is_ok()).await;
        drop(lock);
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        drop(self);
        between(folder.path());
        Self::run(folder, consoles).await
    }

    /// The same console, as somebody with that token sees it.
    pub(crate) fn as_one_with(&self, token: &str) -> Client {
        let socket = self.folder.path().join(console_server::SOCKET);
        let token = Some(zeroize::Zeroizing::new(token.to_owned()));
        Client::new(console_api::Address::Unix(socket), token, PATIENCE)
    }

    pub(crate) async fn identity(&self) -> Identity {
        self.get("/v1/console/identity").await
    }

    pub(crate) async fn get<A: DeserializeOwned>(&self, path: &str) -> A {
        self.client.get(path).await.unwrap_or_else(|failed| panic!("{path}: {failed:?}"))
    }

    /// What it says no with, where there is nothing.
    pub(crate) async fn has_no(&self, path: &str) -> Problem {
        match self.client.get::<serde_json::Value>(path).await {
            Err(Failed::Problem(problem)) if problem.code == "not-found" => *problem,
            other => panic!("{path}: {other:?}"),
        }
    }

    /// Asks until it says so.
    pub(crate) async fn until_it_has_no(&self, path: &str, message: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.has_no(path).await.message;
            if said == message {
                return;
            }
            assert!(Instant::now() < deadline, "{path} stays {said:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn text(&self, path: &str) -> Vec<u8> {
        self.client.get_bytes(path).await.unwrap().to_vec()
    }

    pub(crate) async fn post<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> A {
        self.client.post(path, body).await.unwrap_or_else(|failed| panic!("{path}: {failed:?}"))
    }

    pub(crate) async fn delete<A: DeserializeOwned>(&self, path: &str) -> A {
        self.client.delete(path).await.unwrap_or_else(|failed| panic!("{path}: {failed:?}"))
    }

    /// What it says no with.
    pub(crate) async fn refused(&self, path: &str, body: &impl Serialize) -> Problem {
        match self.client.post::<serde_json::Value>(path, body).await {
            Err(Failed::Problem(problem)) => *problem,
            other => panic!("{path}: {other:?}"),
        }
    }

    /// Asks until it is so.
    pub(crate) async fn until<A: DeserializeOwned + std::fmt::Debug>(
        &self,
        path: &str,
        is_so: impl Fn(&A) -> bool,
    ) -> A {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // What is not there yet may come.
            let answer = match self.client.get::<A>(path).await {
                Ok(answer) if is_so(&answer) => return answer,
                Ok(answer) => Ok(answer),
                Err(Failed::Problem(problem)) if problem.code == "not-found" => Err(problem),
                Err(failed) => panic!("{path}: {failed:?}"),
            };
            assert!(Instant::now() < deadline, "{path} stays {answer:?}");
            tokio::time::sleep(LOOK).await;
        }
    }
}
