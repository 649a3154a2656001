//! What only a backend that nodes share can be asked: duplicates, and engines that run the same batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::journal::{Catalog, EventLog, Offset};
use engine::work::Registry;
use engine::{Clock, Engine, Node, Retention, Settings, Slots};
use futures::StreamExt;
use quilt::{BatchId, BatchSpec, Color, Event, Grid, Outcome, Position, Quilt, Settlement, Status, Timestamp};

use crate::nats::Nats;
use crate::{OWNER, PATIENCE, connect, id, launched};

fn node(name: &str) -> Settings {
    let settings = Settings::default();
    Settings { node: Node { name: name.into(), slots: Slots::all(4), ..settings.node }, ..settings }
}

pub(crate) async fn engine(nats: &Nats, name: &str) -> Engine {
    engine_as(nats, node(name)).await
}

async fn engine_as(nats: &Nats, settings: Settings) -> Engine {
    let connected = connect(nats).await;
    let journal = Arc::new(connected.journal());
    let engine = Engine::start(journal, Some(connected.cluster()), Registry::default(), settings).await;
    engine.expect("it starts")
}

pub(crate) fn spec(side: u16) -> BatchSpec {
    let work = serde_json::from_str(r#"{"kind": "color", "duration_ms": [1, 4]}"#).expect("a work spec");
    BatchSpec::new(work, Grid::new(side, side).expect("a small grid"), 11)
}

pub(crate) async fn finished(engine: &Engine, batch: BatchId) -> Quilt {
    let live = engine.open(batch).await.expect("it answers").expect("it is there");
    let reached = live.wait_until(|quilt| quilt.status() == Status::Finished);
    tokio::time::timeout(PATIENCE, reached).await.expect("it comes to its finish line");
    live.folded().quilt.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_share_a_batch_and_run_each_task_once() {
    let nats = Nats::start();
    let one = engine(&nats, "one").await;
    let other = engine(&nats, "other").await;
    let work = serde_json::from_str(r#"{"kind": "color", "duration_ms": [10, 40]}"#).expect("a work spec");
    let slow = BatchSpec::new(work, Grid::new(16, 16).expect("a small grid"), 11);
    one.launch(id(1), OWNER, slow, None).await.expect("accepted");
    let quilt = finished(&one, id(1)).await;
    assert_eq!(quilt.progress().done, 256);
    assert_eq!(finished(&other, id(1)).await, quilt);
    let receipts = [one.receipts(id(1)).await, other.receipts(id(1)).await].map(|receipts| receipts.expect("readable"));
    assert_eq!(receipts[0], receipts[1]);
    assert_eq!(receipts[0].as_ref().map(Vec::len), Some(1));
    let mut attempts = 0;
    let mut nodes = std::collections::BTreeSet::new();
    for event in events(&nats, id(1)).await {
        let Event::Attempted { worker, runs, .. } = event else { continue };
        attempts += runs.iter().map(|run| run.count).sum::<u32>();
        nodes.extend(worker.rsplit_once('-').map(|(node, _)| node.to_owned()));
    }
    assert_eq!((attempts, nodes.len()), (256, 2), "{nodes:?}");
}

/// All events of a batch at this moment.
pub(crate) async fn events(nats: &Nats, batch: BatchId) -> Vec<Event> {
    let mut pages = connect(nats).await.journal().follow(batch, Offset(0));
    let mut events = Vec::new();
    loop {
        let page = pages.next().await.expect("it goes on").expect("readable");
        events.extend(page.events);
        if page.caught_up {
            return events;
        }
    }
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
    assert_eq!(events(&nats, id(1)).await, [Event::Launched(launched(1)), settled]);
}

/// The time of day on a node whose clock is off by so many days.
fn clock(days: i64) -> Clock {
    let shift = days * 24 * 3_600_000;
    let started = Timestamp(engine::now().0.saturating_add_signed(shift));
    Clock::Simulated { started, at: tokio::time::Instant::now(), set: None }
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
    let behind = engine_as(&nats, on("behind", -31, month)).await;
    let ahead = engine_as(&nats, on("ahead", 31, month)).await;
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
        while !journal.find(id(number)).await.expect("it answers").is_some_and(|found| found.is_finalized) {
            assert!(started.elapsed() < PATIENCE, "its end is noted");
        }
        let none = Retention { age: Some(Duration::ZERO), bytes: None };
        let strict = engine_as(&nats, on("strict", days, none)).await;
        while !listed().await.is_empty() {
            assert!(started.elapsed() < PATIENCE, "all are older than nothing");
        }
        strict.shutdown(Duration::ZERO).await;
    }
}
