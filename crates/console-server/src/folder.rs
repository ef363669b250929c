//! A console's folder: made by `init`, opened by `run`. Everything in it is its owner's alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use id::{Digest, Digester, Name, PublicKey};
use journal::Objects;
use keys::{KEY_FILE_BYTES_MAX, SigningKey, read_key_file, write_key_file};
use store::{Sqlite, Store};
use tenure::{ControllerKey, Rights};
use zeroize::Zeroizing;

use crate::image::Images;
use crate::settings::{self, Range, Settings};
use crate::{Failed, World};

/// The socket's name in the folder.
pub const SOCKET: &str = "console.sock";

const CHANNEL_KEY: &str = "channel.key";
const CONTROLLER_KEY: &str = "controller.key";
const DIRECTORY_KEY: &str = "directory.key";
const TOKEN: &str = "admin.token";
const TOKEN_BYTES_MIN: usize = 32;
const TOKEN_BYTES_MAX: u64 = 4096;
const STORE: &str = "console.sqlite";
const OBJECTS: &str = "objects";
const IMAGES: &str = "images";
pub(crate) const JOURNALS: &str = "journals";

/// How a new console is to be.
#[derive(Debug, Clone)]
pub struct Init {
    /// The party's name.
    pub name: Name,
    /// Where nodes dial.
    pub listen: SocketAddr,
    /// What enrolments and leases say of that; the same when empty.
    pub addresses: Vec<SocketAddr>,
    /// Where people's requests are answered, beside the socket.
    pub api: Option<SocketAddr>,
    /// Off the loopback, too, though nothing encrypts it.
    pub unencrypted: bool,
    /// A further socket, which everybody on the machine may open.
    pub socket: Option<PathBuf>,
    /// Further controller keys of the party, which the console does not hold. They have all rights.
    pub controllers: Vec<PublicKey>,
    /// The addresses from which realms get theirs, as `10.1.0.10-10.1.255.254`.
    pub realms: Option<String>,
}

/// What was made: the public halves.
#[derive(Debug, Clone)]
pub struct Made {
    /// Nodes pin it.
    pub channel: PublicKey,
    /// Signs orders.
    pub controller: PublicKey,
    /// Signs directories.
    pub directory: PublicKey,
}

/// Makes a console's folder with its keys and its token.
///
/// # Errors
/// [`Failed`]; a folder that has something in it is left alone.
pub fn init(folder: &Path, wanted: &Init, world: &World) -> Result<Made, Failed> {
    let settings = Settings {
        name: wanted.name.clone(),
        listen: wanted.listen,
        addresses: wanted.addresses.clone(),
        api: wanted.api,
        unencrypted: wanted.unencrypted,
        socket: wanted.socket.clone(),
        realms: wanted.realms.clone().map(Range::try_from).transpose().map_err(|wrong| {
            Failed::folder(
                &folder.join(settings::FILE),
                wrong,
                "leave it out where addresses are not given by DHCP",
            )
        })?,
        controller: wanted
            .controllers
            .iter()
            .map(|key| ControllerKey { key: *key, rights: Rights::ALL })
            .collect(),
        dhcp: None,
        receiver: Vec::new(),
        power: Vec::new(),
    };
    let text = toml::to_string(&settings).map_err(|error| Failed::act("write the settings", error))?;
    let file = folder.join(settings::FILE);
    parse(&file, text.as_bytes())?;
    make_folder(folder)?;
    let made = Made {
        channel: make_key(&folder.join(CHANNEL_KEY), world)?,
        controller: make_key(&folder.join(CONTROLLER_KEY), world)?,
        directory: make_key(&folder.join(DIRECTORY_KEY), world)?,
    };
    let token = Zeroizing::new(random(world)?);
    let token =
        Zeroizing::new(Digester::new("leasehold admin token").part(token.as_slice()).finish().to_string());
    let token = token.trim_start_matches("sha256:");
    write_new(&folder.join(TOKEN), format!("{token}\n").as_bytes())?;
    make_folder(&folder.join(OBJECTS))?;
    make_folder(&folder.join(JOURNALS))?;
    // The last: a folder without it is no console's, and is not run.
    write_new(&file, text.as_bytes())?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unwritten(folder, &error))?;
    Ok(made)
}

fn parse(file: &Path, bytes: &[u8]) -> Result<Settings, Failed> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_not_utf8| Failed::folder(file, "it is not UTF-8 text", "write it anew as UTF-8"))?;
    Settings::parse(text).map_err(|wrong| Failed::folder(file, wrong.why, wrong.hint))
}

fn make_folder(folder: &Path) -> Result<(), Failed> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let empty = fs::read_dir(folder).map_err(|error| unwritten(folder, &error))?.next().is_none();
            if empty {
                Ok(())
            } else {
                Err(Failed::folder(
                    folder,
                    "the folder is not empty",
                    "name a new folder, or one that is empty",
                ))
            }
        }
        Err(error) => Err(unwritten(folder, &error)),
    }
}

