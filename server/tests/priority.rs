//! Priorities and batches that start later, over the API and on the command line.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use common::{Server, folder, visitor};
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

fn body(members: &Value) -> Value {
    let mut body = json!({"work": {"kind": "color", "duration_ms": [0, 0]}, "rows": 2, "columns": 2});
    for (name, value) in members.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_batch_that_starts_later_runs_and_says_what_its_squares_wait_for() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let launch = async |members: Value| {
        let request = client.post(server.at("/api/batches")).json(&body(&members));
        let response = request.send().await.expect("an answer");
        (response.status(), response.json::<Value>().await.expect("JSON"))
    };
    let (status, batch) = launch(json!({})).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!((&batch["priority"], &batch["not_before"]), (&json!("normal"), &json!(null)));

    let created_at = OffsetDateTime::parse(batch["created_at"].as_str().expect("a text"), &Rfc3339).expect("a time");
    let at = (created_at + Duration::from_secs(86_400)).format(&Rfc3339).expect("a time");
    let (status, batch) = launch(json!({"priority": "high", "not_before": at})).await;
    assert_eq!(status, StatusCode::CREATED, "{batch}");
    assert_eq!((&batch["priority"], &batch["status"]), (&json!("high"), &json!("running")));
    assert_eq!(batch["not_before"], json!(at));
    let id = batch["id"].as_str().expect("an id");
    // Until the coordinator has the batch, the square waits for it.
    let waiting = loop {
        let square = client.get(server.at(&format!("/api/batches/{id}/squares/0/0"))).send().await.expect("an answer");
        let square: Value = square.json().await.expect("JSON");
        if square["waiting"]["for"] != "coordinator" {
            break square["waiting"].clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(waiting["for"], "not_before", "{waiting}");
    let until = OffsetDateTime::parse(waiting["until"].as_str().expect("a text"), &Rfc3339).expect("a time");
    let expected = OffsetDateTime::parse(&at, &Rfc3339).expect("a time");
    assert!((until - expected).abs() < Duration::from_secs(60), "{waiting}");

    let too_late = (created_at + Duration::from_secs(366 * 86_400)).format(&Rfc3339).expect("a time");
    for (members, expected) in [
        (json!({"priority": "urgent"}), "priority must be \"low\", \"normal\" or \"high\", not \"urgent\""),
        (json!({"not_before": "soon"}), "not_before must be a point in time"),
        (json!({"not_before": too_late}), "which is more than one year ahead; choose a time until "),
    ] {
        let (status, problem) = launch(members.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{members}");
        assert!(problem.to_string().replace("\\\"", "\"").contains(expected), "{problem}");
    }
}

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = common::command();
    command.current_dir(folder).env("XDG_STATE_HOME", folder).args(args).stdin(Stdio::null());
    command.output().expect("it runs")
}

#[test]
fn the_tool_launches_with_a_priority_and_a_start_and_shows_them() {
    let folder = folder();
    let color = ["color", "--duration-ms", "0", "0", "--rows", "2", "--columns", "2"];
    let show = || String::from_utf8_lossy(&run(folder.path(), &["show"]).stdout).into_owned();
    let member = |shown: &str, name: &str| {
        let of_name = shown.lines().find_map(|line| line.strip_prefix(name).filter(|rest| rest.starts_with(' ')));
        of_name.map(|value| value.trim().to_owned())
    };
    assert_eq!(run(folder.path(), &[&["run", "-q"], &color[..]].concat()).status.code(), Some(0));
    let shown = show();
    assert_eq!(
        (member(&shown, "priority").as_deref(), member(&shown, "not_before")),
        (Some("normal"), None),
        "{shown}"
    );

    let options = ["run", "-q", "--priority", "low", "--not-before", "1500ms"];
    let before = OffsetDateTime::now_utc();
    assert_eq!(run(folder.path(), &[&options[..], &color[..]].concat()).status.code(), Some(0));
    assert!(OffsetDateTime::now_utc() - before >= Duration::from_millis(1_500), "it starts later");
    let shown = show();
    assert_eq!(member(&shown, "priority").as_deref(), Some("low"), "{shown}");
    let not_before = member(&shown, "not_before").expect("it is shown");
    assert!(OffsetDateTime::parse(&not_before, &Rfc3339).expect("a time") > before, "{shown}");

    for (option, value, expected) in [
        ("--priority", "urgent", "possible values: low, normal, high"),
        ("--not-before", "tomorrow", "neither a point in time such as 2026-09-21T14:13:20Z nor a time from now"),
        ("--not-before", "9000h", "more than one year ahead"),
    ] {
        let refused = run(folder.path(), &[&["run", option, value], &color[..]].concat());
        assert_eq!(refused.status.code(), Some(2), "{option} {value}");
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(stderr.contains(expected), "{stderr}");
    }
}
