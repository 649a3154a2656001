//! Helpers of the benchmarks.

#![allow(dead_code, reason = "each bench uses its share")]

use reqwest::Client;
use serde_json::Value;

use crate::common::Server;

/// Reads a number from the environment.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

pub(crate) async fn launch(client: &Client, server: &Server, spec: &Value) -> String {
    let response = client.post(server.at("/api/batches")).json(spec).send().await.expect("an answer");
    let batch: Value = response.error_for_status().expect("accepted").json().await.expect("JSON");
    batch.get("id").and_then(Value::as_str).expect("an id").to_owned()
}

/// Returns the resident memory of a process, in bytes.
pub(crate) fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux, and the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line about memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}

/// Returns the CPU time of a process, in seconds.
pub(crate) fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("Linux, and the process runs");
    // User and system time are fields 12 and 13 after the name, which may contain spaces and parentheses. The unit is 10 ms.
    let fields = stat.rsplit(')').next().expect("fields");
    fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
