//! Custody's loop: the supervisor's requests one after the other, couriers' signatures in between.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path as Folder;

use id::{Epoch, NodeId, TierId};
use keys::Addressee;
use node_protocol::Decoder;
use node_protocol::frame::ATTACHMENT_BYTES_MAX;
use os::descriptor;
use os::poll::{Wanted, wait};

use zeroize::Zeroizing;

use super::signers::Signers;
use super::{Numbered, Path, Reply, Request, Store, StoreError, answer, chain};
use crate::rights::{self, Begin, Role};
use crate::step::{Step, Steps};

/// The longest request.
const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// The role: `bmonitor custody`. Ends when the supervisor's stream ends.
pub(crate) fn run(folder: &Folder, parent: u32, steps: &Steps) -> io::Result<()> {
    os::wiping::begin();
    // Before the right to walk there is given up: paths are relative from here on.
    std::env::set_current_dir(folder)?;
    rights::enforce(Begin { role: Role::Custody, parent: Some(parent) }).map_err(io::Error::other)?;
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut custody = Custody {
        store: Store::new(Folder::new("."), steps),
        steps,
        supervisor: Supervisor {
            stream,
            decoder: Decoder::limited(REQUEST_BYTES_MAX, ATTACHMENT_BYTES_MAX),
            handed: VecDeque::new(),
        },
        signers: Signers::default(),
    };
    while custody.turn()? {}
    Ok(())
}

struct Custody<'a> {
    store: Store<'a>,
    steps: &'a Steps,
    supervisor: Supervisor,
    signers: Signers,
}

/// The stream to the supervisor.
struct Supervisor {
    stream: UnixStream,
    decoder: Decoder,
    /// Descriptors that came along and belong to requests to come, in their order.
    handed: VecDeque<OwnedFd>,
}

impl Custody<'_> {
    /// Gives whether the supervisor is still there.
    fn turn(&mut self) -> io::Result<bool> {
        let mut descriptors = vec![(self.supervisor.stream.as_fd(), Wanted::READ)];
        descriptors.extend(self.signers.descriptors());
        let ready = wait(&descriptors, None)?;
        if ready.first() == Some(&true) && !self.supervisor.read()? {
            return Ok(false);
        }
        while let Some(frame) = self.supervisor.decoder.frame().map_err(io::Error::other)? {
            // What is not understood comes from no supervisor of ours.
            let Numbered { number, body } = frame.message().map_err(io::Error::other)?;
            let (reply, attachment) = match self.object(&body, &frame.attachment) {
                Some(Ok(object)) => (Reply::Done {}, object),
                Some(Err(error)) => (Reply::Refused { why: chain(&error) }, Zeroizing::default()),
                None => (self.answer(body, &frame.attachment), Zeroizing::default()),
            };
            if let Some(step) = reply.step() {
                self.steps.reach(step);
            }
            let mut stream = &self.supervisor.stream;
            let reply = Numbered { number, body: reply };
            node_protocol::frame::write(&mut stream, &reply, &attachment).map_err(io::Error::other)?;
        }
        let store = &self.store;
        self.signers.turn(|tier, epoch, message| {
            let key = store.identity(tier, epoch).ok().flatten()?;
            Some(*key.sign(message).as_bytes())
        });
        Ok(true)
    }

    fn answer(&mut self, request: Request, attachment: &[u8]) -> Reply {
        let served = match &request {
            Request::Open { key_file } => {
                if let Err(error) = self.open(*key_file) {
                    return Reply::Shut { why: chain(&error) };
                }
                Ok(())
            }
            Request::Share { node, root, epoch } => self
                .store
                .take_share(*node, (*root, *epoch), attachment, os::random::bytes)
                .map_err(|error| chain(&error)),
            Request::Order { node, tier, epoch, at } => {
                let to = Addressee { node: *node, tier: *tier, epoch: *epoch };
                let opened = self.store.open_order(&to, *at, attachment);
                let opened = opened.map(|envelope| Reply::Opened { envelope });
                return opened.unwrap_or_else(|error| Reply::Refused { why: chain(&error) });
            }
            Request::Volume { node, path, number } => {
                let given = self.give_volume(*node, path, *number);
                let given = given.map(|id| Reply::Key { id });
                return given.unwrap_or_else(|why| Reply::Refused { why });
            }
            Request::Courier { tier, epoch } => self.serve_courier(*tier, *epoch),
            Request::Forget { tier, last } => {
                self.signers.forget(*tier, *last);
                Ok(())
            }
            Request::Node {}
            | Request::Tier { .. }
            | Request::Receipt(_)
            | Request::Statement(_)
            | Request::Seal { .. }
            | Request::Unseal { .. }
            | Request::Rewrap { .. }
            | Request::Head { .. } => Ok(()),
        };
        let answered = served
            .and_then(|()| answer(&self.store, request, os::random::bytes).map_err(|error| chain(&error)));
        answered.unwrap_or_else(|why| Reply::Refused { why })
    }

    /// What comes of a request about an object; nothing: it is about none.
    fn object(&self, request: &Request, content: &[u8]) -> Option<Result<Zeroizing<Vec<u8>>, StoreError>> {
        let store = &self.store;
        if let Request::Seal { tier, name } = request {
            Some(store.seal_object(*tier, name, content, os::random::bytes).map(Zeroizing::new))
        } else if let Request::Unseal { tier, name } = request {
            Some(store.unseal_object(*tier, name, content))
        } else {
            None
        }
    }

    fn open(&mut self, key_file: bool) -> Result<(), StoreError> {
        let handed = if key_file { self.supervisor.handed.pop_front() } else { None };
        self.store.open(handed.map(File::from), os::random::bytes)
    }

    /// The key goes to the kernel and nowhere else.
    fn give_volume(&mut self, node: NodeId, path: &Path, number: u64) -> Result<String, String> {
        let within = self.supervisor.handed.pop_front().ok_or("no descriptor came along")?;
        let key =
            self.store.volume_key(node, path, number, os::random::bytes).map_err(|error| chain(&error))?;
        let id = os::fscrypt::add_key(within, &key).map_err(|error| chain(&StoreError::Kernel(error)))?;
        self.steps.reach(Step::CustodyKeyGiven);
        Ok(id.to_string())
    }

    fn serve_courier(&mut self, tier: TierId, epoch: Epoch) -> Result<(), String> {
        let stream = self.supervisor.handed.pop_front().ok_or("no stream came along")?;
        let key = self.store.identity(tier, epoch).map_err(|error| chain(&error))?;
        key.ok_or("the tier has no identity of that epoch")?;
        if self.signers.add(tier, epoch, UnixStream::from(stream)) {
            Ok(())
        } else {
            Err("there is no place for another courier".to_owned())
        }
    }
}

impl Supervisor {
    /// Reads what has arrived; gives whether the stream goes on.
    fn read(&mut self) -> io::Result<bool> {
        let (mut part, mut handed) = (vec![0; 64 * 1024], Vec::new());
        let length = descriptor::receive(&self.stream, &mut part, &mut handed)?;
        self.decoder.push(part.get(..length).unwrap_or_default());
        self.handed.extend(handed);
        Ok(length > 0)
    }
}
