//! How often a batch is synced to disk.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{OWNER, SETTINGS, finished, id, open, spec, until};
use engine::embedded::SqliteJournal;
use engine::work::Registry;
use engine::{Engine, Journal, Settings};
use quilt::{BatchId, Control};
use tempfile::TempDir;

/// The salt of a WAL and the number of commits in it. Frames of an earlier WAL, which are behind those of this one, have another salt.
fn commits(wal: &Path) -> ([u8; 8], u32) {
    let bytes = std::fs::read(wal).expect("readable");
    let page = u32::from_be_bytes(bytes[8..12].try_into().expect("four bytes")) as usize;
    let salt: [u8; 8] = bytes[16..24].try_into().expect("eight bytes");
    let frames = bytes[32..].chunks_exact(24 + page).take_while(|frame| frame[8..16] == salt);
    // The last frame of a commit has the size of the file.
    (salt, frames.filter(|frame| frame[4..8] != [0; 4]).count() as u32)
}

/// An engine that has run a batch, so that its file and its WAL are in use.
async fn start(folder: &TempDir, settings: Settings) -> (Engine, Arc<SqliteJournal>) {
    let journal = Arc::new(SqliteJournal::open(&folder.path().join("quilt.db")).expect("a new file"));
    let engine = Engine::start(Arc::clone(&journal) as Arc<dyn Journal>, None, Registry::default(), settings);
    let engine = engine.await.expect("it starts");
    run(&engine, id(1), 2).await;
    (engine, journal)
}

async fn run(engine: &Engine, batch: BatchId, side: u16) {
    engine.launch(batch, OWNER, spec(r#"{"kind": "color"}"#, side), None).await.expect("accepted");
    let quilt = finished(engine, batch).await;
    assert_eq!(quilt.progress().done, u32::from(side) * u32::from(side));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_64_instant_tasks_takes_two_commits() {
    let folder = TempDir::new().expect("a folder");
    let (engine, journal) = start(&folder, SETTINGS()).await;
    let wal = folder.path().join("quilt.db-wal");
    let (salt, before) = commits(&wal);
    run(&engine, id(2), 8).await;
    let meta = engine::journal::Catalog::find(&*journal, id(2)).await.expect("readable").expect("it is there");
    assert!(meta.is_finalized && meta.receipts.len() == 1, "stored with its last square");
    // What the coordinator does at the end of the lap comes after the finish line.
    let listed = engine.list(OWNER, None, 10).await.expect("readable");
    assert_eq!(listed.batches.len(), 2);
    engine.shutdown(std::time::Duration::ZERO).await;
    let (same, after) = commits(&wal);
    assert_eq!((same, after - before), (salt, 2), "its launch, and all of its tasks with their receipt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_controlled_while_its_last_tasks_run_has_the_right_summary() {
    let folder = TempDir::new().expect("a folder");
    let (engine, journal) = start(&folder, SETTINGS()).await;
    let slow = r#"{"kind": "color", "duration_ms": [50, 60]}"#;
    for number in 2..8 {
        engine.launch(id(number), OWNER, spec(slow, 1), None).await.expect("accepted");
        let limit = Control::SetConcurrency(Some(u32::from(number)));
        // The control and the only outcome may come in any order.
        tokio::time::sleep(std::time::Duration::from_millis(u64::from(number) * 10)).await;
        let controlled = engine.control(id(number), OWNER, limit).await.is_ok();
        let quilt = finished(&engine, id(number)).await;
        let is_final = async || {
            engine::journal::Catalog::find(&*journal, id(number))
                .await
                .expect("readable")
                .expect("it is there")
                .is_finalized
        };
        while !is_final().await {
            tokio::task::yield_now().await;
        }
        let summary = || async {
            let listed = engine.list(OWNER, None, 10).await.expect("readable").batches;
            listed.into_iter().find(|listed| listed.0 == id(number)).expect("it is there").1
        };
        assert_eq!(summary().await, quilt.summary(), "controlled: {controlled}");
    }
    let batch = open(&engine, id(7)).await;
    until("it is over", || batch.folded().quilt.status().is_over()).await;
}
