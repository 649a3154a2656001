//! The engine from outside: on a real journal file, with work that fails, panics, hangs and dies.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::{
    Gate, Gated, OWNER, PATIENCE, STRANGER, WORKERS, finished, id, load, misbehaving, open, spec, start, start_with,
    until,
};
use engine::embedded::{OpenError, SqliteJournal};
use engine::work::{AsyncWork, Done, Registry, Task, TaskError, Work};
use engine::{ControlError, LaunchError, TooManyRunning};
use quilt::{BatchId, BatchSpec, Color, Halt, Index, Progress, Square, SquareState, Status, Summary};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_fills_every_square_and_its_quilt_outlives_the_engine() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "color"}"#, 64), None).await.expect("accepted");
    let quilt = finished(&engine, id(1)).await;
    assert_eq!(quilt.progress(), Progress { tasks: 4096, done: 4096, failed: 0, not_run: 0 });
    engine.shutdown(Duration::from_secs(5)).await;
    drop(engine);

    let again = start(folder.path()).await;
    assert_eq!(open(&again, id(1)).await.folded().quilt, quilt);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_panic_err_or_hang_fail_alone_and_the_batch_reaches_its_finish_line() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    engine.launch(id(1), OWNER, misbehaving(), None).await.expect("accepted");
    let quilt = finished(&engine, id(1)).await;
    assert_eq!(quilt.progress(), Progress { tasks: 16, done: 13, failed: 3, not_run: 0 });
    assert_eq!(quilt.square(Index(0)), SquareState::Failed("panicked"));
    assert_eq!(quilt.square(Index(1)), SquareState::Failed("square 1 errs for good"));
    assert_eq!(quilt.square(Index(2)), SquareState::Failed("timed out"));
    assert_eq!(quilt.square(Index(3)), SquareState::Done(Color::from_rgb(3)));
}

static RETRIED: Gate = Gate::new();

/// Work of which every third task fails in the first lap. In the others tasks go through a gate.
struct Improving;

#[async_trait]
impl AsyncWork for Improving {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        match task.lap {
            1 if task.index.0.is_multiple_of(3) => Err(TaskError::permanent("not in the first lap")),
            1 => Ok(Color::from_rgb(task.index.0).into()),
            _ => RETRIED.pass(task).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_runs_only_what_failed_and_ends_at_a_finish_line_of_its_own() {
    let folder = TempDir::new().expect("a folder");
    let engine =
        start_with(folder.path(), Registry::default().with_work("improving", || Work::waiting(Improving))).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "improving"}"#, 10), None).await.expect("accepted");
    let first = finished(&engine, id(1)).await;
    let Progress { done, failed, .. } = first.progress();
    assert!(failed > 0 && done > 0, "{done} done, {failed} failed");

