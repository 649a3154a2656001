//! What is left of a lap at its finish line.

use leptos::task::spawn_local;
use quilt::{BatchId, Square};

use super::banner::place;
use crate::format;
use crate::html::escaped;
use crate::page::{Page, State};
use crate::request::{self, Record};

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
    let receipt =
        state.receipt.as_ref().filter(|receipt| !state.is_running() && receipt.number("lap") == state.summary.lap);
    receipt.map_or(String::new(), |receipt| receipt_html(receipt, state.id))
}

fn receipt_html(receipt: &Record, id: BatchId) -> String {
    let last_across = receipt.record("last_across");
    let worker = last_across.as_ref().and_then(|last| Some((last.text("worker")?, last.number("attempt"))));
    let by = match worker {
        Some((worker, attempt)) => format!("{}, attempt {attempt}", escaped(&worker)),
        None => "not recorded".into(),
    };
    let slow = |slow: &Record| {
        let square = Square { row: slow.number("row") as u16, column: slow.number("column") as u16 };
        format!("<li>{}: {}</li>", place(square), format::duration(slow.number("took_ms").into()))
    };
    let slowest: String = receipt.list("slowest").iter().map(slow).collect();
    let slowest = if slowest.is_empty() { slowest } else { format!("<dt>Slowest</dt><dd><ul>{slowest}</ul></dd>") };
    format!(
        concat!(
            r#"<details class="receipt"><summary id="receipt">Receipt</summary><dl><dt>Attempts</dt>"#,
            r#"<dd>{attempts} for {tasks} tasks</dd><dt>Last across by</dt><dd>{by}</dd>{slowest}"#,
            r#"<dt>SHA-256 of the outcomes</dt><dd class="digest">{digest}</dd></dl>"#,
            r#"<a href="/api/batches/{id}/receipt?lap={lap}">As JSON</a></details>"#
        ),
        attempts = format::count(receipt.number("attempts")),
        tasks = format::count(receipt.number("lap_tasks")),
        by = by,
        slowest = slowest,
        digest = escaped(&receipt.text("outcomes_sha256").unwrap_or_default()),
        id = id,
        lap = receipt.number("lap"),
    )
}
