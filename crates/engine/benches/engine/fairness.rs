//! A small batch alone, and beside a large one that occupies all workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use engine::embedded::SqliteJournal;
use engine::work::{AsyncWork, Done, Registry, Task, TaskError, Work};
use engine::{Engine, Settings};
use quilt::{BatchId, BatchSpec, Color, Grid, Halt, OwnerId, Status, WorkSpec};

use crate::{OWNER, spec};

/// The number of small batches per case.
const TIMES: u32 = 15;

/// The CPU time of a task of the large batch, which runs for seconds and never waits.
const BUSY: Duration = Duration::from_micros(50);

const ANOTHER_OWNER: OwnerId = OwnerId::from_bytes([2; 16]);

struct Busy;

#[async_trait]
impl AsyncWork for Busy {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let started = Instant::now();
        while started.elapsed() < BUSY {
            std::hint::spin_loop();
        }
        Ok(Color::from_rgb(task.index.0).into())
    }
}

pub(crate) async fn measure() {
    println!();
    println!("A batch of 64 tasks alone, and behind a running one of 1,000,000 tasks of 50 us; medians of {TIMES}.");
    println!("  its tasks       alone ms   behind ms   ratio");
    for (name, duration_ms) in [("take no time", None), ("wait 20 ms", Some(20)), ("wait 200 ms", Some(200))] {
        let alone = median(duration_ms, false).await;
        let behind = median(duration_ms, true).await;
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "  {name:<13} {:>10.2} {:>11.2} {:>7.2}",
            millis(alone),
            millis(behind),
            behind.as_secs_f64() / alone.as_secs_f64()
        );
    }
}

async fn median(duration_ms: Option<u32>, is_behind: bool) -> Duration {
    let folder = tempfile::tempdir().expect("a folder for the journal");
    let journal = SqliteJournal::open(&folder.path().join("quilt.db")).expect("a new file");
    let registry = Registry::default().with_work("busy", || Work::waiting(Busy));
    let engine =
        Engine::start(Arc::new(journal), None, registry, Settings::default()).await.expect("the journal is empty");
    let large = BatchId::from_bytes([0xFF; 16]);
    if is_behind {
        let work = WorkSpec { kind: "busy".into(), parameters: serde_json::Map::new() };
        let grid = Grid::new(1_000, 1_000).expect("a valid shape");
        engine.launch(large, ANOTHER_OWNER, BatchSpec { work, ..spec(grid, 1) }, None).await.expect("accepted");
        let batch = engine.open(large).await.expect("the journal answers").expect("it was launched");
        batch.wait_until(|quilt| quilt.progress().settled() > 10_000).await;
    }
    let mut times = Vec::new();
    for number in 0..TIMES {
        let mut small = spec(Grid::new(8, 8).expect("a valid shape"), number);
        if let Some(millis) = duration_ms {
            small.work.parameters.insert("duration_ms".into(), serde_json::json!([millis, millis]));
        }
        let id = BatchId::from_bytes(u128::from(number).to_be_bytes());
        let launched = Instant::now();
        engine.launch(id, OWNER, small, None).await.expect("accepted");
        let batch = engine.open(id).await.expect("the journal answers").expect("it was launched");
        batch.wait_until(|quilt| quilt.status() == Status::Finished).await;
        times.push(launched.elapsed());
    }
    if is_behind {
        let batch = engine.open(large).await.expect("the journal answers").expect("it was launched");
        assert!(!batch.folded().quilt.status().is_over(), "the large batch ran all the time");
        engine.cancel(large, ANOTHER_OWNER, Halt::Now).await.expect("it runs");
    }
    engine.shutdown(Duration::from_secs(10)).await;
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
