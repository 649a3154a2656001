//! The table and what is loaded into it.

use api::ResultLine;
use leptos::prelude::*;
use viewer::Table;
use viewer::table::{Column, MAX_ROWS};

use crate::components::shared::text;
use crate::live::Batch;
use crate::live::fetch::use_document;
use crate::live::shared::{Shared, effect};

/// The table. A signal that counts, around rows that are no signals.
#[derive(Clone, Copy)]
pub(super) struct Results {
    version: RwSignal<u32>,
    table: Shared<Table>,
    /// Grows when the rows are to be loaded again.
    pub(super) loads: RwSignal<u32>,
    /// Grows when they were loaded.
    pub(super) loaded: RwSignal<u32>,
    /// Why they were not loaded; empty if they were.
    pub(super) failure: RwSignal<String>,
}

impl Results {
    /// Without rows; they are loaded when the table is opened.
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
        // Loaded when the table is first opened, and again when a lap is over.
        let version = text(move || {
            let summary = batch.channel.told.summary.get();
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

    /// Looks at the table, again whenever it has changed.
    pub(super) fn with<T: Default>(self, look: impl FnOnce(&Table) -> T) -> T {
        self.version.track();
        self.with_untracked(look)
    }

    /// Looks at the table once.
    pub(super) fn with_untracked<T: Default>(self, look: impl FnOnce(&Table) -> T) -> T {
        self.table.with(|table| look(table)).unwrap_or_default()
    }

    /// A key of the row at a place among those that match: another one when the table has changed.
    pub(super) fn key(self, place: usize) -> String {
        format!("{place} {}", self.version.get_untracked())
    }

    /// The place in a key.
    pub(super) fn place(key: &str) -> usize {
        key.split_once(' ').and_then(|(place, _)| place.parse().ok()).unwrap_or_default()
    }

    /// Changes the table.
    pub(super) fn update(self, change: impl FnOnce(&mut Table)) {
        self.table.with(change);
        self.version.update(|version| *version += 1);
    }
}

/// As the browser does it. Rust's own tables would be 6 kB of what it downloads.
fn to_lower_case(text: &str) -> String {
    js_sys::JsString::from(text).to_lower_case().into()
}
