//! Search, filters and downloads of the results.

use api::TaskState;
use leptos::prelude::*;

use super::state::Results;
use crate::components::shared::{When, all, flag, on, text};
use crate::live::use_batch;

/// The states in the filter menu, after the entry for all squares.
const FILTER_STATES: [TaskState; 4] = [TaskState::Done, TaskState::Failed, TaskState::Pending, TaskState::NotRun];

/// The tools above the table.
#[component]
pub(super) fn Tools(results: Results) -> impl IntoView {
    let batch = use_batch();
    let id = batch.id;
    let count = text(move || {
        let tasks = batch.channel.progress.get().tasks;
        results.with(|table| table.count(tasks))
    });
    let reason = move || results.with(|table| table.reason().to_owned());
    let has_reason = flag(move || !reason().is_empty());
    let file = |format: &'static str, name: &'static str| {
        view! {
            <a class="link" href=format!("/api/batches/{id}/results?format={format}") download=format!("quilt-{id}.{format}")>
                {name}
            </a>
        }
    };
    view! {
        <div class="results-tools">
            <span class="results-tool">
                <label for="results-filter">"Find"</label>
                <input
                    type="search"
                    id="results-filter"
                    autocomplete="off"
                    spellcheck="false"
                    on:input=on(move |event| results.search(event_target_value(&event)))
                />
            </span>
            <span class="results-tool">
                <label for="results-only">"Show"</label>
                <select
                    id="results-only"
                    on:change=on(move |event| results.update(|table| table.set_state(&event_target_value(&event))))
                >
                    <option value="">"all squares"</option>
                    {all(FILTER_STATES.map(|state| view! { <option value=state.as_str()>{state.words()}</option> }))}
                </select>
            </span>
            <When condition=has_reason>
                <button type="button" class="filter" title="Show all reasons" on:click=on(move |_| results.choose_reason(""))>
                    "Reason: "
                    <bdi>{text(reason)}</bdi>
                    <span aria-hidden="true">" ×"</span>
                </button>
            </When>
            <div class="results-count" role="status" aria-label="Rows">
                <span>{count}</span>
            </div>
            <span class="results-files">
                <button type="button" class="link" on:click=on(move |_| results.reload())>
                    "Refresh"
                </button>
                {file("csv", "CSV")}
                {file("ndjson", "NDJSON")}
                {file("png", "PNG")}
            </span>
        </div>
    }
}
