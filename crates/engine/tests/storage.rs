//! What is kept and what is given back: on the disk, in memory, and when something is wrong with either.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{
    Gate, Gated, OWNER, PATIENCE, SETTINGS, STRANGER, WORKERS, finished, id, open, registry, spec, start, start_as,
    start_with, until,
};
use engine::work::{Registry, Work};
use engine::{ControlError, Engine, JournalError, LaunchError, Retention, Settings, TooManyRunning};
use quilt::{BatchId, Status};
use tempfile::TempDir;

static LOCKED: Gate = Gate::new();
static WATCHED: Gate = Gate::new();
static OPEN: Gate = Gate::new();

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_over_can_be_removed_and_gives_back_what_it_took() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "color"}"#, 300), None).await.expect("accepted");
    let hanging = spec(r#"{"kind": "hanging"}"#, 2);
    engine.launch(id(2), OWNER, hanging, None).await.expect("accepted");
    finished(&engine, id(1)).await;
    let batch = open(&engine, id(1)).await;
    assert!(matches!(engine.remove(id(2), OWNER).await, Err(ControlError::NotOver)));
    assert!(matches!(engine.remove(id(1), STRANGER).await, Err(ControlError::NotOwner)));
    engine.remove(id(1), OWNER).await.expect("it is over");
    batch.removed().await;
    assert!(engine.open(id(1)).await.expect("answers").is_none());
    assert!(engine.receipts(id(1)).await.expect("answers").is_none());
    assert!(matches!(engine.remove(id(1), OWNER).await, Err(ControlError::NotFound)));
    assert_eq!(engine.list(OWNER, None, 10).await.expect("answers").batches.len(), 1);
    let file = rusqlite::Connection::open(folder.path().join("quilt.db")).expect("readable");
    let count = |what: &str| file.query_row(what, [], |row| row.get::<_, i64>(0)).expect("a number");
    until("its events are gone", || count("SELECT count(*) FROM batches") == 1).await;
    assert_eq!(count("SELECT count(*) FROM events"), 1);
    until("its pages are free", || count("PRAGMA freelist_count") == 0).await;
    assert!(count("PRAGMA page_count") < 30, "270,000 bytes of events were there");
    // What is on its way to a removed batch must not reach another one: its id is nobody's for a while.
    let again = engine.launch(id(1), OWNER, spec(r#"{"kind": "color"}"#, 2), None).await;
    assert!(matches!(again, Err(LaunchError::Conflict)), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_others_are_not_loaded() {
    static LOADS: AtomicU32 = AtomicU32::new(0);
    let registry = || {
        Registry::default().with_work("counted", || {
            LOADS.fetch_add(1, Ordering::Relaxed);
            Work::waiting(Gated(&OPEN))
        })
    };
    OPEN.passes.add_permits(100);
    let folder = TempDir::new().expect("a folder");
    let engine = start_with(folder.path(), registry()).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "counted"}"#, 1), None).await.expect("accepted");
    finished(&engine, id(1)).await;
    engine.shutdown(PATIENCE).await;
    drop(engine);

    let engine = start_with(folder.path(), registry()).await;
    let loads = LOADS.load(Ordering::Relaxed);
    assert_eq!(engine.own_summary(id(1), STRANGER).await.expect("answers"), None);
    assert_eq!(engine.own_summary(id(2), STRANGER).await.expect("answers"), None);
    assert!(matches!(engine.remove(id(1), STRANGER).await, Err(ControlError::NotOwner)));
    assert!(matches!(engine.retry_failed(id(1), STRANGER).await, Err(ControlError::NotOwner)));
    assert!(matches!(engine.cancel(id(2), STRANGER, quilt::Halt::Now).await, Err(ControlError::NotFound)));
    assert_eq!(LOADS.load(Ordering::Relaxed), loads, "nothing was loaded");
    assert!(engine.own_summary(id(1), OWNER).await.expect("answers").is_some());
    assert!(LOADS.load(Ordering::Relaxed) > loads);
    assert!(matches!(engine.remove(id(1), STRANGER).await, Err(ControlError::NotOwner)), "nor from memory");
}

/// Removes a batch, which sets off a clean-up, until as many as expected are left.
async fn clean_up_to(engine: &Engine, expected: &[BatchId]) {
    let cleaning = async {
        loop {
            let tiny = BatchId::from_bytes(rand::random());
            engine.launch(tiny, OWNER, spec(r#"{"kind": "color"}"#, 1), None).await.expect("accepted");
            // The clean-up itself may be faster, with any of this.
            if let Some(batch) = engine.open(tiny).await.expect("answers") {
                batch.wait_until(|quilt| quilt.status() == Status::Finished).await;
            }
            let _ = engine.remove(tiny, OWNER).await;
            let listed = engine.list(OWNER, None, 10).await.expect("answers").batches;
            if listed.iter().map(|(batch, _)| *batch).eq(expected.iter().copied()) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, cleaning).await.expect("what is not kept is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_or_too_much_is_removed_but_not_while_somebody_watches() {
    for retention in [Retention { age: Some(Duration::ZERO), bytes: None }, Retention { age: None, bytes: Some(1) }] {
        let folder = TempDir::new().expect("a folder");
        let registry = Registry::default().with_work("gate", || Work::waiting(Gated(&WATCHED)));
        let engine = start_as(folder.path(), registry, Settings { retention, ..SETTINGS() }).await;
        let mut viewer = None;
        for number in 1..=3 {
            engine.launch(id(number), OWNER, spec(r#"{"kind": "gate"}"#, 8), None).await.expect("accepted");
            let batch = open(&engine, id(number)).await;
            viewer = viewer.or(batch.admit(1));
            // Before, it could be over and removed while nobody watches it yet.
            WATCHED.passes.add_permits(64);
            batch.wait_until(|quilt| quilt.status() == Status::Finished).await;
        }
        clean_up_to(&engine, &[id(1)]).await;
        drop(viewer);
        clean_up_to(&engine, &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_is_told_and_what_was_run_meanwhile_is_written_when_it_is_free() {
    let folder = TempDir::new().expect("a folder");
    let engine =
        start_with(folder.path(), Registry::default().with_work("gate", || Work::waiting(Gated(&LOCKED)))).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "gate"}"#, 4), None).await.expect("accepted");
    until("all workers run it", || LOCKED.running() == WORKERS).await;
    let other = rusqlite::Connection::open(folder.path().join("quilt.db")).expect("readable");
    other.execute_batch("BEGIN IMMEDIATE").expect("free");
    LOCKED.passes.add_permits(16);
    match engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 2), None).await {
        Err(LaunchError::Journal(JournalError::Unavailable(reason))) => {
            assert_eq!(reason, "another program has locked the file");
        }
        other => panic!("{other:?}"),
    }
    other.execute_batch("ROLLBACK").expect("ours");
    assert_eq!(finished(&engine, id(1)).await.progress().done, 16);
    assert_eq!(LOCKED.started(), 16, "what was run is not run again");
    // The launch that was refused did not happen, and can be asked for again.
    engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 2), None).await.expect("accepted");
    finished(&engine, id(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_told_and_harms_no_other() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    let hanging = spec(r#"{"kind": "hanging"}"#, 2);
    engine.launch(id(1), OWNER, hanging, None).await.expect("accepted");
    engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 4), None).await.expect("accepted");
    finished(&engine, id(2)).await;
    engine.shutdown(Duration::ZERO).await;
    drop(engine);
    let file = rusqlite::Connection::open(folder.path().join("quilt.db")).expect("writable");
    file.execute("UPDATE events SET body = x'FF' WHERE batch = 1", []).expect("writable");
    drop(file);
    let again = start(folder.path()).await;
    assert!(matches!(again.open(id(1)).await, Err(JournalError::Damaged { .. })));
    let listed = again.list(OWNER, None, 10).await.expect("answers").batches;
    assert_eq!(listed.iter().map(|(batch, _)| *batch).collect::<Vec<_>>(), [id(2)]);
    again.launch(id(3), OWNER, spec(r#"{"kind": "color"}"#, 4), None).await.expect("accepted");
    finished(&again, id(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_batch_leaves_the_memory_when_nobody_watches_it() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "color"}"#, 8), None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    let weak = Arc::downgrade(&batch);
    let viewer = batch.admit(1).expect("the first one");
    finished(&engine, id(1)).await;
    drop(batch);
    until("only the viewer holds it", || weak.strong_count() == 1).await;
    drop(viewer);
    assert!(weak.upgrade().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn launches_of_one_batch_at_the_same_time_count_as_one() {
    let folder = TempDir::new().expect("a folder");
    let settings = Settings { running_per_owner: 1, running_squares: 8_000, ..SETTINGS() };
    let engine = start_as(folder.path(), registry(), settings).await;
    let hanging = spec(r#"{"kind": "hanging"}"#, 9);
    let launches = (0..8).map(|_| engine.launch(id(1), OWNER, hanging.clone(), None));
    for launched in futures::future::join_all(launches).await {
        assert_eq!(launched.expect("accepted").progress.tasks, 81);
    }
    let small = spec(r#"{"kind": "color"}"#, 2);
    let refused = |result| match result {
        Err(LaunchError::TooManyRunning(error)) => error,
        other => panic!("{other:?}"),
    };
    let of_owner = refused(engine.launch(id(2), OWNER, small, None).await);
    assert_eq!(of_owner, TooManyRunning::OfOwner { limit: 1 });
    let squares = refused(engine.launch(id(2), STRANGER, spec(r#"{"kind": "color"}"#, 5), None).await);
    assert_eq!(squares, TooManyRunning::Squares { limit: 8_000 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_closed_is_whole_without_the_files_beside_it() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "color"}"#, 300), None).await.expect("accepted");
    finished(&engine, id(1)).await;
    engine.shutdown(PATIENCE).await;
    engine.close().await;
    assert!(matches!(engine.open(id(2)).await, Err(JournalError::Closed)));
    let again = engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 1), None).await;
    assert!(matches!(again, Err(LaunchError::Journal(JournalError::Closed))), "{again:?}");
    let left = std::fs::read_dir(folder.path()).expect("readable").map(|entry| entry.expect("readable").file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["quilt.db"]);
    let copy = TempDir::new().expect("a folder");
    std::fs::copy(folder.path().join("quilt.db"), copy.path().join("quilt.db")).expect("a copy");
    let engine = start(copy.path()).await;
    assert_eq!(open(&engine, id(1)).await.folded().quilt.progress().done, 300 * 300);
}
