//! What a connection is good for, and when it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use node_protocol::call::{Answer, OWN_TIER};
use node_protocol::courier::Console;
use tokio::time::timeout;

use super::world::{
    CONSOLE, NODE, Node, OTHER, connected, dialled, hanging, holder, listening, pinned, public, put, status,
};
use crate::{Accepted, CallFailed, DialFailed, Dialler, Limits, Told};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn both_know_each_other_and_the_console_asks() {
    let (_listener, pins, _console, link, node, _served) = connected().await;
    assert_eq!(link.identity(), public(NODE));
    assert_eq!(pins.connected(), [public(NODE)]);
    let big = vec![7; 3 * 1024 * 1024];
    let (answer, attachment) = link.call(&put(), &big).await.unwrap();
    assert!(matches!(answer, Answer::Stored { .. }));
    assert_eq!(attachment, big);
    node.tell(1);
    let mut statuses = link.status().await.unwrap();
    assert_eq!(statuses.next().await.unwrap(), Some(status(1)));
    node.tell(2);
    assert_eq!(statuses.next().await.unwrap(), Some(status(2)));
}

#[tokio::test]
async fn an_identity_without_a_pin_is_refused() {
    let (mut listener, pins, console) = listening(Limits::default()).await;
    let node = Arc::new(Node::default());
    let served = async {
        // A TLS 1.3 client is done before the server has judged it: what it hears is the end.
        dialled(OTHER, &console, Arc::clone(&node)).await.await.unwrap();
    };
    tokio::select! {
        accepted = listener.accept() => panic!("{accepted:?}"),
        () = served => {}
    }
    assert_eq!(node.calls.load(Ordering::SeqCst), 0);
    assert!(pins.connected().is_empty());
}

#[tokio::test]
async fn a_console_with_another_key_is_refused_by_the_node() {
    let (mut listener, _pins, console) = listening(Limits::default()).await;
    let wrong = Console { key: public(OTHER), ..console };
    let dialler = Dialler::new(holder(NODE), Limits::default());
    tokio::select! {
        accepted = listener.accept() => panic!("{accepted:?}"),
        dialled = dialler.dial(&wrong) => assert!(matches!(dialled, Err(DialFailed::Stream(..)))),
    }
}

#[tokio::test]
async fn a_pin_that_goes_ends_the_call_under_way() {
    let (mut listener, pins, console, link, node, served) = connected().await;
    let called = tokio::spawn({
        let link = link.clone();
        async move { link.call(&hanging(), &[]).await }
    });
    while node.calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    assert!(pins.remove(&public(NODE)));
    assert!(matches!(called.await.unwrap(), Err(CallFailed::Ended(_))));
    timeout(SOON, link.closed()).await.unwrap();
    timeout(SOON, served).await.unwrap().unwrap();
    println!("a removed pin ended the call and the connection in {:?}", began.elapsed());
    assert!(matches!(link.call(&put(), &[]).await, Err(CallFailed::Ended(_))));
    // And it does not get back in.
    tokio::select! {
        accepted = listener.accept() => panic!("{accepted:?}"),
        served = dialled(NODE, &console, node) => served.await.unwrap(),
    }
}

#[tokio::test]
async fn the_newest_connection_of_an_identity_is_the_one() {
    let (mut listener, pins, console, first, node, served) = connected().await;
    let (accepted, _served) = tokio::join!(listener.accept(), dialled(NODE, &console, node));
    let second = pinned(accepted);
    timeout(SOON, first.closed()).await.unwrap();
    timeout(SOON, served).await.unwrap().unwrap();
    second.call(&put(), &[]).await.unwrap();
    // The first one's end takes nothing away from the second.
    drop(first);
    assert_eq!(pins.connected(), [public(NODE)]);
    second.close();
    timeout(SOON, second.closed()).await.unwrap();
    assert!(pins.connected().is_empty());
}

