//! Starts the binary on a free port, with its own data folder.

#![allow(dead_code, reason = "each test file is a crate of its own and uses its share of this")]

pub(crate) mod cluster;
pub(crate) mod gate;
pub(crate) mod socket;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a test waits before it fails. Far longer than anything takes, even on a slow machine.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(180);

/// Minimum and maximum duration of attempts that should not end during a test, in milliseconds.
pub(crate) const FOREVER: [u32; 2] = [3_600_000, 3_600_000];

/// A running server. It is killed on drop.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    log: mpsc::Receiver<String>,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub(crate) fn start_with(data: &Path, options: &[&str]) -> Self {
        Self::start_by(command(), data, options)
    }

    /// Starts the server with this command.
    pub(crate) fn start_by(mut command: Command, data: &Path, options: &[&str]) -> Self {
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("QUILT_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(["serve", "--addr", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut log = child.stderr.take().expect("it is piped");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = log.read_to_string(&mut text);
            let _ = sender.send(text);
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says where it is");
        let url = line.trim().strip_prefix("Quilt is at ").unwrap_or_default().to_owned();
        if url.is_empty() {
            let _ = child.kill();
            panic!("the server did not start:\n{}", receiver.recv_timeout(TEST_TIMEOUT).unwrap_or_default());
        }
        Self { child, url, log: receiver }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process with SIGKILL, without waiting for its end.
    pub(crate) fn kill_now(&self) {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).expect("a process has a number");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is ours");
    }

    /// Kills the process with SIGKILL, and waits for its end.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Sends SIGTERM and waits for the end. Returns the exit status and the log.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there").success());
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("it is ours") {
                Some(status) => break status,
                None => assert!(started.elapsed() < TEST_TIMEOUT, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        (status, self.log.recv_timeout(TEST_TIMEOUT).expect("the log ends with the server"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command of the binary, without `QUILT_*` variables of the environment.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quilt"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("QUILT_")) {
        command.env_remove(name);
    }
    command
}

pub(crate) fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

/// A client with a cookie jar, which is one visitor.
pub(crate) fn visitor() -> Client {
    kinds::fetch::install_tls();
    Client::builder().cookie_store(true).timeout(3 * TEST_TIMEOUT).build().expect("a client")
}

/// A client without cookies, which is a new visitor with each request.
pub(crate) fn stranger() -> Client {
    kinds::fetch::install_tls();
    Client::builder().timeout(3 * TEST_TIMEOUT).build().expect("a client")
}

/// Launches a batch of `color` with these parameters, and returns its id. The timeout of attempts is an hour.
pub(crate) async fn launch(client: &Client, server: &Server, rows: u32, columns: u32, work: Value) -> String {
    let mut body = json!({"work": {"kind": "color"}, "rows": rows, "columns": columns, "timeout_ms": FOREVER[0]});
    for (key, value) in work.as_object().expect("an object") {
        body["work"][key] = value.clone();
    }
    let response = client.post(server.at("/api/batches")).json(&body).send().await.expect("an answer");
    assert_eq!(response.status(), 201);
    let document: Value = response.json().await.expect("JSON");
    document["id"].as_str().expect("an id").to_owned()
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SseEvent {
    /// 0 for events without an id, which contain the current state instead of a change.
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// Returns all events after an id, up to the end of the stream.
pub(crate) async fn events(client: &Client, server: &Server, id: &str, after: Option<u64>) -> Vec<SseEvent> {
    let mut request = client.get(server.at(&format!("/api/batches/{id}/events")));
    if let Some(after) = after {
        request = request.header("last-event-id", after.to_string());
    }
    let text = request.send().await.expect("an answer").text().await.expect("the stream ends");
    text.split("\n\n").filter_map(parse_event).collect()
}

pub(crate) fn parse_event(block: &str) -> Option<SseEvent> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Some(SseEvent {
        id: field("id").map_or(Some(0), |id| id.parse().ok())?,
        name: field("event")?.to_owned(),
        data: serde_json::from_str(field("data")?).ok()?,
    })
}
