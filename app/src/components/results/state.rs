//! The state of the table, and how its rows are loaded.

use std::time::Duration;

use api::ResultPage;
use leptos::prelude::*;
use viewer::table::Column;
use viewer::{Connection, Table};

use crate::components::shared::{memo_text, optional, text};
use crate::live::Batch;
use crate::live::fetch::use_document;
use crate::live::shared::{Shared, effect, later};

/// How long the text has to stay the same before it is searched.
const TYPING_PAUSE: Duration = Duration::from_millis(250);

/// The table with a version signal, so that the rows themselves stay out of the reactive graph.
#[derive(Clone, Copy)]
pub(super) struct Results {
    version: RwSignal<u32>,
    table: Shared<Table>,
    batch: Batch,
    /// Why loading failed; empty if it succeeded.
    pub(super) failure: RwSignal<String>,
    /// Whether rows were ever loaded.
    pub(super) loaded: RwSignal<bool>,
    /// Counts the keys that were pressed in the search field.
    typed: RwSignal<u32>,
}

impl Results {
    /// An empty table. Its rows are loaded when it is first opened.
    pub(super) fn new(batch: Batch, columns: Vec<Column>) -> Self {
        let results = Self {
            version: RwSignal::new(0),
            table: Shared::new(Table::new(columns)),
            batch,
            failure: RwSignal::new(String::new()),
            loaded: RwSignal::new(false),
            typed: RwSignal::new(0),
        };
        let is_open = batch.view.is_results_open;
        let path = optional(move || {
            let query = results.with(Table::request).filter(|_| is_open.get())?;
            Some(format!("/api/batches/{}/results{query}", batch.id))
        });
        // The path names the version, in its fragment.
        let page = use_document(path, text(String::new));
        effect(move || match page.get::<ResultPage>() {
            Some(Ok(page)) => {
                let is_first = results.with_untracked(|table| table.generation() == 0);
                results.update(|table| table.receive(page));
                results.failure.set(String::new());
                if is_first {
                    results.loaded.set(true);
                }
            }
            Some(Err(error)) => results.failure.set(error.to_string()),
            None => {}
        });
        // The rows are loaded again when a lap starts or ends, and when the connection is back after a failure.
        let lap = memo_text(move || {
            let summary = batch.channel.signals.summary.get();
            format!("{} {}", summary.lap, summary.status.is_over())
        });
        effect(move || {
            // A memo that is tracked but never read has no sources.
            let _ = lap.get();
            results.reload();
        });
        effect(move || {
            let reason = batch.view.reason.get();
            if results.with_untracked(|table| table.reason() != reason) {
                results.update(|table| table.set_reason(&reason));
            }
        });
        effect(move || {
            let is_live = batch.channel.connection.get() == Connection::Live;
            if is_live && results.failure.with_untracked(|failure| !failure.is_empty()) {
                results.reload();
            }
        });
        results
    }

    /// Whether the lap has ended, so that the rows can be sorted by how it went.
    pub(super) fn is_over(self) -> bool {
        self.batch.channel.status.get().is_over()
    }

    /// Loads the rows again.
    pub(super) fn reload(self) {
        let is_over = self.batch.channel.status.get_untracked().is_over();
        self.update(|table| table.reload(is_over));
    }

    /// Chooses the failures with a reason, here and in the quilt; all squares for an empty one.
    pub(super) fn choose_reason(self, reason: &str) {
        match reason {
            "" => self.batch.view.update_look(|look| look.with_only(None)),
            reason => self.batch.view.reason.set(reason.to_owned()),
        }
    }

    /// Searches a text, once no other one follows for a moment.
    pub(super) fn search(self, text: String) {
        let typed = self.typed.get_untracked().wrapping_add(1);
        self.typed.set(typed);
        let search = move || {
            if self.typed.try_get_untracked() == Some(typed) {
                self.update(|table| table.set_text(&text));
            }
        };
        later(search, TYPING_PAUSE);
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

    /// Changes the table and notifies its readers.
    pub(super) fn update(self, change: impl FnOnce(&mut Table)) {
        self.table.with(change);
        self.version.update(|version| *version += 1);
    }
}
