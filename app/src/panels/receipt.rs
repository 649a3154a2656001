//! What is left of a lap at its finish line.

use leptos::task::spawn_local;
use quilt::BatchId;
use quilt::receipt::{LastAcross, SlowTask};
use serde::Deserialize;

use super::banner::place;
use crate::format;
use crate::html::escaped;
use crate::page::{Page, State};
use crate::request;

/// What the API tells of a finish line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct ReceiptDocument {
    pub(crate) lap: u32,
    lap_tasks: u32,
    attempts: u64,
    last_across: LastAcross,
    slowest: Vec<SlowTask>,
    outcomes_sha256: String,
}

/// Asks for the receipt of a lap. Whoever has no JavaScript finds it in the API.
pub(crate) fn ask(page: Page, lap: u32) {
    spawn_local(async move {
        let Some(id) = page.read(|state| state.id) else { return };
        let asked = request::get(&format!("/api/batches/{id}/receipt?lap={lap}")).await;
        // What was refused is left out.
        page.update(|state| state.receipt = asked.ok());
    });
}

/// Folded away: it comes a moment after the banner, which was read out already.
pub(super) fn html(state: &State) -> String {
    let receipt = state.receipt.as_ref().filter(|receipt| state.is_over() && receipt.lap == state.summary.lap);
    receipt.map_or(String::new(), |receipt| receipt.html(state.id))
}

impl ReceiptDocument {
    fn html(&self, id: BatchId) -> String {
        let Self { lap, lap_tasks, attempts, last_across: LastAcross { worker, attempt, .. }, .. } = self;
        let by = match (worker, attempt) {
            (Some(worker), Some(attempt)) => format!("{}, attempt {attempt}", escaped(worker)),
            _ => "not recorded".into(),
        };
        let slow =
            |slow: &SlowTask| format!("<li>{}: {}</li>", place(slow.square), format::duration(slow.took_ms.into()));
        let slowest: String = self.slowest.iter().map(slow).collect();
        let slowest = if slowest.is_empty() { slowest } else { format!("<dt>Slowest</dt><dd><ul>{slowest}</ul></dd>") };
        format!(
            concat!(
                r#"<details class="receipt" aria-live="off"><summary id="receipt">Receipt</summary><dl><dt>Attempts</dt>"#,
                r#"<dd>{attempts} for {tasks} tasks</dd><dt>Last across by</dt><dd>{by}</dd>{slowest}"#,
                r#"<dt>SHA-256 of the outcomes</dt><dd class="digest">{digest}</dd></dl>"#,
                r#"<a href="/api/batches/{id}/receipt?lap={lap}">As JSON</a></details>"#
            ),
            attempts = attempts,
            tasks = format::count(*lap_tasks),
            by = by,
            slowest = slowest,
            digest = escaped(&self.outcomes_sha256),
            id = id,
            lap = lap,
        )
    }
}
