//! Attempts: each is recorded, they are counted across restarts, and one that does not stop costs its worker alone.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::{OWNER, finished, id, open, spec, start, start_with, until};
use engine::work::{Allowance, AsyncWork, BlockingWork, Detail, Done, Registry, Task, TaskError, Work};
use quilt::{Color, Index, Outcome, Progress, Square, SquareState};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_recorded_with_its_error_its_time_and_its_worker() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "misbehaving"}"#, 4), None).await.expect("accepted");
    let quilt = finished(&engine, id(1)).await;
    let record = async |index| {
        let square = quilt.grid().square(Index(index));
        engine.square(id(1), square).await.expect("answers").expect("it is there")
    };
    let errors = async |index| {
        let attempts = record(index).await.attempts;
        let numbers: Vec<u8> = attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, (1..=numbers.len() as u8).collect::<Vec<u8>>());
        assert!(attempts.iter().all(|attempt| attempt.lap == 1 && attempt.worker.starts_with("worker-")));
        attempts.into_iter().map(|attempt| attempt.error.map(String::from)).collect::<Vec<_>>()
    };
    let failed = |reason: &str| Some(reason.to_owned());
    assert_eq!(errors(0).await, vec![failed("panicked: square 0 panics"); 3]);
    assert_eq!(errors(1).await, [failed("square 1 errs for good")], "what is permanent is not tried again");
    assert_eq!(errors(2).await, vec![failed("took longer than 200 ms"); 3]);
    assert_eq!(errors(3).await, [failed("not yet"), failed("not yet"), None]);
    assert!(record(2).await.attempts.iter().all(|attempt| attempt.took_ms >= 200));
    assert_eq!(record(3).await.outcome, Some(Outcome::Done(Color::from_rgb(3))));

    let receipts = engine.receipts(id(1)).await.expect("answers").expect("it is there");
    let [receipt] = &receipts[..] else { panic!("one finish line") };
    assert_eq!((receipt.attempts, receipt.done, receipt.failed), (12 + 3 + 1 + 3 + 3, 13, 3));
    assert_eq!(receipt.slowest[0].square, quilt.grid().square(Index(2)));
    let last = &receipt.last_across;
    assert_eq!(Some(last.square), quilt.summary().last_across);
    assert!(last.worker.is_some() && last.attempt.is_some());
    let digest = receipt.outcomes_sha256.clone();
    engine.shutdown(Duration::from_secs(5)).await;
    drop(engine);
    // It was noted, and follows from the journal as well.
    let again = start(folder.path()).await;
    assert_eq!(again.receipts(id(1)).await.expect("answers").expect("it is there"), receipts);
    let batch = open(&again, id(1)).await;
    assert_eq!(batch.folded().ledger.receipts(), receipts);
    // A second run with the same outcomes has the same digest.
    again.launch(id(2), OWNER, spec(r#"{"kind": "misbehaving"}"#, 4), None).await.expect("accepted");
    finished(&again, id(2)).await;
    assert_eq!(again.receipts(id(2)).await.expect("answers").expect("it is there")[0].outcomes_sha256, digest);
}

/// Work of which every task fails twice, slowly enough to be stopped in between.
struct Stubborn;

#[async_trait]
impl AsyncWork for Stubborn {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        if task.attempt < 3 {
            return Err(TaskError::retryable(format!("attempt {}", task.attempt)));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(Color::from_rgb(task.index.0).into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_counted_across_restarts() {
    let folder = TempDir::new().expect("a folder");
    let registry = || Registry::default().with_work("stubborn", || Work::waiting(Stubborn));
    let engine = start_with(folder.path(), registry()).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "stubborn"}"#, 20), None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    until("some have failed twice", || {
        let folded = batch.folded();
        (0..400).filter(|position| folded.ledger.failed_tries(quilt::Position(*position)) == 2).count() > 50
    })
    .await;
    engine.shutdown(Duration::ZERO).await;
    drop((engine, batch));
    let engine = start_with(folder.path(), registry()).await;
    let quilt = finished(&engine, id(1)).await;
    assert_eq!(quilt.progress(), Progress { tasks: 400, done: 400, failed: 0 });
    for index in (0..400).step_by(7) {
        let square = quilt.grid().square(Index(index));
        let attempts = engine.square(id(1), square).await.expect("answers").expect("it is there").attempts;
        let numbers: Vec<u8> = attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, [1, 2, 3], "square {index}");
    }
}

/// Work that blocks its thread; its first task does not look whether its time is over.
struct Blocking;

static HELD: AtomicBool = AtomicBool::new(true);

impl BlockingWork for Blocking {
    fn run(&self, task: Task, allowance: &Allowance) -> Result<Done, TaskError> {
        match task.index.0 {
            0 => {
                while HELD.load(Ordering::SeqCst) {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            }
            1 => {
                while !allowance.is_over() {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            }
            2 => panic!("square 2 panics"),
            _ => {}
        }
        Ok(Color::from_rgb(task.index.0).into())
    }
}

#[tokio::test]
async fn work_that_blocks_holds_up_nothing_and_an_attempt_that_does_not_stop_costs_its_worker_alone() {
    let folder = TempDir::new().expect("a folder");
    // The test has one thread for everything that does not block.
    let engine =
        start_with(folder.path(), Registry::default().with_work("blocking", || Work::blocking(Blocking))).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "blocking"}"#, 4), None).await.expect("accepted");
    let quilt = finished(&engine, id(1)).await;
    assert_eq!(quilt.square(Index(0)), SquareState::Failed("took longer than 200 ms and does not stop"));
    assert_eq!(quilt.square(Index(1)), SquareState::Failed("took longer than 200 ms"));
    assert_eq!(quilt.square(Index(2)), SquareState::Failed("panicked: square 2 panics"));
    assert_eq!(quilt.progress().done, 13);
    until("its worker waits", || engine.load(id(1)).stuck == 1).await;
    engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 16), None).await.expect("accepted");
    finished(&engine, id(2)).await;
    HELD.store(false, Ordering::SeqCst);
    until("its worker is back", || engine.load(id(1)).stuck == 0).await;
}

/// Fails with a detail in the first lap, and without one in the next.
struct Telling;

#[async_trait]
impl AsyncWork for Telling {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let error = TaskError::permanent(format!("lap {}", task.lap));
        let record = serde_json::Map::from_iter([("lap".to_owned(), task.lap.into())]);
        Err(if task.lap == 1 { error.with_detail(Detail::Record(record)) } else { error })
    }
}

#[tokio::test]
async fn what_an_earlier_lap_has_left_does_not_stand_beside_a_later_outcome() {
    let folder = TempDir::new().expect("a folder");
    let engine = start_with(folder.path(), Registry::default().with_work("telling", || Work::waiting(Telling))).await;
    let work = r#"{"kind": "telling"}"#;
    engine.launch(id(1), OWNER, spec(work, 1), None).await.expect("it is accepted");
    let batch = engine.open(id(1)).await.expect("readable").expect("it is there");
    batch.wait_until(|quilt| quilt.status().is_over()).await;
    let detail = async || {
        let square = engine.square(id(1), Square { row: 0, column: 0 }).await.expect("readable").expect("it is there");
        square.detail
    };
    assert!(matches!(detail().await, Some(Detail::Record(record)) if record["lap"] == 1));
    engine.retry_failed(id(1), OWNER).await.expect("it has failed");
    batch.wait_until(|quilt| quilt.lap_number() == 2 && quilt.status().is_over()).await;
    assert!(matches!(detail().await, Some(Detail::Record(record)) if record.is_empty()));
}
