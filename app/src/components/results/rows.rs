//! The rows of the table. Only a window around the visible ones is rendered.

use api::{ResultSort, SortOrder};
use leptos::html::Div;
use leptos::prelude::*;
use quilt::Square;
use viewer::Table;
use viewer::table::{COLOR, Column, REASON, SQUARE, STATE, sort_of};

use super::state::Results;
use crate::components::shared::{Each, When, all, each, flag, keys, maybe, memo_text, on, optional, text};
use crate::live::shared::{before_frame, effect};
use crate::live::{Batch, use_batch};

/// The table in a scrolling container.
#[component]
pub(super) fn Rows(results: Results) -> impl IntoView {
    let batch = use_batch();
    let scroller = NodeRef::<Div>::new();
    let follow = move |top: usize| {
        let first = results.with_untracked(|table| Some(table.first_at(top)).filter(|first| *first != table.first()));
        if let Some(first) = first {
            results.update(|table| table.set_first(first));
        }
    };
    // The key of a column is its place.
    let columns =
        keys(move || results.with(|table| table.used_columns().iter().map(|(place, _)| place.to_string()).collect()));
    // The key of a row is its number and, once it is loaded, what else decides how it is rendered.
    let rows = keys(move || {
        let key = |table: &Table, row| match table.row(row) {
            Some(_) => format!("{row} {}", table.generation()),
            None => row.to_string(),
        };
        results.with(|table| table.window().map(|row| key(table, row)).collect())
    });
    let above = text(move || pixels(results.with(|table| table.top_of(table.first()))));
    let below = text(move || pixels(results.with(Table::space_below)));
    let is_busy = text(move || results.with(Table::is_stale).to_string());
    // Scrolls to the chosen square's row when it is chosen or the rows are first loaded, if it is known where that is.
    effect(move || {
        let chosen = batch.view.chosen.get();
        results.loaded.track();
        let top = chosen.and_then(|square| {
            let index = batch.grid().index(square)?;
            results.with_untracked(|table| table.scroll_to(square, index))
        });
        if let Some((top, scroller)) = top.zip(scroller.get()) {
            follow(top);
            // The row has to be rendered before the container can scroll to it.
            before_frame(move || scroller.set_scroll_top(i32::try_from(top).unwrap_or(i32::MAX)));
        }
    });
    // Rows that are sorted or filtered start at the first one.
    let selections = memo_text(move || results.with(Table::selections).to_string());
    effect(move || {
        // A memo that is tracked but never read has no sources.
        let _ = selections.get();
        if let Some(scroller) = scroller.get() {
            scroller.set_scroll_top(0);
        }
    });
    view! {
        <div
            class="results-scroll"
            tabindex="0"
            role="region"
            aria-label="Table of results"
            node_ref=scroller
            on:scroll=on(move |_| {
                if let Some(scroller) = scroller.get_untracked() {
                    follow(usize::try_from(scroller.scroll_top()).unwrap_or_default());
                }
            })
        >
            <table
                class="results-table"
                aria-rowcount=text(move || results.with(|table| table.len() + 1).to_string())
                aria-busy=is_busy
            >
                <thead>
                    <tr aria-rowindex="1">
                        <Each keys=columns view=each(move |place| head(results, &place)) />
                    </tr>
                </thead>
                <tbody>
                    <Space height=above />
                    <Each keys=rows view=each(move |key| row(batch, results, &key)) />
                    <Space height=below />
                </tbody>
            </table>
        </div>
    }
}

fn pixels(count: usize) -> String {
    format!("{count}px")
}

/// An empty row as high as the rows that are not rendered.
#[component]
fn Space(height: Signal<String>) -> impl IntoView {
    view! {
        <When condition=flag(move || height.get() != pixels(0))>
            <tr aria-hidden="true" class="space" style:height=height>
                <td></td>
            </tr>
        </When>
    }
}

