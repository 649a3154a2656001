//! Data folders on a full disk, and data folders whose files are copied, deleted or replaced while the server runs.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]
#![cfg(target_os = "linux")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{FOREVER, Server, TEST_TIMEOUT, folder, launch, visitor};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// Runs a server that fails to start, and returns its error message.
fn refusal(data: &Path) -> String {
    let mut command = common::command();
    command.args(["serve", "--addr", "127.0.0.1:0", "--data"]).arg(data);
    let output = command.output().expect("the binary starts");
    assert!(!output.status.success());
    String::from_utf8(output.stderr).expect("UTF-8")
}

async fn health(client: &Client, server: &Server) -> (StatusCode, String) {
    let answer = client.get(server.at("/healthz")).send().await.expect("an answer");
    (answer.status(), answer.text().await.expect("text"))
}

/// Waits until the health check returns this status, and returns its text.
async fn until_health(client: &Client, server: &Server, expected: StatusCode) -> String {
    let started = Instant::now();
    loop {
        let (status, text) = health(client, server).await;
        if status == expected {
            return text;
        }
        assert!(started.elapsed() < TEST_TIMEOUT, "{status} {text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends a launch request that is refused, and returns the reason.
async fn refused_launch(client: &Client, server: &Server) -> String {
    let body = json!({"work": {"kind": "color"}, "rows": 2, "columns": 2});
    let refused = client.post(server.at("/api/batches")).json(&body).send().await.expect("an answer");
    assert_eq!(refused.status(), 503);
    let problem: Value = refused.json().await.expect("JSON");
    assert_eq!(problem["type"], "urn:quilt:problem:journal-unavailable", "{problem}");
    problem["detail"].as_str().expect("a text").to_owned()
}

async fn status_of(client: &Client, server: &Server, batch: &str) -> Value {
    let answer = client.get(server.at(&format!("/api/batches/{batch}"))).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.json::<Value>().await.expect("JSON")["status"].clone()
}

#[tokio::test]
async fn a_copy_of_a_running_servers_database_without_its_log_is_refused() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    launch(&client, &server, 2, 2, json!({"duration_ms": FOREVER})).await;
    let copy = common::folder();
    let copied = |name: &str| std::fs::copy(folder.path().join(name), copy.path().join(name)).expect("a copy");
    copied("quilt.db");
    let said = refusal(copy.path());
    assert!(said.contains("copy `quilt.db` together with `quilt.db-wal`, or stop the server first"), "{said}");
    // A second start fails in the same way.
    assert_eq!(refusal(copy.path()), said);
    // With its log the copy is complete.
    copied("quilt.db-wal");
    drop(Server::start(copy.path()));
    // A killed server leaves its log, so it can be started again.
    server.kill();
    let server = Server::start(folder.path());
    launch(&client, &server, 2, 2, json!({})).await;
    let (status, log) = tokio::task::spawn_blocking(|| server.stop()).await.expect("no panic");
    assert!(status.success(), "{log}");
    // After a clean stop the database is complete without the log.
    let alone = common::folder();
    std::fs::copy(folder.path().join("quilt.db"), alone.path().join("quilt.db")).expect("a copy");
    drop(Server::start(alone.path()));
}

#[tokio::test]
async fn what_is_documented_opens_a_copy_without_its_log() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    launch(&client, &server, 2, 2, json!({"duration_ms": FOREVER})).await;
    let copy = common::folder();
    let path = copy.path().join("quilt.db");
    std::fs::copy(folder.path().join("quilt.db"), &path).expect("a copy");
    refusal(copy.path());
    rusqlite::Connection::open(&path).expect("writable").execute("DELETE FROM running", []).expect("writable");
    drop(Server::start(copy.path()));
    // A copy by SQLite is complete.
    let whole = common::folder();
    let target = whole.path().join("quilt.db");
    let source = rusqlite::Connection::open(folder.path().join("quilt.db")).expect("readable");
    source.execute("VACUUM INTO ?1", [target.to_str().expect("UTF-8")]).expect("a copy");
    drop(Server::start(whole.path()));
}

#[tokio::test]
async fn a_database_that_is_deleted_or_replaced_is_noticed_and_launches_are_refused() {
    let folder = folder();
    let server = Server::start(folder.path());
    let client = visitor();
    let batch = launch(&client, &server, 2, 2, json!({})).await;
    common::events(&client, &server, &batch, None).await;
    let path = folder.path().join("quilt.db");
    let away = folder.path().join("away.db");
    std::fs::rename(&path, &away).expect("ours");
    let expected_reason = "was deleted or replaced while the server runs";
    let refused = refused_launch(&client, &server).await;
    assert!(refused.contains(expected_reason), "{refused}");
    let (status, text) = health(&client, &server).await;
    assert_eq!(status, 503);
    assert!(text.contains(expected_reason), "{text}");
    assert!(!path.exists(), "no new file is made in its place");
    // Another file at the same path is detected.
    std::fs::copy(&away, &path).expect("writable");
    assert!(refused_launch(&client, &server).await.contains(expected_reason));
    assert_eq!(status_of(&client, &server, &batch).await, "finished");
    std::fs::rename(&away, &path).expect("ours");
    assert_eq!(health(&client, &server).await, (StatusCode::OK, "ok\n".into()));
    launch(&client, &server, 2, 2, json!({})).await;
    let (status, log) = tokio::task::spawn_blocking(|| server.stop()).await.expect("no panic");
    assert!(status.success() && !log.contains("panicked"), "{log}");
}

/// A mounted file system of 2 MiB. It is unmounted on drop.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Returns `None` if this process has no permission to mount.
    fn mount() -> Option<Self> {
        let folder = folder();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "quilt-test"]).arg(folder.path());
        let is_mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        is_mounted.then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills the file system.
    fn fill(&self) {
        let mut file = std::fs::File::options().create(true).append(true).open(self.filler()).expect("writable");
        for size in [64 << 10, 4 << 10, 256, 1] {
            while std::io::Write::write(&mut file, &vec![0; size]).is_ok_and(|written| written == size) {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.filler()).expect("ours");
    }

    fn filler(&self) -> std::path::PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[tokio::test]
async fn a_server_on_a_full_disk_starts_shows_what_is_there_and_goes_on_when_there_is_space() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED: a server on a full disk. This process cannot mount a file system; run the test as root.");
        return;
    };
    let client = visitor();
    let server = Server::start(disk.path());
    let batch = launch(&client, &server, 2, 2, json!({})).await;
    common::events(&client, &server, &batch, None).await;
    let (status, log) = tokio::task::spawn_blocking(|| server.stop()).await.expect("no panic");
    assert!(status.success(), "{log}");
    // First a start after a clean stop, then one after a crash, which has to recover the log.
    for is_last in [false, true] {
        disk.fill();
        let server = Server::start(disk.path());
        let text = until_health(&client, &server, StatusCode::SERVICE_UNAVAILABLE).await;
        assert!(text.contains("the disk is full"), "{text}");
        assert_eq!(status_of(&client, &server, &batch).await, "finished");
        let page = client.get(server.at(&format!("/batches/{batch}"))).send().await.expect("an answer");
        assert_eq!(page.status(), 200);
        let refused = refused_launch(&client, &server).await;
        assert!(refused.contains("the disk is full"), "{refused}");
        disk.empty();
        until_health(&client, &server, StatusCode::OK).await;
        let next = launch(&client, &server, 2, 2, json!({})).await;
        common::events(&client, &server, &next, None).await;
        disk.fill();
        if is_last {
            let (status, log) = tokio::task::spawn_blocking(|| server.stop()).await.expect("no panic");
            assert!(status.success() && !log.contains("panicked"), "{log}");
            drop(Server::start(disk.path()));
        } else {
            server.kill();
        }
    }
}
