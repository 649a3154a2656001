//! Starting, stopping, crashing, and settings.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use common::{FOREVER, Server, command, events, folder, launch, visitor};
use serde_json::{Value, json};

#[tokio::test]
async fn a_batch_that_a_crash_cut_short_is_finished_by_the_next_start_with_each_square_once() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let id = launch(&client, &server, 12, 12, json!({"duration_ms": [20, 400]})).await;
    // Read some of the events, then kill the server.
    let response = client.get(server.at(&format!("/api/batches/{id}/events"))).send().await.expect("an answer");
    let before = read_some(response, 30).await;
    server.kill();

    let again = Server::start(folder.path());
    let all = events(&client, &again, &id, None).await;
    assert_eq!(all[..before.len()], before, "what was told before the crash is told again");
    let mut places: Vec<u64> = all.iter().filter(|event| event.name == "square").map(place).collect();
    places.sort_unstable();
    assert_eq!(places, (0..144).collect::<Vec<u64>>());
    assert_eq!(all.iter().filter(|event| event.name == "status").count(), 1);
    assert_eq!(all.last().expect("events").data, json!({"status": "complete", "done": 144, "failed": 0}));
    // A reader continues where it was disconnected.
    let rest = events(&client, &again, &id, before.last().map(|event| event.id)).await;
    assert_eq!(rest, all[before.len()..]);
}

fn place(event: &common::SseEvent) -> u64 {
    event.data["row"].as_u64().expect("a row") * 12 + event.data["column"].as_u64().expect("a column")
}

async fn read_some(mut response: reqwest::Response, count: usize) -> Vec<common::SseEvent> {
    let mut text = String::new();
    loop {
        let chunk = response.chunk().await.expect("the stream goes on").expect("the stream goes on");
        text.push_str(std::str::from_utf8(&chunk).expect("ASCII"));
        // The last block may be incomplete.
        let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        let events: Vec<_> = whole.split("\n\n").filter_map(common::parse_event).collect();
        if events.len() >= count {
            return events;
        }
    }
}

#[tokio::test]
async fn a_stop_ends_streams_gives_up_what_runs_and_exits_without_waiting_for_it() {
    let folder = folder();
    let server = Server::start_with(folder.path(), &["--grace-ms", "300"]);
    let client = visitor();
    let id = launch(&client, &server, 8, 8, json!({"duration_ms": FOREVER})).await;
    let stream = client.get(server.at(&format!("/api/batches/{id}/events"))).send().await.expect("an answer");
    // The tasks take an hour.
    let (status, log) = tokio::task::spawn_blocking(|| server.stop()).await.expect("no panic");
    assert!(status.success(), "{log}");
    assert!(log.contains("cancelling the tasks that still run"), "{log}");
    assert!(stream.text().await.is_ok(), "the stream ends and does not break");
    assert!(!log.contains("panicked"), "{log}");
    assert!(!folder.path().join("quilt.db-wal").exists(), "a copy of the database alone is whole");
}

#[tokio::test]
async fn health_is_told_and_pages_carry_a_policy() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let health = client.get(server.at("/healthz")).send().await.expect("an answer");
    assert_eq!(health.text().await.expect("text"), "ok\n");
    let page = client.get(server.at("/")).send().await.expect("an answer");
    let policy = page.headers()["content-security-policy"].to_str().expect("ASCII").to_owned();
    let html = page.text().await.expect("text");
    let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).expect("a nonce");
    assert!(html.contains(&format!("nonce=\"{nonce}\"")));
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let other = client.get(server.at("/")).send().await.expect("an answer");
    assert_ne!(other.headers()["content-security-policy"].to_str().expect("ASCII"), policy, "a nonce is used once");
}

/// Starts the server with invalid settings, and returns its error message.
fn refusal(folder: &std::path::Path, arguments: &[&str], variable: Option<(&str, &str)>) -> String {
    let mut command = command();
    command.current_dir(folder).args(arguments);
    if let Some((name, value)) = variable {
        command.env(name, value);
    }
    let output = command.output().expect("the binary starts");
    assert!(!output.status.success());
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn a_wrong_setting_stops_the_start_with_its_place_its_key_and_what_was_expected() {
    let folder = folder();
    let path = folder.path();
    let file = path.join("quilt.toml");
    for (arguments, variable, toml, expected) in [
        (&["serve"][..], None, "slots = \"many\"", vec!["slots", "quilt.toml", "u32"]),
        (&["serve"], None, "solts = 3", vec!["solts", "quilt.toml", "slots"]),
        (&["serve"], Some(("QUILT_SLOTS", "0")), "", vec!["slots must be from 1 to 65536, not 0"]),
        (&["serve"], None, "workers = 0", vec!["slots must be from 1 to 65536, not 0"]),
        (&["serve"], Some(("QUILT_ADDR", "nowhere")), "", vec!["QUILT_", "addr", "socket address"]),
        (&["serve", "--config", "missing.toml"], None, "", vec!["there is no file missing.toml"]),
        (&["serve", "--origin", "quilt.example"], None, "", vec!["origin", "https://quilt.example"]),
        (&["serve", "--slots", "x"], None, "", vec!["--slots"]),
    ] {
        std::fs::write(&file, toml).expect("writable");
        let said = refusal(path, arguments, variable);
        for part in expected {
            assert!(said.contains(part), "{arguments:?} {variable:?} {toml}: {part} is missing in {said}");
        }
    }
}

#[test]
fn an_address_that_is_taken_and_a_journal_that_is_none_are_told() {
    let folder = folder();
    let server = Server::start(folder.path());
    let addr = server.url.trim_start_matches("http://").to_owned();
    let other = common::folder();
    assert!(refusal(other.path(), &["serve", "--addr", &addr], None).contains("cannot listen at"));
    std::fs::create_dir(other.path().join("broken")).expect("writable");
    std::fs::write(other.path().join("broken/quilt.db"), "this is no database, but long enough to look like one")
        .expect("writable");
    let said = refusal(other.path(), &["serve", "--addr", "127.0.0.1:0", "--data", "broken"], None);
    assert!(said.contains("cannot open the journal broken/quilt.db"), "{said}");
}

#[test]
fn a_data_folder_serves_one_server_at_a_time_and_a_crash_frees_it() {
    let folder = folder();
    let server = Server::start(folder.path());
    let data = folder.path().to_str().expect("UTF-8");
    let said = refusal(folder.path(), &["serve", "--addr", "127.0.0.1:0", "--data", data], None);
    assert!(said.contains("another server uses the data folder"), "{said}");
    server.kill();
    drop(Server::start(folder.path()));
}

#[tokio::test]
async fn settings_come_from_the_file_the_environment_and_flags_in_this_order() {
    let folder = folder();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "max_side = 3\nmax_attempts = 5\n").expect("writable");
    let config = file.to_str().expect("UTF-8").to_owned();
    let server = Server::start_with(folder.path(), &["--config", &config, "--max-side", "4"]);
    let client = visitor();
    let body = json!({"work": {"kind": "color"}, "rows": 5, "columns": 1});
    let refused: Value =
        client.post(server.at("/api/batches")).json(&body).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(refused["detail"], "rows must be a whole number from 1 to 4, not 5");
    let body = json!({"work": {"kind": "color"}, "rows": 4, "columns": 1, "attempts": 6});
    let refused: Value =
        client.post(server.at("/api/batches")).json(&body).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(refused["detail"], "attempts must be a whole number from 1 to 5, not 6");
}
