//! Coordination and messages between nodes.

use std::time::{Duration, Instant};

use engine::cluster::Incoming;
use engine::dispatch::{LEASE_TTL, LapId, NodeId};
use engine::jetstream::ConnectError;
use futures::{FutureExt, StreamExt};

use crate::nats::Nats;
use crate::{PATIENCE, connect, id};

const LAP: fn() -> LapId = || LapId { batch: id(1), lap: 1 };

#[tokio::test(flavor = "multi_thread")]
async fn a_lap_has_one_coordinator_until_that_is_silent() {
    let nats = Nats::start();
    let [one, other] = [connect(&nats).await, connect(&nats).await].map(|nats| nats.cluster().coordination);
    // Taken before: the hold lasts for this long from some moment after it.
    let held = Instant::now();
    let epoch = one.acquire_or_renew(LAP()).await.expect("it answers").expect("nobody has it");
    assert_eq!(one.acquire_or_renew(LAP()).await.expect("it answers"), Some(epoch), "it is renewed");
    assert_eq!(other.acquire_or_renew(LAP()).await.expect("it answers"), None);
    assert_eq!(other.uncoordinated(vec![LAP()]).await.expect("it answers"), []);
    assert_eq!(one.uncoordinated(vec![LAP()]).await.expect("it answers"), [LAP()], "no other node has it");
    let later = loop {
        if let Some(epoch) = other.acquire_or_renew(LAP()).await.expect("it answers") {
            break epoch;
        }
        assert!(held.elapsed() < PATIENCE, "it is free at last");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(held.elapsed() > LEASE_TTL - Duration::from_secs(1), "{:?}", held.elapsed());
    assert!(later > epoch, "a later coordinator has a larger epoch");
    assert_eq!(one.acquire_or_renew(LAP()).await.expect("it answers"), None, "the silent one has lost it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lap_that_is_abandoned_is_free_at_once() {
    let nats = Nats::start();
    let [one, other] = [connect(&nats).await, connect(&nats).await].map(|nats| nats.cluster().coordination);
    let epoch = one.acquire_or_renew(LAP()).await.expect("it answers").expect("nobody has it");
    one.abandon(LAP()).await;
    let later = other.acquire_or_renew(LAP()).await.expect("it answers").expect("it is free");
    assert!(later > epoch);
    one.abandon(LAP()).await;
    assert_eq!(one.acquire_or_renew(LAP()).await.expect("it answers"), None, "only its own hold is abandoned");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_reaches_all_nodes_and_a_request_one() {
    let nats = Nats::start();
    let [one, other] = [connect(&nats).await, connect(&nats).await].map(|nats| nats.cluster().messages);
    let mut broadcasts = [one.broadcasts(), other.broadcasts()];
    let started = Instant::now();
    let mut received = [false; 2];
    // A subscription takes effect some time after it was made.
    while received != [true; 2] {
        one.broadcast("hello".into()).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        for (received, broadcasts) in received.iter_mut().zip(&mut broadcasts) {
            *received |= broadcasts.next().now_or_never().flatten() == Some("hello".into());
        }
        assert!(started.elapsed() < PATIENCE, "{received:?}");
    }
    let mut requests = other.requests();
    tokio::spawn(async move {
        while let Some(Incoming { request, reply }) = requests.next().await {
            reply([&request[..], b"!"].concat().into());
        }
    });
    let reply = loop {
        match one.request(other.id(), "who".into()).await {
            Ok(reply) => break reply,
            Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
        }
    };
    assert_eq!(reply, "who!");
    one.request(NodeId(7), "nobody".into()).await.expect_err("there is no such node");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_belongs_to_one_process_and_is_free_a_moment_after_that_has_ended() {
    let nats = Nats::start();
    let one = connect(&nats).await.join("a").await.expect("nobody has it");
    // As an engine does.
    let mut requests = one.messages.requests();
    let listening = tokio::spawn(async move {
        while let Some(Incoming { reply, .. }) = requests.next().await {
            reply("here".into());
        }
    });
    let other = connect(&nats).await;
    let Err(error) = other.join("a").await else { panic!("it has a holder") };
    assert!(matches!(&error, ConnectError::NameTaken { name } if name == "a"), "{error}");
    other.join("b").await.expect("nobody has that one");
    listening.abort();
    drop(one);
    let ended = Instant::now();
    other.join("a").await.expect("its holder has ended");
    assert!(ended.elapsed() < LEASE_TTL, "it did not have to expire");
}
