//! Launches and controls batches while nodes are killed, and checks the guarantees: acknowledged requests take effect, every square has one
//! outcome per lap, and every lap one finish line.

#![allow(dead_code, reason = "each program that uses it uses its share")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::{Server, SseEvent};

/// How long a batch may take to end after the last kill.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(180);

/// A batch, and what the client knows about it.
pub(crate) struct TrackedBatch {
    key: String,
    body: Value,
    /// Its id, once the launch was acknowledged.
    pub(crate) id: Option<String>,
    may_be_cancelled: bool,
    /// Whether a cancellation was acknowledged.
    is_cancelled: bool,
    /// The highest acknowledged lap.
    least_lap: u64,
    /// The receipts that were returned, by lap. They must not change.
    receipts: BTreeMap<u64, Value>,
}

impl TrackedBatch {
    pub(crate) fn new(random: &mut StdRng, number: usize) -> Self {
        let side = *pick(random, &[1, 4, 8, 8, 16, 40, 150]);
        let work = match random.random_range(0..6) {
            0 => json!({"kind": "color"}),
            1 => json!({"kind": "color", "failure_rate": 0.3, "duration_ms": [0, 20]}),
            2 => json!({"kind": "color", "panic_rate": 0.2, "permanent_rate": 0.1}),
            3 => json!({"kind": "color", "compute_ms": [0, 3]}),
            // Some attempts exceed their timeout.
            4 => json!({"kind": "color", "duration_ms": [0, 60]}),
            _ => json!({"kind": "color", "duration_ms": [1, 30], "failure_rate": 0.1, "panic_rate": 0.1}),
        };
        let side = if work.get("compute_ms").is_some() { side.min(16) } else { side };
        let side = if work.get("duration_ms").is_some() { side.min(24) } else { side };
        let attempts = random.random_range(1..4);
        let body = json!({"work": work, "rows": side, "columns": side, "attempts": attempts, "timeout_ms": 40, "seed": number});
        Self {
            key: format!("chaos-{number}"),
            body,
            id: None,
            may_be_cancelled: false,
            is_cancelled: false,
            least_lap: 1,
            receipts: BTreeMap::new(),
        }
    }

    /// Sends the launch request. Returns an error if the connection is lost; a refusal is not an error.
    pub(crate) async fn launch(&mut self, client: &Client, server: &Server) -> Result<(), reqwest::Error> {
        let request = client.post(server.at("/api/batches")).header("idempotency-key", &self.key).json(&self.body);
        let response = request.send().await?;
        if is_refused(response.status()) {
            return Ok(());
        }
        assert_eq!(response.status(), 201);
        let document: Value = response.json().await?;
        let id = document["id"].as_str().expect("an id").to_owned();
        assert!(self.id.as_ref().is_none_or(|before| *before == id), "one key is one batch");
        self.id = Some(id);
        Ok(())
    }

    /// Sends a random request for the batch.
    pub(crate) async fn act(
        &mut self,
        random: &mut StdRng,
        client: &Client,
        server: &Server,
    ) -> Result<(), reqwest::Error> {
        let Some(id) = &self.id else { return Ok(()) };
        let at = |path: &str| server.at(&format!("/api/batches/{id}{path}"));
        match random.random_range(0..16) {
            0..3 => check_ok(&client.post(at("/pause")).send().await?),
            3..7 => check_ok(&client.post(at("/resume")).send().await?),
            // A retry of a cancelled batch would start a lap after one without a finish line.
            7..10 if self.may_be_cancelled => check_ok(&client.post(at("/resume")).send().await?),
            7..10 => {
                let response = client.post(at("/retry")).send().await?;
                if response.status() == 200 {
                    let batch: Value = response.json().await?;
                    self.least_lap = self.least_lap.max(batch["lap"].as_u64().expect("a lap"));
                } else {
                    check_ok(&response);
                }
            }
            10 => {
                self.may_be_cancelled = true;
                let response = client.post(at("/cancel")).send().await?;
                if is_refused(response.status()) {
                    return Ok(());
                }
                assert_eq!(response.status(), 200);
                let batch: Value = response.json().await?;
                self.is_cancelled |= batch["status"] == "cancelled";
            }
            11..14 => {
                let limit = pick(random, &[json!(null), json!(3), json!(7)]).clone();
                check_ok(&client.patch(at("")).json(&json!({"concurrency": limit})).send().await?);
            }
            _ => {
                let response = client.get(at("/receipt")).send().await?;
                if response.status() == 200 {
                    let receipt: Value = response.json().await?;
                    self.remember(&receipt);
                }
            }
        }
        Ok(())
    }

