//! A batch beside problematic ones: a million tasks that fail and are retried, 200 running batches, and a paused one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use engine::embedded::SqliteJournal;
use engine::work::{AsyncWork, Done, Registry, Task, TaskError, Work};
use engine::{Engine, Node, Settings, Slots};
use quilt::{BatchId, BatchSpec, Color, Control, Grid, OwnerId, Status, WorkSpec};

use crate::cpu_time;

const SLOTS: u32 = 64;
const TROUBLE: OwnerId = OwnerId::from_bytes([1; 16]);
const VICTIM: OwnerId = OwnerId::from_bytes([2; 16]);

/// Waits for some milliseconds. Fails if the second field is true.
struct Waits(u64, bool);

#[async_trait]
impl AsyncWork for Waits {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        tokio::time::sleep(Duration::from_millis(self.0)).await;
        if self.1 { Err(TaskError::retryable("as always")) } else { Ok(Color::from_rgb(task.index.0).into()) }
    }
}

pub(crate) async fn measure() {
    let folder = tempfile::tempdir().expect("a folder for the journal");
    let journal = SqliteJournal::open(&folder.path().join("quilt.db")).expect("a new file");
    let registry = Registry::default()
        .with_work("failing", || Work::waiting(Waits(1, true)))
        .with_work("waiting", || Work::waiting(Waits(100, false)))
        .with_work("short", || Work::waiting(Waits(1, false)))
        .with_work("long", || Work::waiting(Waits(2_000, false)));
    // So few slots that the batches need all of them.
    let node = Node { slots: Slots::all(SLOTS), ..Settings::default().node };
    let settings = Settings { node, running_per_owner: 1_000, running_squares: u64::MAX, ..Settings::default() };
    let engine = Engine::start(Arc::new(journal), None, registry, settings).await.expect("the journal is empty");
    println!();
    println!("Batches of another owner beside trouble, on {SLOTS} slots.");
    println!("  batch              beside                                    alone ms  beside ms   ratio");
    let row = |batch: &str, beside: &str, alone: Duration, time: Duration| {
        let [alone, time] = [alone, time].map(|time| time.as_secs_f64() * 1e3);
        println!("  {batch:<18} {beside:<40} {alone:>9.1} {time:>10.1} {:>7.2}", time / alone);
    };
    let alone = timed(&engine, 1, "waiting", 16).await;
    let short_alone = timed(&engine, 2, "short", 4).await;
    let started = Instant::now();
    launch(&engine, TROUBLE, 3, "failing", 1_000).await;
    for (number, seconds) in [(4, 15), (5, 90)] {
        tokio::time::sleep(Duration::from_secs(seconds).saturating_sub(started.elapsed())).await;
        let time = timed(&engine, number, "waiting", 16).await;
        row("256 x 100 ms", &format!("1,000,000 that fail, after {seconds} s"), alone, time);
    }
    engine.control(id(3), TROUBLE, Control::Pause).await.expect("it runs");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (cpu, wall) = (cpu_time(), Instant::now());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let share = (cpu_time() - cpu).as_secs_f64() / wall.elapsed().as_secs_f64();
    println!("  the failing batch, paused, takes {:.2} % of a core", share * 100.0);
    for number in 0..200 {
        launch(&engine, TROUBLE, 1_000 + number, "long", 16).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    row("16 x 1 ms", "200 batches with tasks of 2 s", short_alone, timed(&engine, 6, "short", 4).await);
    engine.shutdown(Duration::ZERO).await;
}

fn id(number: u32) -> BatchId {
    BatchId::from_bytes(u128::from(number).to_be_bytes())
}

async fn launch(engine: &Engine, owner: OwnerId, number: u32, work: &str, side: u16) {
    let work = WorkSpec { kind: work.into(), parameters: serde_json::Map::new() };
    let spec = BatchSpec { attempts: 20, ..BatchSpec::new(work, Grid::new(side, side).expect("a grid"), 1) };
    engine.launch(id(number), owner, spec, None).await.expect("accepted");
}

/// Returns the time from the launch of a batch to its finish line.
async fn timed(engine: &Engine, number: u32, work: &str, side: u16) -> Duration {
    let started = Instant::now();
    launch(engine, VICTIM, number, work, side).await;
    let batch = engine.open(id(number)).await.expect("the journal answers").expect("it was launched");
    batch.wait_until(|quilt| quilt.status() == Status::Finished).await;
    started.elapsed()
}
