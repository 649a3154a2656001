//! Full disks, damaged files, and clients that send too much or too little.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{FOREVER, Server, folder, launch, visitor};
use serde_json::{Value, json};

/// Sends raw bytes, and returns the first line of the response.
fn raw(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).expect("it listens");
    stream.write_all(request.as_bytes()).expect("it reads");
    stream.shutdown(std::net::Shutdown::Write).expect("it is open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_body_that_is_too_large_or_breaks_off_is_told_as_what_it_is() {
    let folder = folder();
    let server = Server::start_with(folder.path(), &["--max-body", "2048", "--max-input", "2048"]);
    let chunk = "x".repeat(1_024);
    let chunked = |path: &str, kind: &str, chunks: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunks}"
        )
    };
    let large = format!("400\r\n{chunk}\r\n").repeat(3) + "0\r\n\r\n";
    let form = "application/x-www-form-urlencoded";
    for (request, expected) in [
        (chunked("/api/batches", "application/json", &large), "413"),
        (chunked("/actions/control", form, &large), "413"),
        (chunked("/api/batches", "application/json", "what is no chunk\r\n"), "400"),
        (chunked("/api/batches", "application/json", "5\r\n{\"a\""), "400"),
    ] {
        let answer = raw(&server, &request);
        assert!(answer.contains(expected), "{answer} and not {expected} to {}", &request[..40]);
    }
}

/// A limit of the file size simulates the full disk.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_told_and_the_work_goes_on_when_there_is_space_again() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let folder = folder();
    // Ignore the signal of this limit, which a full disk does not cause.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_quilt")]);
    let server = Server::start_by(command, folder.path(), &[]);
    let pid = Pid::from_raw(server.pid().cast_signed());
    let limit_files = |bytes: Option<u64>| {
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("the limit is ours");
    };
    let client = visitor();
    let done = launch(&client, &server, 4, 4, json!({})).await;
    common::events(&client, &server, &done, None).await;
    let running = launch(&client, &server, 60, 60, json!({"duration_ms": [1, 40]})).await;
    limit_files(Some(1));
    let body = json!({"work": {"kind": "color"}, "rows": 2, "columns": 2});
    let refused = client.post(server.at("/api/batches")).json(&body).send().await.expect("an answer");
    assert_eq!(refused.status(), 503);
    let problem: Value = refused.json().await.expect("JSON");
    assert_eq!(problem["type"], "urn:quilt:problem:journal-unavailable", "{problem}");
    // Only what was written is returned.
    let finished = client.get(server.at(&format!("/api/batches/{done}"))).send().await.expect("an answer");
    assert_eq!(finished.json::<Value>().await.expect("JSON")["status"], "finished");
    limit_files(None);
    let received = common::events(&client, &server, &running, None).await;
    assert_eq!(received.last().expect("a finish").data, json!({"status": "complete", "done": 3_600, "failed": 0}));
    assert_eq!(client.post(server.at("/api/batches")).json(&body).send().await.expect("an answer").status(), 201);
    let (status, log) = tokio::task::spawn_blocking(|| server.stop()).await.expect("no panic");
    assert!(status.success() && !log.contains("panicked"), "{log}");
    assert!(log.contains("nothing can be written") && log.contains("available again"), "{log}");
}

#[tokio::test]
async fn a_damaged_batch_is_told_and_harms_no_other() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let damaged = launch(&client, &server, 2, 2, json!({"duration_ms": FOREVER})).await;
    let whole = launch(&client, &server, 2, 2, json!({})).await;
    common::events(&client, &server, &whole, None).await;
    server.kill();
    let file = rusqlite::Connection::open(folder.path().join("quilt.db")).expect("writable");
    file.execute("UPDATE events SET body = x'FF' WHERE batch = 1", []).expect("writable");
    // This connection has recovered the log of the killed server.
    file.execute("DELETE FROM running", []).expect("writable");
    drop(file);
    let server = Server::start(folder.path());
    let refused = client.get(server.at(&format!("/api/batches/{damaged}"))).send().await.expect("an answer");
    assert_eq!(refused.status(), 500);
    assert_eq!(refused.json::<Value>().await.expect("JSON")["type"], "urn:quilt:problem:journal-damaged");
    let list: Value =
        client.get(server.at("/api/batches")).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(list["batches"].as_array().expect("a list").len(), 1);
    launch(&client, &server, 2, 2, json!({})).await;
}
