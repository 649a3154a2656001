//! Laps of some squares, stops that let tasks end, and batches that go on after a stop.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::time::Duration;

use api::{LapRequest, LaunchRequest};
use async_trait::async_trait;
use common::{Gate, Gated, OWNER, PATIENCE, WORKERS, finished, id, open, spec, start, start_with, until};
use engine::embedded::SqliteJournal;
use engine::journal::{Catalog, Damage, EventLog};
use engine::work::{AsyncWork, Done, Registry, Task, TaskError, Work};
use engine::{ControlError, Engine, Journal, JournalError, LaunchError, LiveBatch, SquareResult};
use quilt::wire::MAX_SPEC;
use quilt::{
    Color, Event, Halt, LapSet, LapStats, Launched, Limits, Outcome, Position, Progress, Quilt, Receipt, Settlement,
    Status, Timestamp, Tolerance,
};
use tempfile::TempDir;

static STOPPED: Gate = Gate::new();
static DRAINED: Gate = Gate::new();
static RESTARTED: Gate = Gate::new();

async fn gated(folder: &TempDir, gate: &'static Gate) -> Engine {
    start_with(folder.path(), Registry::default().with_work("gate", move || Work::waiting(Gated(gate)))).await
}

async fn reached(batch: &LiveBatch, state: impl Fn(&Quilt) -> bool) -> Quilt {
    tokio::time::timeout(PATIENCE, batch.wait_until(state)).await.expect("it comes to this");
    batch.folded().quilt.clone()
}