#[tokio::test]
async fn while_the_window_is_open_a_stranger_says_what_it_is_and_no_more() {
    let (mut listener, pins, console) = listening(Limits::default()).await;
    pins.open_window(1);
    let node = Arc::new(Node::default());
    let (accepted, served) = tokio::join!(listener.accept(), dialled(OTHER, &console, Arc::clone(&node)));
    let Accepted::Stranger(stranger) = accepted else { panic!("{accepted:?}") };
    assert_eq!(stranger.identity(), public(OTHER));
    assert!(pins.connected().is_empty());
    assert_eq!(stranger.statements().await.unwrap(), OWN_TIER.as_bytes());
    timeout(SOON, served).await.unwrap().unwrap();
    assert_eq!(node.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn silent_strangers_keep_nobody_out() {
    let (mut listener, pins, console) = listening(Limits::default()).await;
    pins.open_window(2);
    let node = Arc::new(Node::default());
    let mut waiting = Vec::new();
    for silent in [OTHER, 4, 5] {
        let (accepted, served) =
            tokio::join!(listener.accept(), dialled(silent, &console, Arc::clone(&node)));
        let Accepted::Stranger(stranger) = accepted else { panic!("{accepted:?}") };
        waiting.push((stranger, served));
    }
    // There are two places: who came first has gone, the others are there.
    let (first, served) = waiting.remove(0);
    timeout(SOON, served).await.unwrap().unwrap();
    first.statements().await.unwrap_err();
    for (stranger, _served) in waiting {
        assert_eq!(stranger.statements().await.unwrap(), OWN_TIER.as_bytes());
    }
}

#[tokio::test]
async fn strangers_go_when_they_are_pinned_or_the_window_closes() {
    let (mut listener, pins, console) = listening(Limits::default()).await;
    pins.open_window(4);
    let node = Arc::new(Node::default());
    let (_one, first) = tokio::join!(listener.accept(), dialled(OTHER, &console, Arc::clone(&node)));
    let (_two, second) = tokio::join!(listener.accept(), dialled(4, &console, Arc::clone(&node)));
    pins.insert(public(OTHER));
    timeout(SOON, first).await.unwrap().unwrap();
    pins.close_window();
    timeout(SOON, second).await.unwrap().unwrap();
    let (accepted, _served) = tokio::join!(listener.accept(), dialled(OTHER, &console, node));
    assert_eq!(pinned(accepted).identity(), public(OTHER));
}

#[tokio::test]
async fn pins_that_are_replaced_cut_those_that_are_missing() {
    let (_listener, pins, _console, link, _node, served) = connected().await;
    pins.replace([public(NODE), public(OTHER)]);
    link.call(&put(), &[]).await.unwrap();
    pins.replace([public(OTHER)]);
    timeout(SOON, link.closed()).await.unwrap();
    timeout(SOON, served).await.unwrap().unwrap();
    assert!(pins.contains(&public(OTHER)) && !pins.contains(&public(NODE)));
}

#[tokio::test]
async fn a_dialler_finds_the_address_that_answers_and_comes_back_after_a_loss() {
    let (mut listener, _pins, mut console) = listening(Limits::default()).await;
    // Nobody listens at the first: the port was free a moment ago, and is ours.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    console.addresses.insert(0, nobody.local_addr().unwrap());
    drop(nobody);
    let node = Arc::new(Node::default());
    let keeping = tokio::spawn(async move {
        let dialler = Dialler::new(holder(NODE), Limits::default());
        dialler
            .keep(&console, node, || 0, |told| assert!(!matches!(told, Told::Failed(..)), "{told:?}"))
            .await;
    });
    for _ in 0..3 {
        let link = pinned(timeout(SOON, listener.accept()).await.unwrap());
        link.call(&put(), &[]).await.unwrap();
        link.close();
    }
    keeping.abort();
}

#[tokio::test]
async fn a_dialler_that_is_dropped_ends_its_connection() {
    let (mut listener, _pins, console) = listening(Limits::default()).await;
    let keeping = tokio::spawn(async move {
        let dialler = Dialler::new(holder(NODE), Limits::default());
        dialler.keep(&console, Arc::new(Node::default()), || 0, |_told| ()).await;
    });
    let link = pinned(listener.accept().await);
    keeping.abort();
    timeout(SOON, link.closed()).await.unwrap();
    assert_eq!(public(CONSOLE), holder(CONSOLE).public());
}