    assert!(matches!(engine.retry_failed(id(1), STRANGER).await, Err(ControlError::NotOwner)));
    let (one, other) = tokio::join!(engine.retry_failed(id(1), OWNER), engine.retry_failed(id(1), OWNER));
    assert_eq!((one.expect("accepted").lap, other.expect("accepted").lap), (2, 2));
    // The second retry has found the lap of the first one under way, because it could not end before this.
    RETRIED.passes.add_permits(100);
    let second = finished(&engine, id(1)).await;
    assert_eq!(second.lap_number(), 2);
    assert_eq!(second.lap().tasks, failed);
    assert_eq!(RETRIED.started(), failed);
    assert!(second.progress().done > done);
    for index in (0..100).map(Index) {
        if let SquareState::Done(color) = first.square(index) {
            assert_eq!(second.square(index), SquareState::Done(color), "what was done stays");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_one_square_runs_it_alone_and_is_remembered_after_a_restart() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    let mut spec = misbehaving();
    spec.attempts = 1;
    engine.launch(id(1), OWNER, spec, None).await.expect("accepted");
    let first = finished(&engine, id(1)).await;
    let [panics, errs, outside] = [(0, 0), (0, 1), (4, 0)].map(|(row, column)| Square { row, column });
    assert!(matches!(engine.retry_square(id(1), STRANGER, panics).await, Err(ControlError::NotOwner)));
    assert!(matches!(engine.retry_square(id(1), OWNER, outside).await, Err(ControlError::NoSuchSquare)));
    let done = engine.retry_square(id(1), OWNER, Square { row: 3, column: 3 }).await.expect("nothing to do");
    assert_eq!((done.lap, done.status), (1, Status::Finished));

    for (lap, square) in [(2, panics), (3, errs)] {
        assert!(engine.retry_square(id(1), OWNER, square).await.expect("accepted").lap == lap);
        let quilt = finished(&engine, id(1)).await;
        assert_eq!((quilt.lap_number(), quilt.lap().tasks), (lap, 1));
        assert_eq!(quilt.summary().last_across, Some(square));
        assert_eq!(quilt.progress(), first.progress());
        let record = engine.square(id(1), square).await.expect("readable").expect("it is there");
        assert_eq!(record.attempts.iter().map(|attempt| attempt.lap).collect::<Vec<_>>(), [1, lap]);
    }
    let before = finished(&engine, id(1)).await;
    engine.shutdown(Duration::from_secs(5)).await;
    drop(engine);
    let again = start(folder.path()).await;
    assert_eq!(open(&again, id(1)).await.folded().quilt, before);
    let receipts = again.receipts(id(1)).await.expect("readable").expect("it is there");
    assert_eq!(
        receipts.iter().map(|receipt| (receipt.lap, receipt.failed)).collect::<Vec<_>>(),
        [(1, 4), (2, 4), (3, 4)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_batch_gives_its_workers_free_and_stays_cancelled() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    let hanging = spec(r#"{"kind": "hanging"}"#, 8);
    engine.launch(id(1), OWNER, hanging, None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    until("all workers run it", || load(&engine, &batch).running() == WORKERS).await;
    assert!(matches!(engine.cancel(id(1), STRANGER, Halt::Now).await, Err(ControlError::NotOwner)));
    assert_eq!(engine.cancel(id(1), OWNER, Halt::Now).await.expect("accepted").status, Status::Cancelled);
    assert_eq!(
        engine.cancel(id(1), OWNER, Halt::Now).await.expect("cancelling again changes nothing").status,
        Status::Cancelled
    );
    // The workers are free for the next batch.
    engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 4), None).await.expect("accepted");
    finished(&engine, id(2)).await;
    engine.shutdown(Duration::from_secs(5)).await;
    drop((engine, batch));

    let again = start(folder.path()).await;
    assert_eq!(open(&again, id(1)).await.folded().quilt.status(), Status::Cancelled);
}

/// Work whose first tasks end at once, which makes leases long, and whose others end only when several of them run together.
struct Deceiving {
    started: AtomicU32,
    together: tokio::sync::Barrier,
}

#[async_trait]
impl AsyncWork for Deceiving {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        if self.started.fetch_add(1, Ordering::Relaxed) >= 32 {
            self.together.wait().await;
        }
        Ok(Color::from_rgb(task.index.0).into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_lease_that_meets_a_slow_task_is_handed_on_to_idle_workers() {
    let folder = TempDir::new().expect("a folder");
    let registry = Registry::default().with_work("deceiving", || {
        Work::waiting(Deceiving { started: AtomicU32::new(0), together: tokio::sync::Barrier::new(4) })
    });
    let engine = start_with(folder.path(), registry).await;
    // No attempt is over before its time: only company helps.
    engine.launch(id(1), OWNER, spec(r#"{"kind": "deceiving"}"#, 12), None).await.expect("accepted");
    assert_eq!(finished(&engine, id(1)).await.progress().done, 144);
}

/// Work of which one task never ends.
struct Stuck(AtomicU32);

#[async_trait]
impl AsyncWork for Stuck {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        if self.0.fetch_add(1, Ordering::Relaxed) == 100 {
            std::future::pending::<()>().await;
        }
        Ok(Color::from_rgb(task.index.0).into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_written_and_all_else_is_run_while_one_task_takes_for_ever() {
    let folder = TempDir::new().expect("a folder");
    let registry = Registry::default().with_work("stuck", || Work::waiting(Stuck(AtomicU32::new(0))));
    let engine = start_with(folder.path(), registry).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "stuck"}"#, 30), None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    let all_but_one = batch.wait_until(|quilt| quilt.progress().settled() == 899);
    tokio::time::timeout(PATIENCE, all_but_one).await.expect("one slow task holds up nothing else");
    assert_eq!(batch.folded().quilt.status(), Status::Running);
}

static STOPPED: Gate = Gate::new();

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_batch_goes_on_when_the_engine_is_started_again() {
    let folder = TempDir::new().expect("a folder");
    let registry = || Registry::default().with_work("gate", || Work::waiting(Gated(&STOPPED)));
    let engine = start_with(folder.path(), registry()).await;
    STOPPED.passes.add_permits(50);
    engine.launch(id(1), OWNER, spec(r#"{"kind": "gate"}"#, 20), None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    batch.wait_until(|quilt| quilt.progress().settled() == 50).await;
    // No time for the running tasks: they are given up.
    engine.shutdown(Duration::ZERO).await;
    let before = batch.folded().quilt.clone();
    assert_eq!(before.progress().pending(), 350, "it was stopped in the middle");
    drop((engine, batch));

    STOPPED.passes.add_permits(350);
    let again = start_with(folder.path(), registry()).await;
    let after = finished(&again, id(1)).await;
    assert_eq!(after.progress().done, 400);
    for index in (0..400).map(Index) {
        if let SquareState::Done(color) = before.square(index) {
            assert_eq!(after.square(index), SquareState::Done(color));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_launch_again_is_the_same_batch_and_another_one_a_conflict() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    let color = spec(r#"{"kind": "color"}"#, 4);
    engine.launch(id(1), OWNER, color.clone(), None).await.expect("accepted");
    engine.launch(id(1), OWNER, color.clone(), None).await.expect("accepted again");
    let other = spec(r#"{"kind": "color"}"#, 5);
    assert!(matches!(engine.launch(id(1), OWNER, other, None).await, Err(LaunchError::Conflict)));
    assert!(matches!(engine.launch(id(1), STRANGER, color, None).await, Err(LaunchError::Conflict)));
    assert_eq!(engine.list(OWNER, None, 10).await.expect("answers").batches.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_has_a_limit_of_running_batches_and_a_list_of_all() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    for number in 1..=4 {
        let hanging = spec(r#"{"kind": "hanging"}"#, 2);
        engine.launch(id(number), OWNER, hanging, None).await.expect("within the limit");
    }
    let fifth = spec(r#"{"kind": "color"}"#, 2);
    assert!(matches!(
        engine.launch(id(5), OWNER, fifth.clone(), None).await,
        Err(LaunchError::TooManyRunning(TooManyRunning::OfOwner { limit: 4 }))
    ));
    engine.launch(id(6), STRANGER, fifth.clone(), None).await.expect("the limit is each owner's own");
    engine.cancel(id(1), OWNER, Halt::Now).await.expect("accepted");
    // The place is free when the lap is seen to be over, which is soon after the cancellation is.
    let free = async {
        while engine.launch(id(5), OWNER, fifth.clone(), None).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.expect("a place becomes free");

    let first = engine.list(OWNER, None, 3).await.expect("answers");
    let ids: Vec<BatchId> = first.batches.iter().map(|(batch, _)| *batch).collect();
    assert_eq!(ids, [id(5), id(4), id(3)]);
    let second = engine.list(OWNER, first.next, 3).await.expect("answers");
    let ids: Vec<BatchId> = second.batches.iter().map(|(batch, _)| *batch).collect();
    assert_eq!((ids.as_slice(), second.next), ([id(2), id(1)].as_slice(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_returns_each_match_once_and_unfinished_batches_are_listed() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    for number in 1..=7 {
        let mut spec = spec(r#"{"kind": "color"}"#, 2);
        spec.title = (number % 2 == 1).then(|| format!("odd {number}").into());
        engine.launch(id(number), OWNER, spec, None).await.expect("accepted");
        finished(&engine, id(number)).await;
    }
    engine.launch(id(8), OWNER, spec(r#"{"kind": "hanging"}"#, 2), None).await.expect("accepted");
    engine.launch(id(9), STRANGER, spec(r#"{"kind": "hanging"}"#, 2), None).await.expect("accepted");

    let is_odd = |summary: &Summary| summary.spec.title.as_deref().is_some_and(|title| title.starts_with("odd"));
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = engine.find(OWNER, is_odd, after, 3).await.expect("answers");
        assert!(page.batches.len() <= 3);
        found.extend(page.batches.into_iter().map(|(id, _)| id));
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    assert_eq!(found, [id(7), id(5), id(3), id(1)]);
    let all_of_them = engine.find(OWNER, is_odd, None, 4).await.expect("answers");
    assert_eq!((all_of_them.batches.len(), all_of_them.next), (4, None));
    let nothing = engine.find(OWNER, |_| false, None, 4).await.expect("answers");
    assert_eq!((nothing.batches.len(), nothing.next), (0, None));

    let running = engine.unfinished(OWNER).await.expect("answers");
    assert_eq!(running.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [id(8)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_work_and_wrong_parameters_are_refused_before_anything_is_written() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    for work in [r#"{"kind": "magic"}"#, r#"{"kind": "color", "speed": 3}"#] {
        assert!(
            matches!(engine.launch(id(1), OWNER, spec(work, 4), None).await, Err(LaunchError::InvalidWork(_))),
            "{work}"
        );
    }
    assert!(engine.open(id(1)).await.expect("answers").is_none());
    assert!(matches!(engine.cancel(id(1), OWNER, Halt::Now).await, Err(ControlError::NotFound)));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_batches_of_one_seed_look_alike_and_of_two_seeds_do_not() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    let color = spec(r#"{"kind": "color"}"#, 8);
    let reseeded = BatchSpec { seed: 12, ..color.clone() };
    let mut colors = Vec::new();
    for (number, spec) in [(1, color.clone()), (2, color), (3, reseeded)] {
        engine.launch(id(number), OWNER, spec, None).await.expect("accepted");
        let quilt = finished(&engine, id(number)).await;
        colors.push((0..64).map(|index| format!("{:?}", quilt.square(Index(index)))).collect::<Vec<_>>());
    }
    assert_eq!(colors[0], colors[1]);
    assert_ne!(colors[0], colors[2]);
}

#[test]
fn a_file_that_is_no_journal_or_a_newer_one_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("quilt.db");
    std::fs::write(&path, "this is no database, and long enough to be told from an empty one").expect("writable");
    assert!(matches!(SqliteJournal::open(&path), Err(OpenError::Sqlite { .. })));
    std::fs::remove_file(&path).expect("removable");
    let newer = rusqlite::Connection::open(&path).expect("writable");
    newer.pragma_update(None, "user_version", 99).expect("writable");
    drop(newer);
    assert!(matches!(SqliteJournal::open(&path), Err(OpenError::Newer { found: 99, .. })));
}
