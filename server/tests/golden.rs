//! Data folders of earlier releases can be opened, and the API returns the same data.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::path::Path;

use common::Server;
use serde_json::Value;

/// Whether `actual` has everything that `expected` has. Later versions may return more.
fn assert_holds(actual: &Value, expected: &Value, place: &str) {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            for (key, expected) in expected {
                assert_holds(actual.get(key).unwrap_or(&Value::Null), expected, &format!("{place}.{key}"));
            }
        }
        _ => assert_eq!(actual, expected, "{place}"),
    }
}

#[tokio::test]
async fn batches_of_an_older_data_folder_are_as_they_were() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let golden = tests.join("../../crates/quilt/tests/golden/1");
    let folder = common::folder();
    std::fs::copy(tests.join("golden/schema-3/quilt.db"), folder.path().join("quilt.db")).expect("a copy");
    // The batches are old, so they must not expire.
    let server = Server::start_with(folder.path(), &["--keep-hours", "0"]);
    let client = common::visitor();
    let get = async |path: String| {
        let answer = client.get(server.at(&path)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.expect("a text")
    };
    for name in ["done", "retried", "cancelled", "deadline", "halted"] {
        let read = |extension: &str| std::fs::read(golden.join(name).with_extension(extension)).expect("a file");
        let recorded: Value = serde_json::from_slice(&read("json")).expect("JSON");
        let id = recorded["batch"]["id"].as_str().expect("an id");
        let batch = serde_json::from_str(&get(format!("/api/batches/{id}")).await).expect("JSON");
        assert_holds(&batch, &recorded["batch"], name);
        for receipt in recorded["receipts"].as_array().expect("receipts") {
            let lap = &receipt["lap"];
            let again = serde_json::from_str(&get(format!("/api/batches/{id}/receipt?lap={lap}")).await).expect("JSON");
            assert_holds(&again, receipt, &format!("receipt {lap} of {name}"));
        }
        let results = String::from_utf8(read("results")).expect("UTF-8");
        let again = get(format!("/api/batches/{id}/results")).await;
        assert_eq!(again.lines().count(), results.lines().count(), "{name}");
        for (again, result) in again.lines().zip(results.lines()) {
            let parsed = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
            let (again, mut result) = (parsed(again), parsed(result));
            // Earlier versions returned `pending` for the squares of a stopped batch.
            if again["state"] == "not_run" && result["state"] == "pending" {
                result["state"] = again["state"].clone();
            }
            assert_holds(&again, &result, name);
        }
        let journal = client.get(server.at(&format!("/api/batches/{id}/journal"))).send().await.expect("an answer");
        assert_eq!(journal.bytes().await.expect("bytes"), read("journal"), "the journal of {name}");
    }
}