    fn remember(&mut self, receipt: &Value) {
        let lap = receipt["lap"].as_u64().expect("a lap");
        let before = self.receipts.entry(lap).or_insert_with(|| receipt.clone());
        assert_eq!(before, receipt, "a receipt stays as it is");
    }
}

/// Whether a request was refused: the session has too many running batches, or nothing can be written at the moment.
fn is_refused(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

pub(crate) fn check_ok(response: &Response) {
    assert!(response.status().is_success() || is_refused(response.status()), "{response:?}");
}

pub(crate) fn pick<'a, T>(random: &mut StdRng, choices: &'a [T]) -> &'a T {
    &choices[random.random_range(0..choices.len())]
}

/// Whether attempts may be repeated: a node that was presumed lost may still have run its tasks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Attempts {
    Exact,
    Repeated,
}

#[derive(Default, Clone, Copy)]
pub(crate) struct Sum {
    pub(crate) tasks: usize,
    pub(crate) laps: usize,
    pub(crate) cancelled: usize,
    pub(crate) attempts: usize,
}

impl Sum {
    pub(crate) fn add(&mut self, other: Self) {
        self.tasks += other.tasks;
        self.laps += other.laps;
        self.cancelled += other.cancelled;
        self.attempts += other.attempts;
    }
}

/// Checks all events of a batch: one event per square and lap, one finish line per lap, and matching receipts.
pub(crate) async fn check(
    tracked: &mut TrackedBatch,
    received: &[SseEvent],
    client: &Client,
    server: &Server,
    random: &mut StdRng,
    attempts_are: Attempts,
) -> Sum {
    let id = tracked.id.clone().expect("it was acknowledged");
    let get = async |path: String| -> Value {
        let response = client.get(server.at(&format!("/api/batches/{id}{path}"))).send().await.expect("an answer");
        let (status, text) = (response.status(), response.text().await.expect("a text"));
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    };
    let columns = tracked.body["columns"].as_u64().expect("a number") as usize;
    let tasks = columns * columns;
    let mut squares: Vec<Option<Value>> = vec![None; tasks];
    let (mut settled_in_lap, mut in_current_state) = (BTreeSet::new(), BTreeSet::new());
    let (mut lap, mut laps, mut is_cancelled, mut last, mut knows_order) = (1_u64, 0, false, None, true);
    for event in received {
        match event.name.as_str() {
            "square" => {
                let (row, column) = (event.data["row"].as_u64(), event.data["column"].as_u64());
                let index = row.expect("a row") as usize * columns + column.expect("a column") as usize;
                if event.id == 0 {
                    assert!(
                        in_current_state.insert(index),
                        "{id}: square {index} is sent twice as current state in lap {lap}"
                    );
                } else if in_current_state.remove(&index) {
                    // It settled while the current state was being sent, so it is sent again.
                    assert_eq!(squares[index].as_ref(), Some(&event.data), "{id}: an outcome stays");
                    settled_in_lap.insert(index);
                } else {
                    assert!(settled_in_lap.insert(index), "{id}: square {index} has two outcomes in lap {lap}");
                    let is_pending = squares[index].as_ref().is_none_or(|before| before.get("failed").is_some());
                    assert!(is_pending, "{id}: square {index} was done before lap {lap}");
                }
                squares[index] = Some(event.data.clone());
                last = Some(index);
            }
            // The history does not reach back to earlier laps: the current state follows, in reading order.
            "lap" if event.id == 0 => {
                lap = event.data["lap"].as_u64().expect("a lap");
                laps = lap - 1;
                knows_order = false;
                settled_in_lap.clear();
                in_current_state.clear();
            }
            "lap" => {
                lap += 1;
                assert_eq!(event.data["lap"], lap);
                settled_in_lap.clear();
                in_current_state.clear();
                knows_order = true;
            }
            "status" if event.data["status"] == "complete" => {
                laps += 1;
                assert_eq!(laps, lap, "{id}: one finish line a lap");
                assert!(squares.iter().all(Option::is_some), "{id}: a finish line is crossed by all");
                let receipt = get(format!("/receipt?lap={lap}")).await;
                assert_eq!(receipt["outcomes_sha256"], digest(&squares), "{id}: lap {lap}");
                let last = last.expect("somebody was last");
                let across = &receipt["last_across"];
                let is_last = across["row"] == last / columns && across["column"] == last % columns;
                assert!(is_last || !knows_order, "{id}: {receipt}");
                let failed = squares.iter().flatten().filter(|square| square.get("failed").is_some()).count();
                assert_eq!((&receipt["failed"], &receipt["done"]), (&json!(failed), &json!(tasks - failed)));
                assert_eq!((&event.data["failed"], &event.data["done"]), (&receipt["failed"], &receipt["done"]));
                tracked.remember(&receipt);
            }
            "status" if event.data["status"] == "cancelled" => is_cancelled = true,
            _ => {}
        }
    }
    let document = get(String::new()).await;
    let expected = if is_cancelled { "cancelled" } else { "finished" };
    assert_eq!((document["status"].as_str(), &document["lap"]), (Some(expected), &json!(lap)), "{id}");
    assert!(!is_cancelled || tracked.may_be_cancelled, "{id} was cancelled by nobody");
    assert!(is_cancelled || !tracked.is_cancelled, "{id}: an acknowledged cancellation holds");
    assert!(lap >= tracked.least_lap, "{id}: an acknowledged lap is run");
    let mut attempts = 0;
    for _ in 0..4 {
        let index = random.random_range(0..tasks);
        let square = get(format!("/squares/{}/{}", index / columns, index % columns)).await;
        let most = tracked.body["attempts"].as_u64().expect("a number");
        check_attempts(&square, &squares[index], most, attempts_are, is_cancelled);
        attempts += 1;
    }
    Sum { tasks, laps: laps as usize, cancelled: usize::from(is_cancelled), attempts }
}

