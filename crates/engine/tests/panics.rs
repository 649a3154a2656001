//! Panics of tasks do not reach the process's panic hook, and all others do. Alone in its process, because that has one hook.

#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod common;

use std::panic::{set_hook, take_hook};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use common::{OWNER, finished, id, load, open, spec, start_with, until};
use engine::SquareResult;
use engine::work::{AsyncWork, BlockingWork, Done, Registry, Task, TaskContext, TaskError, Work};
use quilt::{Color, Index, SquareState};
use tempfile::TempDir;

/// Work whose tasks panic in one of the places where the engine calls them.
struct Panicking;

/// Panics when it is dropped.
struct Fragile(Task);

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("square {} panics at its end", self.0.index.0);
    }
}

#[async_trait]
impl AsyncWork for Panicking {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        match task.index.0 % 4 {
            0 => panic!("square {} panics at once", task.index.0),
            1 => {
                tokio::task::yield_now().await;
                panic!("square {} panics later", task.index.0);
            }
            2 => {
                let _fragile = Fragile(task);
                std::future::pending().await
            }
            _ => Ok(Color::from_rgb(7).into()),
        }
    }
}

impl BlockingWork for Panicking {
    fn run(&self, task: Task, _: &TaskContext) -> Result<Done, TaskError> {
        panic!("square {} panics on a thread of its own", task.index.0);
    }
}

/// What has reached the hook.
static REACHED: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn reached() -> Vec<String> {
    REACHED.lock().expect("no panic while it is held").clone()
}

fn watch_the_hook() {
    let usual = take_hook();
    set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or_default().to_owned();
        REACHED.lock().expect("no panic while it is held").push(message);
        usual(info);
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_panics_of_tasks_do_not_reach_the_hook_and_all_others_do() {
    watch_the_hook();
    let registry = || {
        Registry::default()
            .with_work("waiting", || Work::waiting(Panicking))
            .with_work("blocking", || Work::blocking(Panicking))
    };
    let (folder, other) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    // A second engine in the process changes nothing.
    let engine = start_with(folder.path(), registry()).await;
    let _second = start_with(other.path(), registry()).await;
    let mut waiting = spec(r#"{"kind": "waiting"}"#, 4);
    waiting.timeout_ms = 20;
    waiting.attempts = 2;
    engine.launch(id(1), OWNER, waiting, None).await.expect("accepted");
    let mut blocking = spec(r#"{"kind": "blocking"}"#, 4);
    blocking.attempts = 2;
    engine.launch(id(2), OWNER, blocking, None).await.expect("accepted");
    let waiting = finished(&engine, id(1)).await;
    for index in 0..16 {
        let (reason, message) = match index % 4 {
            0 => ("panicked", format!("panicked: square {index} panics at once")),
            1 => ("panicked", format!("panicked: square {index} panics later")),
            2 => ("timed out", "took longer than 20 ms".to_owned()),
            _ => continue,
        };
        assert_eq!(waiting.square(Index(index)), SquareState::Failed(reason));
        let square = waiting.grid().square(Index(index));
        let record = engine.square(id(1), square).await.expect("readable").expect("it is there");
        assert!(
            matches!(&record.result, SquareResult::Failed { message: told, .. } if **told == *message),
            "{record:?}"
        );
    }
    assert_eq!(waiting.progress().done, 4);
    let blocking = finished(&engine, id(2)).await;
    assert_eq!((blocking.square(Index(5)), blocking.progress().failed), (SquareState::Failed("panicked"), 16));
    assert_eq!(reached(), [""; 0]);

    std::thread::spawn(|| panic!("on a thread of the program")).join().expect_err("it panics");
    assert_eq!(reached(), ["on a thread of the program"]);
    tokio::spawn(async { panic!("in a future of the program") }).await.expect_err("it panics");
    assert_eq!(reached(), ["on a thread of the program", "in a future of the program"]);
    // The workers are as good as new.
    engine.launch(id(3), OWNER, spec(r#"{"kind": "color"}"#, 16), None).await.expect("accepted");
    assert_eq!(finished(&engine, id(3)).await.progress().done, 256);
    let batch = open(&engine, id(3)).await;
    until("none is busy", || load(&engine, &batch).running() == 0).await;
    engine.shutdown(Duration::from_secs(5)).await;
}
