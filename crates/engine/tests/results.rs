//! The index of last attempts: made once for each finished lap, and in agreement with the record of each square.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Gate, Gated, OWNER, SETTINGS, finished, id, misbehaving, open, registry, spec, start, start_with, until};
use engine::embedded::SqliteJournal;
use engine::journal::EventLog;
use engine::work::{Registry, Work};
use engine::{AttemptIndex, Engine, LiveBatch, SortedSquares, SquareResult};
use quilt::{AttemptRun, Event, Index, Step, Timestamp};
use tempfile::TempDir;

static HELD: Gate = Gate::new();

/// Checks the index against the journal, square by square.
async fn assert_agrees(engine: &Engine, batch: &LiveBatch, index: &AttemptIndex) {
    for square in (0..batch.spec().grid.squares()).map(Index) {
        let place = batch.spec().grid.square(square);
        let attempts = engine.square(batch.id(), place).await.expect("answers").expect("it is there").attempts;
        let expected = attempts.last().map(|attempt| (attempt.number, attempt.took_ms, Some(&*attempt.worker)));
        let indexed = index.attempt(square).map(|attempt| (attempt.number, attempt.took_ms, attempt.worker));
        assert_eq!(indexed, expected, "{square:?}");
    }
}

fn ranks(sorted: &SortedSquares, is_descending: bool) -> Vec<u32> {
    (0..).map_while(|rank| sorted.at(rank, is_descending)).map(|index| index.0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_attempts_of_a_lap_are_indexed_once() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    engine.launch(id(1), OWNER, misbehaving(), None).await.expect("accepted");
    finished(&engine, id(1)).await;
    let batch = open(&engine, id(1)).await;
    let requests = (0..8).map(|_| engine.attempt_index(&batch));
    let indexes = futures::future::try_join_all(requests).await.expect("readable");
    let indexes: Vec<Arc<AttemptIndex>> = indexes.into_iter().map(|index| index.expect("it is over")).collect();
    let [index, others @ ..] = &indexes[..] else { panic!("eight requests") };
    assert!(others.iter().all(|other| Arc::ptr_eq(index, other)), "made once for all of them");
    assert_agrees(&engine, &batch, index).await;

    // 0 panicked three times, 2 took too long three times, and 3 was done at its third attempt; 0 to 2 failed.
    let by_attempts = ranks(&index.by_attempts(), true);
    assert_eq!(by_attempts[..3], [3, 2, 0]);
    let by_state = ranks(&index.by_state(), false);
    assert_eq!((&by_state[..2], &by_state[13..]), (&[3, 4][..], &[0, 1, 2][..]));
    let by_duration = index.by_duration();
    assert_eq!(by_duration.at(0, true), Some(Index(2)), "the one that took 200 ms at least");
    assert_eq!(by_duration.at(16, false), None);
    let durations: Vec<u32> = ranks(&by_duration, false)
        .into_iter()
        .map(|square| index.attempt(Index(square)).expect("all were tried").took_ms)
        .collect();
    assert!(durations.is_sorted(), "{durations:?}");

    // The batch stays in memory with its index, so that the next page needs no journal.
    drop(batch);
    let again = open(&engine, id(1)).await;
    assert!(Arc::ptr_eq(index, &engine.attempt_index(&again).await.expect("readable").expect("it is over")));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_lap_has_another_index_and_a_running_one_has_none() {
    let folder = TempDir::new().expect("a folder");
    let registry = Registry::default().with_work("gate", || Work::waiting(Gated(&HELD)));
    let engine = start_with(folder.path(), registry).await;
    engine.launch(id(1), OWNER, spec(r#"{"kind": "gate"}"#, 4), None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    assert!(engine.attempt_index(&batch).await.expect("answers").is_none());
    HELD.passes.add_permits(5);
    batch.wait_until(|quilt| quilt.progress().done == 5).await;
    engine.cancel(id(1), OWNER, quilt::Halt::Now).await.expect("accepted");
    let first = engine.attempt_index(&batch).await.expect("readable").expect("it is over");
    let tried = (0..16).filter(|square| first.attempt(Index(*square)).is_some()).count();
    assert_eq!(ranks(&first.by_state(), false).len(), 16);
    assert!(tried >= 5, "{tried}");
    let stopped_at: Step = batch.folded().quilt.step();

    engine.continue_stopped(id(1), OWNER).await.expect("accepted");
    assert!(engine.attempt_index(&batch).await.expect("answers").is_none(), "it runs again");
    HELD.passes.add_permits(11);
    finished(&engine, id(1)).await;
    let second = engine.attempt_index(&batch).await.expect("readable").expect("it is over");
    assert!(batch.folded().quilt.step() > stopped_at && !Arc::ptr_eq(&first, &second));
    assert_agrees(&engine, &batch, &second).await;
    assert!((0..16).all(|square| second.attempt(Index(square)).is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_are_stored_after_the_end_of_a_lap_are_indexed() {
    let folder = TempDir::new().expect("a folder");
    let journal = SqliteJournal::open(&folder.path().join("quilt.db")).expect("a fresh file");
    let engine = Engine::start(Arc::new(journal.clone()), None, registry(), SETTINGS()).await.expect("it answers");
    engine.launch(id(1), OWNER, spec(r#"{"kind": "hanging"}"#, 4), None).await.expect("accepted");
    engine.cancel(id(1), OWNER, quilt::Halt::Now).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    let before = engine.attempt_index(&batch).await.expect("readable").expect("it is over");
    let position = batch.folded().quilt.order().position(Index(5));
    let run =
        AttemptRun { first: position, count: 1, number: 9, started_at: Timestamp(1), took_ms: 86_400_000, error: None };
    let late = Event::Attempted { lap: 1, worker: "late".into(), runs: vec![run] };
    let sequence = journal.append(id(1), vec![late], Vec::new()).await.expect("it answers");
    until("the batch has read it", || batch.folded().sequence >= sequence).await;
    let after = engine.attempt_index(&batch).await.expect("readable").expect("it is over");
    let attempt = after.attempt(Index(5)).expect("there is one");
    assert_eq!((attempt.number, attempt.took_ms, attempt.worker), (9, 86_400_000, Some("late")));
    assert_eq!(after.by_duration().at(0, true), Some(Index(5)));
    assert!(after.offset() > before.offset(), "cursors of the order before are refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_read_in_any_order() {
    let folder = TempDir::new().expect("a folder");
    let engine = start(folder.path()).await;
    engine.launch(id(1), OWNER, misbehaving(), None).await.expect("accepted");
    finished(&engine, id(1)).await;
    let batch = open(&engine, id(1)).await;
    let all = engine.results(&batch, 0..16).await.expect("readable");
    let squares = [9, 10, 11, 2, 0, 15, 14].map(Index);
    let some: Vec<SquareResult> = engine.results_at(&batch, &squares).await.expect("readable");
    assert_eq!(some, squares.map(|square| all[square.0 as usize].clone()));
    let by_reason: BTreeMap<u32, &str> = squares
        .iter()
        .zip(&some)
        .filter_map(|(square, result)| match result {
            SquareResult::Failed { reason, .. } => Some((square.0, &**reason)),
            _ => None,
        })
        .collect();
    assert_eq!(by_reason, BTreeMap::from([(0, "panicked"), (2, "timed out")]));
    let items = engine.items(&batch).await.expect("readable");
    assert_eq!(items.get(0), None, "this kind of work has none");
}
