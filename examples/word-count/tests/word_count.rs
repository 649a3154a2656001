//! Runs the example in an engine, and checks that `docs/adding-work.md` matches its source.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use api::LaunchRequest;
use engine::embedded::SqliteJournal;
use engine::work::{Detail, Registry};
use engine::{Engine, Settings};
use quilt::{BatchId, BatchSpec, Limits, OwnerId};
use serde_json::json;
use word_count::WordCount;

#[tokio::test]
async fn words_of_each_line_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = SqliteJournal::open(&folder.path().join("quilt.db")).expect("a fresh file");
    let registry = Registry::default().with(WordCount);
    let engine = Engine::start(Arc::new(journal), None, registry, Settings::default());
    let engine = engine.await.expect("it starts");

    let lines = ["It was a dark and stormy night;", "", "the rain fell in torrents"];
    let request = json!({"work": {"kind": "words", "lines": lines, "shortest": 3}});
    let request: LaunchRequest = serde_json::from_value(request).expect("a request");
    let launch = engine.registry().prepare(request.work.clone(), None).await.expect("valid");
    let request = LaunchRequest { work: launch.work, ..request };
    let spec = BatchSpec::from_request(request, &Limits::default(), 1, launch.tasks, engine::now());
    let (id, owner) = (BatchId::from_bytes([1; 16]), OwnerId::from_bytes([2; 16]));
    engine.launch(id, owner, spec.expect("within the limits"), launch.input).await.expect("it is accepted");

    let batch = engine.open(id).await.expect("readable").expect("it is there");
    batch.wait_until(|quilt| quilt.status().is_over()).await;
    let results = engine.results(&batch, 0..3).await.expect("readable");
    let counted = results.iter().map(|result| match result.detail() {
        Some(Detail::Record(record)) => (record["words"].as_u64(), record["longest"].as_str()),
        other => panic!("{other:?} is not a record"),
    });
    let counted: Vec<_> = counted.collect();
    assert_eq!(counted, [(Some(5), Some("stormy")), (Some(0), Some("")), (Some(4), Some("torrents"))]);
    engine.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn invalid_parameters_are_refused() {
    let registry = Registry::default().with(WordCount);
    for (work, reason) in [
        (json!({"kind": "words"}), "from 1 to 1048576 lines, not 0"),
        (json!({"kind": "words", "lines": ["a"], "language": "en"}), "language"),
        (json!({"kind": "words", "lines": "a"}), "invalid type"),
    ] {
        let work = serde_json::from_value(work).expect("a work");
        let error = registry.prepare(work, None).await.expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn guide_matches_the_source() {
    let guide = include_str!("../../../docs/adding-work.md");
    let source = include_str!("../src/lib.rs");
    let blocks = guide.split("```rust\n").skip(1).map(|rest| rest.split("```").next().expect("a closing fence"));
    let mut count = 0;
    // The block with the registry comes from another crate.
    for block in blocks.filter(|block| !block.contains("registry(")) {
        assert!(source.contains(block.trim_end()), "the example does not contain:\n{block}");
        count += 1;
    }
    assert!(count >= 5, "{count} blocks were compared");
}
