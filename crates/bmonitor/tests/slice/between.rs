//! Somebody between a node and a console: passes bytes on and keeps them, or sends what was kept again.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use lab::Facility;
use os::namespace::Namespace;

/// What went over one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    pub(crate) from_node: Vec<u8>,
    pub(crate) from_console: Vec<u8>,
}

#[derive(Default)]
struct State {
    kept: Vec<Arc<Mutex<Kept>>>,
    /// Both ends of each of them.
    open: Vec<TcpStream>,
    /// What is sent to whoever dials, instead of passing it on.
    replayed: Option<Vec<u8>>,
    /// How many have dialled since, and hung up.
    dialled: usize,
}

/// Listens in the router's namespace.
#[derive(Clone)]
pub(crate) struct Between(Arc<(Mutex<State>, Condvar)>);

impl Between {
    /// Listens at one place for those who mean the console at the other.
    pub(crate) fn listen(facility: &Facility, here: SocketAddr, there: SocketAddr) -> Self {
        let between = Self(Arc::default());
        let router = facility.namespace("router").unwrap();
        let listener = router.run(|| TcpListener::bind(here)).unwrap().unwrap();
        let own = between.clone();
        thread::spawn(move || own.accept(&listener, &router, there));
        between
    }

    /// All connections so far.
    pub(crate) fn kept(&self) -> Vec<Kept> {
        self.0.0.lock().unwrap().kept.iter().map(|kept| kept.lock().unwrap().clone()).collect()
    }

    /// From now on whoever dials gets these bytes; or is passed on again.
    pub(crate) fn replay(&self, bytes: Option<Vec<u8>>) {
        let mut state = self.0.0.lock().unwrap();
        state.replayed = bytes;
        state.dialled = 0;
    }

    /// Ends all connections that there are.
    pub(crate) fn cut(&self) {
        for stream in self.0.0.lock().unwrap().open.drain(..) {
            stream.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }

    /// Waits until so many have dialled, were sent the bytes, and have hung up.
    pub(crate) fn wait_for_dials(&self, number: usize, patience: Duration) {
        let state = self.0.0.lock().unwrap();
        let (state, late) =
            self.0.1.wait_timeout_while(state, patience, |state| state.dialled < number).unwrap();
        assert!(!late.timed_out(), "{} have dialled", state.dialled);
    }

    fn accept(&self, listener: &TcpListener, router: &Namespace, there: SocketAddr) {
        while let Ok((node, _from)) = listener.accept() {
            let replayed = self.0.0.lock().unwrap().replayed.clone();
            match replayed {
                Some(bytes) => self.send(node, &bytes),
                None => {
                    let Ok(Ok(console)) = router.run(|| TcpStream::connect(there)) else { return };
                    self.pass_on(&node, &console);
                }
            }
        }
    }

    fn send(&self, mut node: TcpStream, bytes: &[u8]) {
        let own = self.clone();
        let bytes = bytes.to_vec();
        thread::spawn(move || {
            // It hangs up when it has seen what this is.
            node.write_all(&bytes).unwrap_or_default();
            node.read_to_end(&mut Vec::new()).unwrap_or_default();
            own.0.0.lock().unwrap().dialled += 1;
            own.0.1.notify_all();
        });
    }

    fn pass_on(&self, node: &TcpStream, console: &TcpStream) {
        let kept = Arc::<Mutex<Kept>>::default();
        {
            let mut state = self.0.0.lock().unwrap();
            state.kept.push(Arc::clone(&kept));
            state.open.extend([node, console].map(|stream| stream.try_clone().unwrap()));
        }
        for (from, to, is_node) in [(node, console, true), (console, node, false)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let kept = Arc::clone(&kept);
            thread::spawn(move || {
                copy(from, to, |bytes| {
                    let mut kept = kept.lock().unwrap();
                    if is_node { &mut kept.from_node } else { &mut kept.from_console }
                        .extend_from_slice(bytes);
                });
            });
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, keep: impl Fn(&[u8])) {
    let mut part = [0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut part) {
        keep(&part[..length]);
        if to.write_all(&part[..length]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).unwrap_or_default();
    from.shutdown(Shutdown::Both).unwrap_or_default();
}