fn is_over_in(lap: u32) -> impl Fn(&Quilt) -> bool {
    move |quilt| quilt.lap_number() == lap && quilt.status().is_over()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_batch_goes_on_with_what_was_not_run() {
    let folder = TempDir::new().expect("a folder");
    let engine = gated(&folder, &STOPPED).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "gate"}"#, 4), None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    until("all workers run it", || STOPPED.running() == WORKERS).await;
    STOPPED.passes.add_permits(3);
    reached(&batch, |quilt| quilt.progress().done == 3).await;
    let running = engine.continue_stopped(id(1), OWNER).await.expect("without effect");
    assert_eq!((running.status, running.lap), (Status::Running, 1));
    let stopped = engine.cancel(id(1), OWNER, Halt::Now).await.expect("accepted");
    assert_eq!(stopped.progress, Progress { tasks: 16, done: 3, failed: 0, not_run: 13 });
    // A restart changes nothing about that.
    engine.shutdown(Duration::from_secs(5)).await;
    drop((engine, batch));
    let engine = gated(&folder, &STOPPED).await;
    assert_eq!(open(&engine, id(1)).await.folded().quilt.progress(), stopped.progress);
    STOPPED.passes.add_permits(13);
    let went_on = engine.continue_stopped(id(1), OWNER).await.expect("accepted");
    assert_eq!((went_on.lap, went_on.lap_tasks), (2, 13));
    let quilt = finished(&engine, id(1)).await;
    assert_eq!(quilt.progress(), Progress { tasks: 16, done: 16, failed: 0, not_run: 0 });
    let receipts = engine.receipts(id(1)).await.expect("answers").expect("it is there");
    assert_eq!(receipts.iter().map(|receipt| (receipt.lap, receipt.lap_tasks)).collect::<Vec<_>>(), [(2, 13)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_drains_lets_its_tasks_end_and_starts_no_others() {
    let folder = TempDir::new().expect("a folder");
    let engine = gated(&folder, &DRAINED).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "gate"}"#, 4), None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    until("all workers run it", || DRAINED.running() == WORKERS).await;
    for _ in 0..2 {
        assert_eq!(engine.cancel(id(1), OWNER, Halt::Soon).await.expect("accepted").status, Status::Draining);
    }
    DRAINED.passes.add_permits(16);
    let quilt = reached(&batch, |quilt| quilt.status().is_over()).await;
    assert_eq!(quilt.status(), Status::Cancelled);
    assert_eq!(quilt.progress(), Progress { tasks: 16, done: WORKERS, failed: 0, not_run: 16 - WORKERS });
    engine.continue_stopped(id(1), OWNER).await.expect("accepted");
    assert_eq!(finished(&engine, id(1)).await.progress().done, 16);
    assert_eq!(DRAINED.started(), 16, "no task was run twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_process_ends_while_it_drains_is_stopped_by_the_next_one() {
    let folder = TempDir::new().expect("a folder");
    let engine = gated(&folder, &RESTARTED).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "gate"}"#, 4), None).await.expect("accepted");
    until("all workers run it", || RESTARTED.running() == WORKERS).await;
    engine.cancel(id(1), OWNER, Halt::Soon).await.expect("accepted");
    engine.shutdown(Duration::ZERO).await;
    drop(engine);
    let engine = gated(&folder, &RESTARTED).await;
    let batch = open(&engine, id(1)).await;
    let quilt = reached(&batch, |quilt| quilt.status().is_over()).await;
    assert_eq!((quilt.status(), quilt.progress().not_run), (Status::Cancelled, 16));
    assert_eq!(RESTARTED.started(), WORKERS, "nothing was started after the restart");
}

/// Fails in the first lap for one of two reasons, and once more in the first attempt of each later lap.
struct TwoReasons;

#[async_trait]
impl AsyncWork for TwoReasons {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let reason = if task.index.0.is_multiple_of(2) { "even" } else { "odd" };
        if task.lap == 1 || task.attempt == 1 {
            return Err(TaskError::retryable(reason).with_message(format!("{reason}: square {}", task.index.0)));
        }
        Ok(Color::from_rgb(task.index.0).into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lap_runs_those_of_a_reason_or_of_a_list_within_its_own_limits() {
    let folder = TempDir::new().expect("a folder");
    let registry = Registry::default().with_work("reasons", || Work::waiting(TwoReasons));
    let engine = start_with(folder.path(), registry).await;
    let once = quilt::BatchSpec { attempts: 1, ..spec(r#"{"kind": "reasons"}"#, 4) };
    engine.launch(id(1), OWNER, once, None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    let first = reached(&batch, is_over_in(1)).await;
    let mut reasons: Vec<(&str, u32)> = first.reasons().collect();
    reasons.sort_unstable();
    assert_eq!(reasons, [("even", 8), ("odd", 8)]);
    let results = engine.results(&batch, 0..16).await.expect("readable");
    let message = |index: usize| match &results[index] {
        SquareResult::Failed { reason, message, .. } => (reason.to_string(), message.to_string()),
        other => panic!("square {index} has failed, and is {other:?}"),
    };
    assert_eq!(
        (message(3), message(4)),
        (("odd".into(), "odd: square 3".into()), ("even".into(), "even: square 4".into()))
    );

    let start =
        async |request: LapRequest| engine.start_lap(id(1), OWNER, LapSet::Failed, request, Limits::default()).await;
    let of_reason = LapRequest { reason: Some("odd".into()), attempts: Some(2.into()), ..LapRequest::default() };
    assert_eq!(start(of_reason).await.expect("accepted").lap_tasks, 8);
    let second = reached(&batch, is_over_in(2)).await;
    assert_eq!(second.progress(), Progress { tasks: 16, done: 8, failed: 8, not_run: 0 });
    // What is done is passed over, and the limits stay.
    let squares = [(0, 0), (0, 1), (3, 2)].map(|(row, column)| api::Square { row, column });
    let of_list = LapRequest { squares: Some(squares.to_vec()), ..LapRequest::default() };
    assert_eq!(start(of_list).await.expect("accepted").lap_tasks, 2);
    let third = reached(&batch, is_over_in(3)).await;
    assert_eq!((third.progress().done, third.progress().failed), (10, 6));
    assert_eq!(third.limits().attempts, 2);

    let outside = LapRequest { squares: Some(vec![api::Square { row: 4, column: 0 }]), ..LapRequest::default() };
    assert!(matches!(start(outside).await, Err(ControlError::NoSuchSquare)));
    let both = LapRequest { reason: Some("even".into()), not_run: true, ..LapRequest::default() };
    assert!(matches!(start(both).await, Err(ControlError::SeveralSets)));
    let too_many = LapRequest { attempts: Some(21.into()), ..LapRequest::default() };
    let refused = start(too_many).await.expect_err("21 attempts are too many").to_string();
    assert_eq!(refused, "attempts must be a whole number from 1 to 20, not 21");
    let unknown = LapRequest { reason: Some("odd".into()), ..LapRequest::default() };
    assert_eq!(start(unknown).await.expect("without effect").lap, 3, "nothing failed for it any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_failures_stops_a_batch_once_what_runs_has_ended() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    let mut failing = spec(r#"{"kind": "color", "permanent_rate": 1, "duration_ms": [1, 5]}"#, 20);
    (failing.tolerated_failures, failing.halt) = (Some(Tolerance::Count(9)), Halt::Soon);
    engine.launch(id(1), OWNER, failing, None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    let quilt = reached(&batch, |quilt| quilt.status().is_over()).await;
    // What ran when the tenth failed has failed as well.
    assert_eq!(quilt.status(), Status::Cancelled);
    assert!(quilt.progress().failed >= 10 && quilt.progress().pending() == 0, "{:?}", quilt.progress());
}

#[tokio::test]
async fn a_launch_that_could_not_be_read_back_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    // Not by what its kind says of parameters, but by their size alone.
    let large = spec(&format!(r#"{{"kind": "hanging", "text": "{}"}}"#, "x".repeat(MAX_SPEC)), 1);
    let refused = engine.launch(id(1), OWNER, large, None).await.expect_err("it is too large");
    assert!(matches!(refused, LaunchError::SpecTooLarge { bytes, max: MAX_SPEC } if bytes > MAX_SPEC), "{refused}");
    assert!(engine.open(id(1)).await.expect("answers").is_none());
    let request = LaunchRequest::new(quilt::WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() });
    let request = LaunchRequest { rows: Some(1.into()), columns: Some(1.into()), ..request };
    engine.launch_request((id(2), 1), OWNER, request, None, &Limits::default()).await.expect("it is small");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_are_not_those_of_their_receipt_are_damage() {
    let folder = TempDir::new().expect("a folder");
    let journal = SqliteJournal::open(&folder.path().join("quilt.db")).expect("a fresh file");
    let launched = Launched::new(spec(r#"{"kind": "color"}"#, 1), Timestamp(1));
    let settlement = Settlement { position: Position(0), outcome: Outcome::Done(Color::from_rgb(1)) };
    let settled = Event::Settled { lap: 1, at: Timestamp(2), settlements: vec![settlement] };
    let (mut quilt, mut stats, mut changes) = (Quilt::new(launched.clone()), LapStats::default(), Vec::new());
    quilt.apply(&settled, &mut changes);
    stats.apply(&quilt, &settled, &changes);
    for (number, digest) in [(1, None), (2, Some("00".repeat(32)))] {
        journal.create(id(number), OWNER, launched.clone(), None).await.expect("writable");
        journal.append(id(number), vec![settled.clone()], Vec::new()).await.expect("writable");
        let receipt = stats.receipts()[0].clone();
        let outcomes_sha256 = digest.unwrap_or_else(|| receipt.outcomes_sha256.clone());
        let receipts = vec![Receipt { outcomes_sha256, ..receipt }];
        journal.finalize(id(number), 1, quilt.summary(), receipts).await.expect("writable");
    }
    journal.close().await;
    let engine = start(folder.path()).await;
    assert_eq!(open(&engine, id(1)).await.folded().quilt, quilt);
    let refused = engine.open(id(2)).await.err().expect("it is damaged");
    assert!(matches!(&refused, JournalError::Damaged { reason: Damage::Receipt, .. }), "{refused}");
}
