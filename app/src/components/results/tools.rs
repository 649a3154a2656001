//! Search, filter and downloads of the results.

use api::TaskState;
use leptos::prelude::*;
use viewer::format;
use viewer::table::MAX_ROWS;

use super::state::Results;
use crate::components::shared::{all, on, text};
use crate::live::use_batch;

/// The states in the filter menu, after the entry for all squares.
const FILTER_STATES: [TaskState; 4] = [TaskState::Done, TaskState::Failed, TaskState::Pending, TaskState::NotRun];

/// The tools above the table.
#[component]
pub(super) fn Tools(results: Results) -> impl IntoView {
    let batch = use_batch();
    let id = batch.id;
    let rows = text(move || {
        let tasks = batch.channel.progress.get().tasks;
        results.with(|table| count(table.matching(), table.len(), tasks))
    });
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
                    on:input=on(move |event| results.update(|table| table.set_filter(&event_target_value(&event))))
                />
            </span>
            <span class="results-tool">
                <label for="results-only">"Show"</label>
                <select
                    id="results-only"
                    on:change=on(move |event| results.update(|table| table.set_only(&event_target_value(&event))))
                >
                    <option value="">"all squares"</option>
                    {all(FILTER_STATES.map(|state| view! { <option value=state.words()>{state.words()}</option> }))}
                </select>
            </span>
            <div class="results-count" role="status" aria-label="Rows">
                <span>{rows}</span>
            </div>
            <span class="results-files">
                <button type="button" class="link" on:click=on(move |_| results.loads.update(|loads| *loads += 1))>
                    "Load again"
                </button>
                {file("csv", "CSV")}
                {file("ndjson", "NDJSON")}
                {file("png", "PNG")}
            </span>
        </div>
    }
}

/// The text about how many of the loaded rows match.
fn count(matching: usize, rows: usize, tasks: u32) -> String {
    if rows == 0 {
        return String::new();
    }
    let all = if rows == MAX_ROWS && tasks as usize > MAX_ROWS {
        format!("the first {} of {} squares; a file has them all", format::count(MAX_ROWS as u32), format::count(tasks))
    } else {
        format::squares(rows as u32)
    };
    if matching == rows { all } else { format!("{} of {all}", format::count(matching as u32)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_says_what_is_missing() {
        assert_eq!(count(60, 60, 60), "60 squares");
        assert_eq!(count(9, 60, 60), "9 of 60 squares");
        assert_eq!(count(MAX_ROWS, MAX_ROWS, 65_536), "the first 20,000 of 65,536 squares; a file has them all");
        assert_eq!(count(0, 0, 60), "");
    }
}
