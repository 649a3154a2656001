//! How panics of tasks are logged.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use common::{Server, command, events, folder, launch, visitor};
use serde_json::json;

/// Returns the lines that contain all parts.
fn lines<'a>(log: &'a str, parts: &[&str]) -> Vec<&'a str> {
    log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).collect()
}

#[tokio::test]
async fn panics_of_tasks_are_logged_once_a_batch_and_counted_without_a_backtrace() {
    let folder = folder();
    let mut command = command();
    command.env("RUST_BACKTRACE", "1");
    let server = Server::start_by(command, folder.path(), &[]);
    let client = visitor();
    let mut batches = Vec::new();
    for work in [json!({"panic_rate": 1}), json!({"panic_rate": 1, "compute_ms": [0, 1]}), json!({})] {
        let id = launch(&client, &server, 8, 8, work).await;
        batches.push((id.clone(), events(&client, &server, &id, None).await));
    }
    let (status, log) = tokio::task::spawn_blocking(|| server.stop()).await.expect("no panic");
    assert!(status.success(), "{log}");
    for (number, (id, received)) in batches.iter().enumerate() {
        let is_panicking = number < 2;
        let reason = "panicked: the panic rate struck";
        let failed = received.iter().filter(|event| event.data["failed"] == reason).count();
        assert_eq!(failed, if is_panicking { 64 } else { 0 });
        let once = usize::from(is_panicking);
        assert_eq!(lines(&log, &[id, "a task panicked", "the panic rate struck", "color.rs"]).len(), once, "{log}");
        // Three attempts per task, one of which was logged separately.
        assert_eq!(lines(&log, &[id, "more attempts of the batch panicked", "further=191"]).len(), once, "{log}");
    }
    assert!(!log.contains("backtrace") && lines(&log, &["thread '"]).is_empty(), "{log}");
}
