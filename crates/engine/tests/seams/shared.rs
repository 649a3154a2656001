//! What only a side that nodes share can be asked: duplicates, keepers, and engines that run the same batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::journal::Offset;
use engine::queue::{CLAIM_TIME, LapId, Lease};
use engine::work::Registry;
use engine::{Clock, Engine, Journal, Node, Queue, Retention, Settings};
use futures::StreamExt;
use quilt::{BatchId, BatchSpec, Color, Event, Grid, Outcome, Position, Quilt, Settlement, Status, Timestamp};

use crate::nats::Nats;
use crate::{OWNER, PATIENCE, connect, id, launched, until_idle};

fn node(name: &str) -> Settings {
    let settings = Settings::default();
    Settings { node: Node { name: name.into(), slots: 4, ..settings.node }, ..settings }
}

async fn engine(nats: &Nats, name: &str) -> (Engine, Arc<dyn Queue>) {
    engine_as(nats, node(name)).await
}

async fn engine_as(nats: &Nats, settings: Settings) -> (Engine, Arc<dyn Queue>) {
    let connected = connect(nats).await;
    let queue: Arc<dyn Queue> = Arc::new(connected.queue());
    let journal = Arc::new(connected.journal());
    let engine = Engine::start(journal, Arc::clone(&queue), Registry::default(), settings).await;
    (engine.expect("it starts"), queue)
}