/// In each lap the attempts are numbered from 1, and none follows one that was done.
fn check_attempts(square: &Value, received: &Option<Value>, most: u64, attempts_are: Attempts, is_cancelled: bool) {
    let attempts = square["attempts"].as_array().expect("a list");
    let mut before = (0, 0);
    for attempt in attempts {
        let (lap, number) = (attempt["lap"].as_u64().expect("a lap"), attempt["attempt"].as_u64().expect("a number"));
        let expected = if lap == before.0 { before.1 + 1 } else { 1 };
        let is_expected = number == expected || attempts_are == Attempts::Repeated;
        assert!(lap >= before.0 && is_expected && number <= most, "{square}");
        before = (lap, number);
    }
    let done = attempts.iter().filter(|attempt| attempt["error"].is_null()).count();
    let is_done = received.as_ref().is_some_and(|square| square.get("color").is_some());
    // Attempts that end after the cancellation are recorded but settle nothing. Nodes that do not know of it yet continue.
    let may_be_late = is_cancelled && !is_done;
    match attempts_are {
        Attempts::Exact if may_be_late => assert!(done <= 1, "{square}"),
        Attempts::Exact => assert_eq!(done, usize::from(is_done), "{square}"),
        Attempts::Repeated if may_be_late => {}
        Attempts::Repeated => {
            // Of two concurrent attempts the first outcome counts.
            let has_failed_first = attempts.first().is_some_and(|attempt| !attempt["error"].is_null());
            assert!(if is_done { done > 0 } else { done == 0 || has_failed_first }, "{square}");
        }
    }
}

/// Computes the digest of a receipt from the events of the squares.
fn digest(squares: &[Option<Value>]) -> String {
    let mut hash = Sha256::new();
    for square in squares.iter().flatten() {
        if let Some(color) = square["color"].as_str() {
            let rgb = u32::from_str_radix(&color[1..], 16).expect("a color");
            hash.update((1 << 24 | rgb).to_be_bytes());
        } else {
            let reason = square["reason"].as_str().expect("a reason");
            hash.update([2]);
            hash.update((reason.len() as u32).to_be_bytes());
            hash.update(reason);
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
