//! What only a side that nodes share can be asked: duplicates, keepers, and engines that run the same batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::journal::Offset;
use engine::queue::{CLAIM_TIME, LapId, Lease};
use engine::work::Registry;
use engine::{Engine, Journal, Node, Queue, Settings};
use futures::StreamExt;
use quilt::{BatchId, BatchSpec, Color, Event, Grid, Outcome, Position, Quilt, Settlement, Status, Timestamp};

use crate::nats::Nats;
use crate::{OWNER, PATIENCE, connect, id, launched, until_idle};

fn node(name: &str) -> Settings {
    let settings = Settings::default();
    Settings { node: Node { name: name.into(), slots: 4, ..settings.node }, ..settings }
}

async fn engine(nats: &Nats, name: &str) -> (Engine, Arc<dyn Queue>) {
    let connected = connect(nats).await;
    let queue: Arc<dyn Queue> = Arc::new(connected.queue());
    let journal = Arc::new(connected.journal());
    let engine = Engine::start(journal, Arc::clone(&queue), Registry::default(), node(name)).await;
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