fn make_key(path: &Path, world: &World) -> Result<PublicKey, Failed> {
    let seed = Zeroizing::new(random(world)?);
    let key = SigningKey::from_seed(&seed).map_err(|error| Failed::act("make a key", error))?;
    write_new(path, write_key_file(&key).as_bytes())?;
    Ok(*key.public())
}

fn random(world: &World) -> Result<[u8; 32], Failed> {
    world.random().map_err(|error| Failed::act("draw random numbers", error))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    let mut options = OpenOptions::new();
    let written = options.write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, error: &io::Error) -> Failed {
    Failed::act(format!("write {}", path.display()), io::Error::new(error.kind(), error.to_string()))
}

/// The keys that the console signs with.
pub(crate) struct Keys {
    pub(crate) channel: SigningKey,
    pub(crate) controller: SigningKey,
    pub(crate) directory: SigningKey,
}

/// A folder opened to be run; nobody else runs it as long as this lives.
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    /// Who owns the folder, and is listened to without a token.
    pub(crate) owner: u32,
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    /// Of the admin token there is only this in memory.
    pub(crate) token: Digest,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) objects: Mutex<Objects<journal::Folder>>,
    /// What engines are made of.
    pub(crate) images: Images,
}

impl Opened {
    pub(crate) fn open(path: &Path) -> Result<Self, Failed> {
        let file = path.join(settings::FILE);
        let text = read(&file, settings::BYTES_MAX, "`leasehold console init FOLDER --name NAME` makes one")?;
        let settings = parse(&file, &text)?;
        let owner = fs::metadata(path).map_err(|error| Failed::act("read the folder", error))?.uid();
        let keys = Keys {
            channel: read_key(&path.join(CHANNEL_KEY))?,
            controller: read_key(&path.join(CONTROLLER_KEY))?,
            directory: read_key(&path.join(DIRECTORY_KEY))?,
        };
        if settings.controller.iter().any(|further| further.key == *keys.controller.public()) {
            let why = "a [[controller]] is the key that this console holds";
            return Err(Failed::folder(&file, why, "take it out: it is one without being named"));
        }
        let token = read_token(&path.join(TOKEN))?;
        let store = path.join(STORE);
        let store = Sqlite::open(&store).map_err(|failed| match failed {
            store::Failed::Held => {
                Failed::folder(path, failed.to_string(), "end the other console, or name another folder")
            }
            failed @ (store::Failed::Conflict { .. }
            | store::Failed::Limit { .. }
            | store::Failed::Format { .. }
            | store::Failed::Medium { .. }) => Failed::act(format!("open {}", store.display()), failed),
        })?;
        let objects =
            journal::Folder::writable(&path.join(OBJECTS)).map_err(|error| unwritten(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            owner,
            settings,
            keys,
            token: token_digest(token.trim_ascii()),
            store: Arc::new(store),
            objects: Mutex::new(
                Objects::open(objects).map_err(|error| Failed::act("open the objects", error))?,
            ),
            images: Images::open(&path.join(IMAGES))
                .map_err(|error| Failed::act("open the images", error))?,
        })
    }

    /// Where people's requests come in.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }
}

/// What is kept and compared of a token: who learns how far two digests agree learns nothing of the token.
pub(crate) fn token_digest(token: &[u8]) -> Digest {
    Digester::new("leasehold token").part(token).finish()
}

fn read_key(path: &Path) -> Result<SigningKey, Failed> {
    let bytes = read_secret(path, KEY_FILE_BYTES_MAX as u64)?;
    read_key_file(&bytes).map_err(|malformed| {
        Failed::folder(path, malformed.to_string(), "put back the file that `leasehold console init` made")
    })
}

/// A token that is no secret any more, because the file was cut short, is no token.
fn read_token(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let token = read_secret(path, TOKEN_BYTES_MAX)?;
    if token.trim_ascii().len() < TOKEN_BYTES_MIN {
        let hint = "put back the file that `leasehold console init` made";
        return Err(Failed::folder(path, format!("a token has {TOKEN_BYTES_MIN} characters or more"), hint));
    }
    Ok(token)
}

/// Reads a file that must be nobody's but its owner's.
fn read_secret(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let bytes =
        Zeroizing::new(read(path, bytes_max, "put back the file that `leasehold console init` made")?);
    let mode = fs::metadata(path).map_err(|error| Failed::act("read the folder", error))?.mode();
    if mode & 0o077 == 0 {
        Ok(bytes)
    } else {
        Err(Failed::folder(path, format!("others may read it (mode {:o})", mode & 0o777), "chmod 600 it"))
    }
}

fn read(path: &Path, bytes_max: u64, hint: &'static str) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > bytes_max => Err(Failed::folder(path, "the file is too long", hint)),
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failed::missing(path, hint)),
        Err(error) => Err(Failed::act(format!("read {}", path.display()), error)),
    }
}
