//! Attempts: each is recorded, and they are counted across restarts.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::{OWNER, SETTINGS, finished, id, misbehaving, node, open, spec, start, start_as, start_with, until};
use engine::work::{AsyncWork, Detail, Done, Registry, Task, TaskError, Work};
use engine::{Settings, SquareResult};
use quilt::{Color, Index, Progress, Square};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_recorded_with_its_error_its_time_and_its_worker() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    engine.launch(id(1), OWNER, misbehaving(), None).await.expect("accepted");
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
    assert_eq!(record(3).await.result, SquareResult::Done { color: Color::from_rgb(3), detail: None });
    let failure = |reason: &str, message: &str| SquareResult::Failed {
        reason: reason.into(),
        message: message.into(),
        detail: None,
    };
    assert_eq!(record(0).await.result, failure("panicked", "panicked: square 0 panics"));
    assert_eq!(record(2).await.result, failure("timed out", "took longer than 200 ms"));

    let receipts = engine.receipts(id(1)).await.expect("answers").expect("it is there");
    let [receipt] = &receipts[..] else { panic!("one finish line") };
    assert_eq!((receipt.attempts, receipt.done, receipt.failed), (12 + 3 + 1 + 3 + 3, 13, 3));
    // Which tasks took longest is this machine's to say, and their records have it. The one that hung took its 200 ms at least.
    let mut longest = Vec::new();
    for index in 0..16 {
        longest.extend(record(index).await.attempts.iter().map(|attempt| attempt.took_ms).max());
    }
    longest.sort_unstable_by(|one, other| other.cmp(one));
    longest.retain(|took_ms| *took_ms > 0);
    assert!(longest[0] >= 200, "{longest:?}");
    let slowest: Vec<u32> = receipt.slowest.iter().map(|slow| slow.took_ms).collect();
    assert_eq!(slowest, longest[..longest.len().min(5)]);
    for slow in &receipt.slowest {
        let attempts = record(quilt.grid().index(slow.square).expect("inside").0).await.attempts;
        let attempt = attempts.iter().find(|attempt| attempt.number == slow.attempt).expect("it was made");
        assert_eq!((&attempt.worker, attempt.took_ms), (&slow.worker, slow.took_ms));
    }
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
    assert_eq!(batch.folded().stats.receipts(), receipts);
    // A second run with the same outcomes has the same digest.
    again.launch(id(2), OWNER, misbehaving(), None).await.expect("accepted");
    finished(&again, id(2)).await;
    assert_eq!(again.receipts(id(2)).await.expect("answers").expect("it is there")[0].outcomes_sha256, digest);
}

/// Work of which every task fails twice. While it is held, third attempts do not end.
struct Stubborn;

static IS_HELD: AtomicBool = AtomicBool::new(true);
static THIRD_ATTEMPTS: AtomicU32 = AtomicU32::new(0);

#[async_trait]
impl AsyncWork for Stubborn {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        if task.attempt < 3 {
            return Err(TaskError::retryable(format!("attempt {}", task.attempt)));
        }
        THIRD_ATTEMPTS.fetch_add(1, Ordering::SeqCst);
        if IS_HELD.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(Color::from_rgb(task.index.0).into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_counted_across_restarts() {
    let folder = TempDir::new().expect("a folder");
    let registry = || Registry::default().with_work("stubborn", || Work::waiting(Stubborn));
    let settings = || Settings { node: node(64), ..SETTINGS() };
    let engine = start_as(folder.path(), registry(), settings()).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "stubborn"}"#, 20), None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    until("all workers make third attempts", || THIRD_ATTEMPTS.load(Ordering::SeqCst) == 64).await;
    let failed_twice = {
        let folded = batch.folded();
        (0..400).filter(|position| folded.stats.failed_attempts(quilt::Position(*position)) == 2).count()
    };
    assert!(failed_twice > 50, "{failed_twice} have failed twice, and are not over");
    engine.shutdown(Duration::ZERO).await;
    drop((engine, batch));
    IS_HELD.store(false, Ordering::SeqCst);
    let engine = start_with(folder.path(), registry()).await;
    let quilt = finished(&engine, id(1)).await;
    assert_eq!(quilt.progress(), Progress { tasks: 400, done: 400, failed: 0, not_run: 0 });
    for index in (0..400).step_by(7) {
        let square = quilt.grid().square(Index(index));
        let attempts = engine.square(id(1), square).await.expect("answers").expect("it is there").attempts;
        let numbers: Vec<u8> = attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, [1, 2, 3], "square {index}");
    }
}

/// Fails with a detail in the first lap, without one in the second, and is done in the third.
struct Telling;

#[async_trait]
impl AsyncWork for Telling {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let error = TaskError::permanent(format!("lap {}", task.lap));
        let record = serde_json::Map::from_iter([("lap".to_owned(), task.lap.into())]);
        match task.lap {
            1 => Err(error.with_message("all about lap 1").with_detail(Detail::Record(record))),
            2 => Err(error),
            _ => Ok(Color::from_rgb(3).into()),
        }
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
    let result = async || {
        let square = engine.square(id(1), Square { row: 0, column: 0 }).await.expect("readable").expect("it is there");
        square.result
    };
    let first = serde_json::Map::from_iter([("lap".to_owned(), 1.into())]);
    assert_eq!(
        result().await,
        SquareResult::Failed {
            reason: "lap 1".into(),
            message: "all about lap 1".into(),
            detail: Some(Detail::Record(first)),
        }
    );
    for (lap, expected) in [
        (2, SquareResult::Failed { reason: "lap 2".into(), message: "lap 2".into(), detail: None }),
        (3, SquareResult::Done { color: Color::from_rgb(3), detail: None }),
    ] {
        engine.retry_failed(id(1), OWNER).await.expect("it has failed");
        batch.wait_until(|quilt| quilt.lap_number() == lap && quilt.status().is_over()).await;
        assert_eq!(result().await, expected);
    }
}