/// The header of a column. If the server can sort by the column, it is a button.
fn head(results: Results, place: &str) -> AnyView {
    let place: usize = place.parse().unwrap_or_default();
    let column = results.with_untracked(|table| {
        table.used_columns().into_iter().find(|(used, _)| *used == place).map(|(_, column)| column.clone())
    });
    let (name, label) = column.map(|Column { name, label }| (name, label)).unwrap_or_default();
    let Some(sort) = sort_of(place) else {
        return view! { <th scope="col" data-column=name>{label}</th> }.into_any();
    };
    let direction = move || {
        let sorted = results.with(Table::sort);
        sorted.filter(|(sorted, _)| *sorted == sort).map(|(_, order)| order == SortOrder::Ascending)
    };
    let word = move |ascending: &'static str, descending: &'static str| {
        direction().map(|is_ascending| if is_ascending { ascending } else { descending }.into())
    };
    // While squares settle, the server knows no order but theirs.
    let is_disabled = flag(move || sort != ResultSort::Square && !results.is_over());
    view! {
        <th scope="col" data-column=name aria-sort=optional(move || word("ascending", "descending"))>
            <button
                type="button"
                disabled=is_disabled
                on:click=on(move |_| results.update(|table| table.sort_by(sort)))
            >
                {label}
                <span aria-hidden="true">{text(move || word(" ↑", " ↓").unwrap_or_default())}</span>
            </button>
        </th>
    }
    .into_any()
}

/// The row with this key, with its cells in the used columns.
fn row(batch: Batch, results: Results, key: &str) -> AnyView {
    let number: usize = key.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default();
    let known = results.with_untracked(|table| {
        let row = table.row(number)?;
        let square = Square { row: row.row.try_into().ok()?, column: row.column.try_into().ok()? };
        let cells = table.used_columns().into_iter().map(|(place, _)| (place, table.text(row, place)));
        Some((square, row.reason.clone().unwrap_or_default(), cells.collect::<Vec<_>>()))
    });
    let index = (number + 2).to_string();
    let Some((square, reason, cells)) = known else {
        return view! { <tr aria-rowindex=index><td class="quiet">"…"</td></tr> }.into_any();
    };
    let is_chosen = optional(move || (batch.view.chosen.get() == Some(square)).then(|| "true".into()));
    // The item names the row or, if there is none, the square does.
    let name = cells.first().map_or(SQUARE, |(place, _)| *place);
    let cell = move |(place, text)| match place {
        place if place == name => name_cell(batch, square, text),
        REASON => reason_cell(results, &reason, text),
        place => cell(place, text),
    };
    let cells = all(cells.into_iter().map(cell));
    view! { <tr aria-rowindex=index aria-current=is_chosen>{cells}</tr> }.into_any()
}

/// The cell that names a row. A click chooses its square.
fn name_cell(batch: Batch, square: Square, text: String) -> AnyView {
    let title = text.clone();
    // A text of another direction must not reorder what is around it.
    view! {
        <th scope="row" title=title>
            <button type="button" class="link" on:click=on(move |_| batch.choose(square))>
                <bdi>{text}</bdi>
            </button>
        </th>
    }
    .into_any()
}

/// The message of a failure. A click selects the failures with the same reason.
fn reason_cell(results: Results, reason: &str, message: String) -> AnyView {
    if reason.is_empty() {
        return view! { <td></td> }.into_any();
    }
    let title = format!("{message}\nClick to show only failures with the reason: {reason}");
    let reason = reason.to_owned();
    view! {
        <td title=title>
            <button type="button" class="cell" on:click=on(move |_| results.choose_reason(&reason))>
                <bdi>{message}</bdi>
            </button>
        </td>
    }
    .into_any()
}

fn cell(place: usize, text: String) -> AnyView {
    let swatch = match place {
        STATE => {
            Some(view! { <span class="chip" data-state=text.replace(' ', "-") aria-hidden="true"></span> }.into_any())
        }
        COLOR if !text.is_empty() => {
            Some(view! { <span class="chip" style=format!("background:{text}") aria-hidden="true"></span> }.into_any())
        }
        _ => None,
    };
    let title = text.clone();
    view! { <td title=title>{maybe(swatch)}<bdi>{text}</bdi></td> }.into_any()
}
