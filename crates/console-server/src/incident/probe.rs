//! A probe of a node that is silent: over its connection, and at the address from which it dialled.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use channel::Link;
use incident::Sign;
use node_protocol::call::Call;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A port where nothing listens (tcpmux): a kernel that lives refuses the connection.
const PORT: u16 = 1;

/// How long one probe may take.
pub(super) const PATIENCE: Duration = Duration::from_millis(400);

/// What is perceived of the node, if anything: the better of two signs.
pub(super) async fn probe(link: Option<Arc<Link>>, address: Option<IpAddr>) -> Option<Sign> {
    let monitor = async {
        let link = link?;
        let answered = timeout(PATIENCE, link.call(&Call::Status { settled: false }, &[])).await;
        matches!(answered, Ok(Ok(_))).then_some(Sign::Pulse)
    };
    let machine = async {
        let address = SocketAddr::new(address?, PORT);
        let tried = timeout(PATIENCE, TcpStream::connect(address)).await.ok()?;
        is_answered(&tried).then_some(Sign::Machine)
    };
    let (monitor, machine) = tokio::join!(monitor, machine);
    monitor.or(machine)
}

/// Whether it was the machine itself that answered. That there is no way to it is said by others.
fn is_answered(tried: &io::Result<TcpStream>) -> bool {
    match tried {
        Ok(_) => true,
        Err(error) => {
            matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
        }
    }
}
