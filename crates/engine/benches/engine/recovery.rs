//! The duration of the engine's start, depending on the content of the journal.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::embedded::SqliteJournal;
use engine::work::Registry;
use engine::{Engine, Settings};
use quilt::{BatchId, Control, Grid, Status};

use crate::{OWNER, spec};

/// The number of batches that have ended before the last start.
const OVER: u32 = 5_000;

pub(crate) async fn measure() {
    println!();
    println!("From opening the journal to an engine that runs.");
    let folder = tempfile::tempdir().expect("a folder for the journal");
    let file = folder.path().join("quilt.db");
    let (engine, empty) = start(&file).await;
    println!("  an empty journal: {empty:.2?}");
    for number in 0..OVER {
        let id = BatchId::from_bytes(u128::from(number).to_be_bytes());
        engine.launch(id, OWNER, spec(Grid::new(8, 8).expect("a valid shape"), number), None).await.expect("accepted");
        let batch = engine.open(id).await.expect("the journal answers").expect("it was launched");
        batch.wait_until(|quilt| quilt.status() == Status::Finished).await;
    }
    engine.shutdown(Duration::from_secs(10)).await;
    let (engine, over) = start(&file).await;
    println!("  {OVER} batches of 64 tasks that are over: {over:.2?}");
    let large = BatchId::from_bytes([0xFF; 16]);
    engine
        .launch(large, OWNER, spec(Grid::new(1_000, 1_000).expect("a valid shape"), 1), None)
        .await
        .expect("accepted");
    let batch = engine.open(large).await.expect("the journal answers").expect("it was launched");
    batch.wait_until(|quilt| quilt.progress().settled() > 300_000).await;
    engine.control(large, OWNER, Control::Pause).await.expect("it runs");
    let settled = batch.folded().quilt.progress().settled();
    drop(batch);
    engine.shutdown(Duration::from_secs(10)).await;
    let (engine, unfinished) = start(&file).await;
    println!("  and one of 1,000,000 tasks that is not, with {settled} settled: {unfinished:.2?}");
    engine.shutdown(Duration::from_secs(10)).await;
}

async fn start(file: &Path) -> (Engine, Duration) {
    let started = Instant::now();
    let journal = SqliteJournal::open(file).expect("an own file");
    let engine = Engine::start(Arc::new(journal), None, Registry::default(), Settings::default())
        .await
        .expect("the journal answers");
    (engine, started.elapsed())
}