fn spec(side: u16) -> BatchSpec {
    let work = serde_json::from_str(r#"{"kind": "color", "duration_ms": [1, 4]}"#).expect("a work spec");
    BatchSpec::new(work, Grid::new(side, side).expect("a small grid"), 11)
}

async fn finished(engine: &Engine, batch: BatchId) -> Quilt {
    let live = engine.open(batch).await.expect("it answers").expect("it is there");
    let reached = live.wait_until(|quilt| quilt.status() == Status::Finished);
    tokio::time::timeout(PATIENCE, reached).await.expect("it comes to its finish line");
    live.folded().quilt.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_that_are_delivered_twice_settle_each_square_once_on_every_node() {
    let nats = Nats::start();
    let (one, queue) = engine(&nats, "one").await;
    let (other, _) = engine(&nats, "other").await;
    one.launch(id(1), OWNER, spec(16), None).await.expect("accepted");
    for first in (0..256).step_by(32) {
        let positions = Position(first)..Position(256);
        let lease = Lease { batch: id(1), lap: 1, positions, after: engine::journal::Mark(0), losses: 0 };
        queue.push(lease, Duration::ZERO).await;
    }
    let quilt = finished(&one, id(1)).await;
    assert_eq!(quilt.progress().done, 256);
    assert_eq!(finished(&other, id(1)).await, quilt);
    let receipts = [one.receipts(id(1)).await, other.receipts(id(1)).await].map(|receipts| receipts.expect("readable"));
    assert_eq!(receipts[0], receipts[1]);
    assert_eq!(receipts[0].as_ref().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_was_lost_is_stored_once_when_it_is_made_again() {
    let nats = Nats::start();
    let journal = connect(&nats).await.journal();
    journal.create(id(1), OWNER, launched(1), None).await.expect("it answers");
    let settlements = vec![Settlement { position: Position(1), outcome: Outcome::Done(Color::from_rgb(1)) }];
    let settled = Event::Settled { lap: 1, at: Timestamp(1), settlements };
    let first = journal.append(id(1), vec![settled.clone()], Vec::new()).await.expect("it answers");
    let again = journal.append(id(1), vec![settled.clone()], Vec::new()).await.expect("it answers");
    assert_eq!(first, again);
    let mut pages = journal.follow(id(1), Offset(0));
    let mut events = Vec::new();
    loop {
        let page = pages.next().await.expect("it goes on").expect("readable");
        events.extend(page.events);
        if page.caught_up {
            break;
        }
    }
    assert_eq!(events, [Event::Launched(launched(1)), settled]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lap_has_one_keeper_until_that_is_silent_and_is_started_once() {
    let nats = Nats::start();
    let [one, other] = [connect(&nats).await.queue(), connect(&nats).await.queue()];
    let lap = LapId { batch: id(1), lap: 1 };
    let lease = Lease {
        batch: id(1),
        lap: 1,
        positions: Position(0)..Position(64),
        after: engine::journal::Mark(0),
        losses: 0,
    };
    // Taken before: a lap is kept for this long from some moment after it.
    let kept = Instant::now();
    assert!(one.keep(lap).await.expect("it answers"));
    assert!(!other.keep(lap).await.expect("it answers"));
    assert_eq!(other.unkept(vec![lap]).await.expect("it answers"), []);
    one.start(lap, lease.clone()).await;
    while !other.keep(lap).await.expect("it answers") {
        assert!(kept.elapsed() < PATIENCE, "it is free at last");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(kept.elapsed() > CLAIM_TIME - Duration::from_secs(1), "{:?}", kept.elapsed());
    assert!(!one.keep(lap).await.expect("it answers"), "who was silent has lost it");
    other.start(lap, lease.clone()).await;
    let claim = other.pull().await;
    other.finish(claim.id).await;
    // One lease, whoever starts it: a second one would wait.
    until_idle(&other).await;
}

/// The time of day on a node whose clock is off by so many days.
fn clock(days: i64) -> Clock {
    let shift = days * 24 * 3_600_000;
    let started = Timestamp(engine::now().0.saturating_add_signed(shift));
    Clock::Simulated { started, at: tokio::time::Instant::now() }
}

/// Removes a batch, and waits until the clean-up that this sets off is through with it. Whatever retention removes was removed by the clean-up before.
async fn clean_up(nats: &Nats, engine: &Engine, number: u8) {
    let client = async_nats::connect(nats.url()).await.expect("it listens");
    let entries = async_nats::jetstream::new(client).get_key_value("quilt-batches").await.expect("it is there");
    engine.launch(id(number), OWNER, spec(1), None).await.expect("accepted");
    finished(engine, id(number)).await;
    let started = Instant::now();
    while engine.remove(id(number), OWNER).await.is_err() {
        assert!(started.elapsed() < PATIENCE, "its end is noted");
        tokio::task::yield_now().await;
    }
    while entries.get(format!("{OWNER}.{}", id(number))).await.expect("it answers").is_some() {
        assert!(started.elapsed() < PATIENCE, "it is cleaned up");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_nodes_clock_decides_which_batches_are_old() {
    let nats = Nats::start();
    let month = Retention { age: Some(Duration::from_secs(30 * 24 * 3_600)), bytes: None };
    let on = |name, days, retention| Settings { retention, clock: clock(days), ..node(name) };
    let (behind, _) = engine_as(&nats, on("behind", -31, month)).await;
    let (ahead, _) = engine_as(&nats, on("ahead", 31, month)).await;
    for (number, launcher) in [(1, &behind), (2, &ahead)] {
        launcher.launch(id(number), OWNER, spec(4), None).await.expect("accepted");
        finished(launcher, id(number)).await;
    }
    let listed = async || {
        let listed = behind.list(OWNER, None, 9).await.expect("it answers").batches;
        listed.into_iter().map(|(batch, _)| batch).collect::<std::collections::BTreeSet<_>>()
    };
    for (number, cleaner) in [(3, &behind), (4, &behind), (5, &ahead), (6, &ahead)] {
        clean_up(&nats, cleaner, number).await;
    }
    assert_eq!(listed().await, [id(1), id(2)].into(), "none is older than a month");
    // What is too old is removed by a node with whatever clock.
    let journal = connect(&nats).await.journal();
    for (number, days) in [(7, -31), (8, 31)] {
        behind.launch(id(number), OWNER, spec(1), None).await.expect("accepted");
        let started = Instant::now();
        while !journal.find(id(number)).await.expect("it answers").is_some_and(|found| found.is_concluded) {
            assert!(started.elapsed() < PATIENCE, "its end is noted");
        }
        let none = Retention { age: Some(Duration::ZERO), bytes: None };
        let (strict, _) = engine_as(&nats, on("strict", days, none)).await;
        while !listed().await.is_empty() {
            assert!(started.elapsed() < PATIENCE, "all are older than nothing");
        }
        strict.shutdown(Duration::ZERO).await;
    }
}
