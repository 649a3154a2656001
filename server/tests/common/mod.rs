//! The real binary, on a port of its own, with a data folder of its own.

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

/// How long anything may take before a test gives up on it. Nothing that goes well takes nearly as long, on whatever machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// How long the attempts at tasks take that are not to end in a test.
pub(crate) const FOREVER: [u32; 2] = [3_600_000, 3_600_000];

/// A server that is running.
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

    /// Starts the server with a command that leads to it.
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
            panic!("the server did not start:\n{}", receiver.recv_timeout(PATIENCE).unwrap_or_default());
        }
        Self { child, url, log: receiver }
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the server as a crash would, whatever is going on with it.
    pub(crate) fn kill_now(&self) {
        let pid = rustix::process::Pid::from_raw(self.child.id().cast_signed()).expect("a process has a number");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is ours");
    }

    /// Ends the server as a crash would, and waits for its end.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Asks the server to end, and waits for it. Returns its status and its log.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there").success());
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("it is ours") {
                Some(status) => break status,
                None => assert!(started.elapsed() < PATIENCE, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        (status, self.log.recv_timeout(PATIENCE).expect("the log ends with the server"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, without the settings of whoever runs the tests.
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

/// A client with a cookie jar: one visitor.
pub(crate) fn visitor() -> Client {
    kinds::fetch::install_tls();
    Client::builder().cookie_store(true).timeout(3 * PATIENCE).build().expect("a client")
}

/// A client that keeps no cookies: another visitor with each request.
pub(crate) fn stranger() -> Client {
    kinds::fetch::install_tls();
    Client::builder().timeout(3 * PATIENCE).build().expect("a client")
}

/// Launches a batch of `color` with these parameters, and returns its id. No attempt is over before it ends.
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
    /// 0 for an event without one, which tells how things stand and not what changed.
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// All events behind one, up to the end of the stream.
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
