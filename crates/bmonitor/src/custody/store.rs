//! Custody's folder. A file is there whole or not at all; what is unlinked is gone once the folder is synced.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use id::{Digest, Digester, Epoch, TierId};
use keys::{SigningKey, read_key_file, write_key_file};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::step::{Step, Steps};

const NODE_KEY: &str = "node.key";
const SECRET: &str = "secret";
const COMMITMENT: &str = "commitment";
const UNFINISHED: &str = "new";

/// Why custody did not do it.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error("cannot {act} {file}")]
    File { act: &'static str, file: String, source: io::Error },
    #[error("{file} is damaged")]
    Damaged { file: String },
    #[error("cannot draw random bytes")]
    Random(#[source] io::Error),
    #[error("the node has no key")]
    NoNodeKey,
    #[error("it is in the name of another node")]
    OtherNode,
    #[error("the secret of tier {tier}, epoch {epoch} is still there")]
    NotGone { tier: TierId, epoch: Epoch },
}

/// The folder, opened by custody itself.
#[derive(Debug)]
pub(crate) struct Store<'a> {
    folder: PathBuf,
    steps: &'a Steps,
}

/// What a tier has in one epoch: the seed of its identity U, then its salt S.
type Secret = Zeroizing<[u8; 64]>;

impl<'a> Store<'a> {
    pub(crate) fn new(folder: &Path, steps: &'a Steps) -> Self {
        Self { folder: folder.to_owned(), steps }
    }

    /// The node's key N.
    pub(super) fn node_key(&self) -> Result<SigningKey, StoreError> {
        let bytes = self.read(NODE_KEY)?.ok_or(StoreError::NoNodeKey)?;
        read_key_file(&bytes).map_err(|_malformed| damaged(NODE_KEY))
    }

    /// The node's key N, made now if there is none.
    pub(super) fn node_key_or_new(
        &self,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<SigningKey, StoreError> {
        match self.node_key() {
            Err(StoreError::NoNodeKey) => {}
            ended => return ended,
        }
        let seed = Zeroizing::new(random().map_err(StoreError::Random)?);
        let key = SigningKey::from_seed(&seed).map_err(|_unusable| damaged("a new seed"))?;
        self.put(NODE_KEY, write_key_file(&key).as_bytes())?;
        Ok(key)
    }

    /// A tier's identity of an epoch, made now, with a salt, if there is none.
    pub(super) fn tier_key_or_new(
        &self,
        tier: TierId,
        epoch: Epoch,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<SigningKey, StoreError> {
        match self.secret(tier, epoch)? {
            Some(secret) => identity(tier, epoch, &secret),
            None => identity(tier, epoch, &self.new_secret(tier, epoch, random)?),
        }
    }

    /// A tier's identity of an epoch, if there is one.
    pub(super) fn tier_key(&self, tier: TierId, epoch: Epoch) -> Result<Option<SigningKey>, StoreError> {
        self.secret(tier, epoch)?.map(|secret| identity(tier, epoch, &secret)).transpose()
    }

    fn secret(&self, tier: TierId, epoch: Epoch) -> Result<Option<Secret>, StoreError> {
        let name = file_name(tier, epoch, SECRET);
        let Some(bytes) = self.read(&name)? else { return Ok(None) };
        let secret = bytes.as_slice().try_into().map_err(|_length| damaged(&name))?;
        Ok(Some(Zeroizing::new(secret)))
    }

    fn new_secret(
        &self,
        tier: TierId,
        epoch: Epoch,
        random: impl Fn() -> io::Result<[u8; 32]>,
    ) -> Result<Secret, StoreError> {
        let mut secret: Secret = Zeroizing::new([0; 64]);
        for half in secret.chunks_exact_mut(32) {
            half.copy_from_slice(&*Zeroizing::new(random().map_err(StoreError::Random)?));
        }
        // The commitment first: a secret without one could be destroyed and not be named.
        let commitment = commitment(tier, epoch, &secret).to_string();
        self.put(&file_name(tier, epoch, COMMITMENT), commitment.as_bytes())?;
        self.put(&file_name(tier, epoch, SECRET), secret.as_slice())?;
        self.steps.reach(Step::CustodyKept);
        Ok(secret)
    }

    /// The commitments to a tier's secrets up to an epoch (none: all), if none of these is there any more.
    pub(super) fn destroyed(&self, tier: TierId, last: Option<Epoch>) -> Result<Vec<Digest>, StoreError> {
        let mut found = Vec::new();
        for name in names(&self.folder)? {
            let Some((of, epoch, kind)) = parse_name(&name) else { continue };
            if of != tier || last.is_some_and(|last| epoch > last) {
                continue;
            }
            if kind == SECRET {
                return Err(StoreError::NotGone { tier, epoch });
            }
            let text = self.read(&name)?.unwrap_or_default();
            let digest = str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
            found.push((epoch, digest.ok_or_else(|| damaged(&name))?));
        }
        found.sort_unstable();
        Ok(found.into_iter().map(|(_epoch, digest)| digest).collect())
    }

    fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        const BYTES_MAX: u16 = 4096;
        let file = match File::open(self.folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(because("open", name))?,
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::from(BYTES_MAX)));
        file.take(u64::from(BYTES_MAX)).read_to_end(&mut bytes).map_err(because("read", name))?;
        Ok(Some(bytes))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let unfinished = self.folder.join(format!("{name}.{UNFINISHED}"));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&unfinished).map_err(because("make", name))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(because("write", name))?;
        self.steps.reach(Step::CustodyWritten);
        fs::rename(&unfinished, self.folder.join(name)).map_err(because("name", name))?;
        sync(&self.folder).map_err(because("sync the folder of", name))
    }
}

