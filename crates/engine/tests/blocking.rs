//! Work that blocks its thread, on a clock that goes on when the test says so.

#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod common;
mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::{OWNER, SETTINGS, WORKERS, finished, id, open, spec, until};
use engine::embedded::MemoryQueue;
use engine::work::{Allowance, BlockingWork, Done, Registry, Task, TaskError, Work};
use engine::{Engine, Settings};
use quilt::{BatchSpec, Color, Index, SquareState, Status};

use crate::memory::MemoryJournal;

/// Its first task does not look whether its time is over, the second one does nothing else, and the third one panics.
struct Blocking;

static IS_HELD: AtomicBool = AtomicBool::new(true);
static WAITING: AtomicU32 = AtomicU32::new(0);

/// Ends the first task with the test, which otherwise waits for it also when it has failed.
struct LetGo;

impl Drop for LetGo {
    fn drop(&mut self) {
        IS_HELD.store(false, Ordering::SeqCst);
    }
}

impl BlockingWork for Blocking {
    fn run(&self, task: Task, allowance: &Allowance) -> Result<Done, TaskError> {
        let goes_on = || match task.index.0 {
            0 => IS_HELD.load(Ordering::SeqCst),
            _ => !allowance.is_over(),
        };
        match task.index.0 {
            0 | 1 => {
                WAITING.fetch_add(1, Ordering::SeqCst);
                while goes_on() {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            }
            2 => panic!("square 2 panics"),
            _ => {}
        }
        Ok(Color::from_rgb(task.index.0).into())
    }
}

/// The test has one thread for everything that does not block. While anything blocks, tokio does not let the time go on by itself.
#[tokio::test(start_paused = true)]
async fn work_that_blocks_holds_up_nothing_and_an_attempt_that_does_not_stop_costs_its_worker_alone() {
    let _let_go = LetGo;
    let registry = Registry::default().with_work("blocking", || Work::blocking(Blocking));
    // With fewer processors the two that wait would be all that run.
    let settings = Settings { processors: WORKERS, ..SETTINGS() };
    let engine =
        Engine::start(Arc::new(MemoryJournal::default()), Arc::new(MemoryQueue::default()), registry, settings);
    let engine = engine.await.expect("it starts");
    let blocking = BatchSpec { timeout_ms: 200, attempts: 1, ..spec(r#"{"kind": "blocking"}"#, 4) };
    engine.launch(id(1), OWNER, blocking, None).await.expect("accepted");
    let batch = open(&engine, id(1)).await;
    let state_of = |index| {
        let folded = batch.folded();
        match folded.quilt.square(Index(index)) {
            SquareState::Failed(reason) => Some(reason.to_owned()),
            _ => None,
        }
    };
    until("all others have ended", || batch.folded().quilt.progress().settled() == 14).await;
    until("both wait", || WAITING.load(Ordering::SeqCst) == 2).await;
    assert_eq!(batch.folded().quilt.progress().done, 13);
    assert_eq!(state_of(2).as_deref(), Some("panicked: square 2 panics"));

    tokio::time::advance(Duration::from_millis(199)).await;
    assert_eq!((state_of(0), state_of(1)), (None, None), "their time is not over");
    tokio::time::advance(Duration::from_millis(1)).await;
    until("the one that looks has stopped", || state_of(1).is_some()).await;
    assert_eq!(state_of(1).as_deref(), Some("took longer than 200 ms"));
    assert_eq!(state_of(0), None, "the other one has time to stop as well");
    tokio::time::advance(Duration::from_secs(1)).await;
    until("it is given up", || batch.folded().quilt.status() == Status::Finished).await;
    assert_eq!(state_of(0).as_deref(), Some("took longer than 200 ms and does not stop"));

    until("its worker waits", || engine.load(id(1)).stuck == 1).await;
    engine.launch(id(2), OWNER, spec(r#"{"kind": "color"}"#, 4), None).await.expect("accepted");
    finished(&engine, id(2)).await;
    IS_HELD.store(false, Ordering::SeqCst);
    until("its worker is back", || engine.load(id(1)).stuck == 0).await;
}
