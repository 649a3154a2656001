//! The results as a table.

mod rows;
mod state;
mod tools;

use leptos::prelude::*;
use viewer::Table;
use viewer::table::Column;

use crate::components::forms::RefusalText;
use crate::components::shared::{When, flag, is_details_open, on, text};
use crate::live::use_batch;
use rows::Rows;
use state::Results;
use tools::Tools;

/// The table of results. It is empty until it is opened.
#[component]
pub(crate) fn ResultsPanel(columns: Vec<Column>) -> impl IntoView {
    let batch = use_batch();
    let results = Results::new(batch, columns);
    let is_open = batch.view.is_results_open;
    let has_rows = flag(move || results.with(|table| !table.is_empty()));
    let is_loading =
        flag(move || results.with(Table::is_stale) && !has_rows.get() && results.failure.with(String::is_empty));
    let reason = text(move || results.failure.get());
    view! {
        <details
            class="results"
            id="results"
            on:toggle=on(move |event: web_sys::Event| is_open.set(is_details_open(&event)))
        >
            <summary>
                <h2>"Results"</h2>
            </summary>
            <Tools results />
            <When condition=flag(move || is_open.get())>
                <RefusalText reason />
                <When condition=is_loading>
                    <p class="quiet">"Loading results…"</p>
                </When>
                <When condition=has_rows>
                    <Rows results />
                </When>
            </When>
        </details>
    }
}