/// Whether there is a node key in custody's folder; the supervisor asks at its start.
pub(crate) fn has_node_key(folder: &Path) -> io::Result<bool> {
    fs::exists(folder.join(NODE_KEY))
}

/// The secrets in custody's folder, by their names alone; unfinished ones count.
pub(crate) fn secrets(folder: &Path) -> Result<BTreeSet<(TierId, Epoch)>, StoreError> {
    let names = names(folder)?;
    let of = |name: &String| {
        let finished = name.strip_suffix(".new").unwrap_or(name);
        parse_name(finished).filter(|(_, _, kind)| *kind == SECRET).map(|(tier, epoch, _)| (tier, epoch))
    };
    Ok(names.iter().filter_map(of).collect())
}

/// Unlinks every secret of a tier up to an epoch (none: all), finished or not, and syncs the folder: the
/// supervisor's part of a severing, for which custody is not needed. `unlinked` is told before the sync.
pub(crate) fn gone_up_to(
    folder: &Path,
    tier: TierId,
    last: Option<Epoch>,
    unlinked: impl Fn(),
) -> Result<(), StoreError> {
    for name in names(folder)? {
        let finished = name.strip_suffix(&format!(".{UNFINISHED}")).unwrap_or(&name);
        let Some((of, epoch, kind)) = parse_name(finished) else { continue };
        if of == tier && kind == SECRET && last.is_none_or(|last| epoch <= last) {
            fs::remove_file(folder.join(&name)).map_err(because("unlink", &name))?;
        }
    }
    unlinked();
    sync(folder).map_err(because("sync", "custody's folder"))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A name that is no text is none of ours: it keeps no severing from going on.
fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let list = || -> io::Result<Vec<String>> {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    };
    list().map_err(because("list", "custody's folder"))
}

fn file_name(tier: TierId, epoch: Epoch, kind: &str) -> String {
    format!("{tier}.{epoch}.{kind}")
}

fn parse_name(name: &str) -> Option<(TierId, Epoch, &str)> {
    let (tier, rest) = name.split_once('.')?;
    let (epoch, kind) = rest.split_once('.')?;
    let known = kind == SECRET || kind == COMMITMENT;
    let epoch = epoch.parse().ok().and_then(Epoch::new)?;
    known.then_some((tier.parse().ok()?, epoch, kind))
}

fn commitment(tier: TierId, epoch: Epoch, secret: &Secret) -> Digest {
    let salt = &secret[32..];
    let digester = Digester::new("leasehold secret commitment").part(tier.as_bytes());
    digester.part(&epoch.get().to_be_bytes()).part(salt).finish()
}

fn identity(tier: TierId, epoch: Epoch, secret: &Secret) -> Result<SigningKey, StoreError> {
    let seed = secret.first_chunk::<32>();
    let key = seed.and_then(|seed| SigningKey::from_seed(seed).ok());
    key.ok_or_else(|| damaged(&file_name(tier, epoch, SECRET)))
}

fn damaged(file: &str) -> StoreError {
    StoreError::Damaged { file: file.to_owned() }
}

fn because(act: &'static str, file: &str) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::File { act, file: file.to_owned(), source }
}
