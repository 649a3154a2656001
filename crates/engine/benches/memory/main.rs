//! The memory of a batch while it runs, while a viewer watches it, and when it is idle.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a program for people who develop this one")]

use std::sync::Arc;
use std::time::Duration;

use engine::embedded::SqliteJournal;
use engine::work::Registry;
use engine::{Engine, Settings};
use peak_alloc::PeakAlloc;
use quilt::{BatchId, BatchSpec, Grid, OwnerId, Status, WorkSpec};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const OWNER: OwnerId = OwnerId::from_bytes([1; 16]);

const SHAPES: [(u16, u16); 3] = [(100, 100), (250, 400), (1_000, 1_000)];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!("Bytes of heap a square, beside what the engine takes without a batch.");
    println!(
        "      tasks  failing   most while it runs   while watched   when nobody watches   loaded again   most while loading"
    );
    for (rows, columns) in SHAPES {
        for failure_rate in [0.0, 0.5] {
            runtime.block_on(measure(Grid::new(rows, columns).expect("a valid shape"), failure_rate));
        }
    }
}

async fn measure(grid: Grid, failure_rate: f64) {
    let folder = tempfile::tempdir().expect("a folder for the journal");
    let journal = SqliteJournal::open(&folder.path().join("quilt.db")).expect("a new file");
    let engine = Engine::start(Arc::new(journal), None, Registry::default(), Settings::default())
        .await
        .expect("the journal is empty");
    // A first batch creates what all batches share, such as connections and threads.
    run(&engine, 1, Grid::new(100, 100).expect("a valid shape"), failure_rate).await;
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    run(&engine, 2, grid, failure_rate).await;
    let most = HEAP.peak_usage();
    let batch = engine.open(id(2)).await.expect("the journal answers").expect("it was launched");
    let watched = HEAP.current_usage();
    drop(batch);
    while HEAP.current_usage() > before + grid.squares() as usize {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let unwatched = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let batch = engine.open(id(2)).await.expect("the journal answers").expect("it was launched");
    let (loaded, most_loading) = (HEAP.current_usage(), HEAP.peak_usage());
    let a_square = |bytes: usize| (bytes as f64 - before as f64) / f64::from(grid.squares());
    println!(
        "{:>11} {:>7}% {:>20.2} {:>15.2} {:>21.2} {:>14.2} {:>20.2}",
        grid.squares(),
        failure_rate * 100.0,
        a_square(most),
        a_square(watched),
        a_square(unwatched),
        a_square(loaded),
        a_square(most_loading),
    );
    drop(batch);
    engine.shutdown(Duration::from_secs(10)).await;
}

fn id(number: u8) -> BatchId {
    BatchId::from_bytes([number; 16])
}

async fn run(engine: &Engine, number: u8, grid: Grid, failure_rate: f64) {
    let mut parameters = serde_json::Map::new();
    parameters.insert("failure_rate".into(), failure_rate.into());
    let work = WorkSpec { kind: "color".into(), parameters };
    let spec = BatchSpec { attempts: 2, ..BatchSpec::new(work, grid, 1) };
    engine.launch(id(number), OWNER, spec, None).await.expect("accepted");
    let batch = engine.open(id(number)).await.expect("the journal answers").expect("it was launched");
    batch.wait_until(|quilt| quilt.status() == Status::Finished).await;
}
