//! The state of the table, and how its rows are loaded.

use api::ResultLine;
use leptos::prelude::*;
use viewer::Table;
use viewer::table::{Column, MAX_ROWS};

use crate::components::shared::text;
use crate::live::Batch;
use crate::live::fetch::use_document;
use crate::live::shared::{Shared, effect};

/// The table with a version signal, so that the rows themselves stay out of the reactive graph.
#[derive(Clone, Copy)]
pub(super) struct Results {
    version: RwSignal<u32>,
    table: Shared<Table>,
    /// Incremented to request that the rows are loaded again.
    pub(super) loads: RwSignal<u32>,
    /// Incremented after the rows were loaded.
    pub(super) loaded: RwSignal<u32>,
    /// Why loading failed; empty if it succeeded.
    pub(super) failure: RwSignal<String>,
}

impl Results {
    /// An empty table. Its rows are loaded when it is first opened.
    pub(super) fn new(batch: Batch, columns: Vec<Column>) -> Self {
        let results = Self {
            version: RwSignal::new(0),
            table: Shared::new(Table::new(columns, to_lower_case)),
            loads: RwSignal::new(0),
            loaded: RwSignal::new(0),
            failure: RwSignal::new(String::new()),
        };
        let is_open = batch.view.is_results_open;
        let was_opened = Memo::new(move |before: Option<&bool>| before == Some(&true) || is_open.get());
        let path = Signal::derive(move || {
            was_opened.get().then(|| format!("/api/batches/{}/results?format=ndjson&limit={MAX_ROWS}", batch.id))
        });
        // The rows are also loaded again when a lap ends.
        let version = text(move || {
            let summary = batch.channel.signals.summary.get();
            let lap = (summary.lap, summary.status.is_over());
            format!("{lap:?} {}", results.loads.get())
        });
        let lines = use_document(path, version);
        effect(move || match lines.get_lines::<ResultLine>() {
            Some(Ok(lines)) => {
                results.update(|table| table.set_results(&lines));
                results.failure.set(String::new());
                results.loaded.update(|loaded| *loaded += 1);
            }
            Some(Err(error)) => results.failure.set(error.to_string()),
            None => {}
        });
        results
    }

    /// Reads the table and tracks its changes.
    pub(super) fn with<T: Default>(self, look: impl FnOnce(&Table) -> T) -> T {
        self.version.track();
        self.with_untracked(look)
    }

    /// Reads the table without tracking it.
    pub(super) fn with_untracked<T: Default>(self, look: impl FnOnce(&Table) -> T) -> T {
        self.table.with(|table| look(table)).unwrap_or_default()
    }

    /// The key of the matching row at an index. It differs after every change of the table.
    pub(super) fn key(self, place: usize) -> String {
        format!("{place} {}", self.version.get_untracked())
    }

    /// The index in a key.
    pub(super) fn place(key: &str) -> usize {
        key.split_once(' ').and_then(|(place, _)| place.parse().ok()).unwrap_or_default()
    }

    /// Changes the table and notifies its readers.
    pub(super) fn update(self, change: impl FnOnce(&mut Table)) {
        self.table.with(change);
        self.version.update(|version| *version += 1);
    }
}

/// Calls the browser's implementation: Rust's tables would add 6 kB to the download.
fn to_lower_case(text: &str) -> String {
    js_sys::JsString::from(text).to_lower_case().into()
}
