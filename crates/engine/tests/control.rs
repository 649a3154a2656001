//! What an owner can do with a batch that runs.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Gate, Gated, OWNER, PATIENCE, STRANGER, WORKERS, finished, id, open, spec, start, start_with, until};
use engine::work::{Registry, Work};
use engine::{ControlError, Engine};
use quilt::state::MAX_LAPS;
use quilt::{CancelCause, Control, Event, LapSet, Outcome, Position, Settlement, Square, Status, Timestamp, Tolerance};
use tempfile::TempDir;

static PAUSED: Gate = Gate::new();
static LIMITED: Gate = Gate::new();

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_batch_starts_nothing_ends_what_runs_and_goes_on_when_it_is_resumed() {
    let folder = TempDir::new().expect("a folder");
    let engine =
        start_with(folder.path(), Registry::default().with_work("gate", || Work::waiting(Gated(&PAUSED)))).await;
    let gated = spec(r#"{"kind": "gate"}"#, 6);
    engine.launch(id(1), OWNER, gated, None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    until("all workers run it", || PAUSED.running() == WORKERS).await;

    assert!(matches!(engine.control(id(1), STRANGER, Control::Pause).await, Err(ControlError::NotOwner)));
    for _ in 0..2 {
        assert_eq!(engine.control(id(1), OWNER, Control::Pause).await.expect("accepted").status, Status::Paused);
    }
    PAUSED.passes.add_permits(36);
    batch.wait_until(|quilt| quilt.progress().settled() == WORKERS).await;
    // The workers are free for others, and leave this one alone.
    engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 32), None).await.expect("accepted");
    finished(&engine, id(2)).await;
    assert_eq!(PAUSED.started(), WORKERS);
    // A restart does not resume it.
    engine.shutdown(Duration::from_secs(5)).await;
    drop((engine, batch));
    let engine =
        start_with(folder.path(), Registry::default().with_work("gate", || Work::waiting(Gated(&PAUSED)))).await;
    engine.launch(id(3), OWNER, spec(r#"{"kind": "color"}"#, 32), None).await.expect("accepted");
    finished(&engine, id(3)).await;
    assert_eq!(PAUSED.started(), WORKERS);

    for _ in 0..2 {
        engine.control(id(1), OWNER, Control::Resume).await.expect("accepted");
    }
    assert_eq!(finished(&engine, id(1)).await.progress().done, 36);
    assert_eq!(PAUSED.started(), 36, "no task was run twice");
    let after = engine.control(id(1), OWNER, Control::Pause).await.expect("without effect");
    assert_eq!(after.status, Status::Finished);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_tasks_run_at_once_than_a_batch_is_allowed_and_that_can_be_changed_while_it_runs() {
    let folder = TempDir::new().expect("a folder");
    let engine =
        start_with(folder.path(), Registry::default().with_work("gate", || Work::waiting(Gated(&LIMITED)))).await;
    let mut gated = spec(r#"{"kind": "gate"}"#, 6);
    gated.concurrency = Some(2);
    engine.launch(id(1), OWNER, gated, None).await.expect("accepted");
    until("two run", || LIMITED.running() == 2).await;
    LIMITED.passes.add_permits(10);
    let batch = open(&engine, id(1)).await;
    batch.wait_until(|quilt| quilt.progress().settled() == 10).await;
    until("two run again", || LIMITED.running() == 2).await;
    assert_eq!(LIMITED.most.load(Ordering::SeqCst), 2);

    let five = engine.control(id(1), OWNER, Control::SetConcurrency(Some(5))).await.expect("accepted");
    assert_eq!(five.concurrency, Some(5));
    until("five run", || LIMITED.running() == 5).await;
    engine.control(id(1), OWNER, Control::SetConcurrency(None)).await.expect("accepted");
    until("all workers run it", || LIMITED.running() == WORKERS).await;
    LIMITED.passes.add_permits(100);
    assert_eq!(finished(&engine, id(1)).await.progress().done, 36);
    assert_eq!(LIMITED.started(), 36, "no task was run twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_stopped_when_more_has_failed_than_it_tolerates_or_its_time_is_over() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    let mut failing = spec(r#"{"kind": "color", "permanent_rate": 1, "duration_ms": [1, 5]}"#, 20);
    failing.tolerated_failures = Some(Tolerance::Share(0.1));
    engine.launch(id(1), OWNER, failing, None).await.expect("accepted");
    let mut slow = spec(r#"{"kind": "hanging"}"#, 3);
    slow.deadline_ms = Some(150);
    engine.launch(id(2), OWNER, slow, None).await.expect("accepted");
    for (number, cause) in [(1, CancelCause::Failures), (2, CancelCause::Deadline)] {
        let batch = open(&engine, id(number)).await;
        let over = batch.wait_until(|quilt| quilt.status() == Status::Cancelled);
        tokio::time::timeout(PATIENCE, over).await.expect("it is stopped");
        let summary = batch.folded().quilt.summary();
        assert_eq!(summary.cancelled_because, Some(cause));
        if cause == CancelCause::Failures {
            assert_eq!(summary.progress.failed, 41);
        }
    }
    // The workers are free.
    engine.launch(id(3), OWNER, spec(r#"{"kind": "color"}"#, 4), None).await.expect("accepted");
    finished(&engine, id(3)).await;
}

/// An engine that finds a batch of four tasks, and behind its launch these events of another life.
async fn start_after(folder: &TempDir, events: Vec<Event>) -> Engine {
    let engine = start(folder.path()).await;
    let hanging = spec(r#"{"kind": "hanging"}"#, 2);
    engine.launch(id(1), OWNER, hanging, None).await.expect("accepted");
    engine.shutdown(Duration::ZERO).await;
    drop(engine);
    let journal = engine::embedded::SqliteJournal::open(&folder.path().join("quilt.db")).expect("an own file");
    engine::journal::EventLog::append(&journal, id(1), events, Vec::new()).await.expect("it answers");
    drop(journal);
    start(folder.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_can_be_retried_only_so_often_and_says_so() {
    let folder = TempDir::new().expect("a folder");
    let at = Timestamp(1);
    let laps = (1..=MAX_LAPS as u32).flat_map(|lap| {
        let failed = |position| Settlement { position: Position(position), outcome: Outcome::Failed("no".into()) };
        let started = (lap > 1).then_some(Event::LapStarted { lap, at, set: LapSet::Failed, limits: None });
        started.into_iter().chain([Event::Settled { lap, at, settlements: (0..4).map(failed).collect() }])
    });
    let engine = start_after(&folder, laps.collect()).await;
    assert_eq!(finished(&engine, id(1)).await.lap_number() as usize, MAX_LAPS);
    let all = engine.retry_failed(id(1), OWNER).await;
    let one = engine.retry_square(id(1), OWNER, Square { row: 1, column: 1 }).await;
    for refused in [all, one] {
        assert!(matches!(refused, Err(ControlError::TooManyLaps { limit: MAX_LAPS })), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_can_be_controlled_only_so_often_but_always_resumed() {
    let folder = TempDir::new().expect("a folder");
    let controls = (1..=quilt::state::MAX_CONTROLS).map(|number| Event::Controlled {
        lap: 1,
        number,
        at: Timestamp(1),
        control: Control::SetConcurrency(Some(number % 2 + 1)),
    });
    let engine = start_after(&folder, controls.collect()).await;
    for control in [Control::Pause, Control::SetConcurrency(None)] {
        let refused = engine.control(id(1), OWNER, control).await;
        assert!(matches!(refused, Err(ControlError::TooManyControls { .. })), "{control:?}: {refused:?}");
    }
    engine.control(id(1), OWNER, Control::Resume).await.expect("it runs as it is");
}
