//! The rows of the table. Only a window around the visible ones is rendered.

use leptos::html::Div;
use leptos::prelude::*;
use quilt::Square;
use viewer::Table;
use viewer::table::{Column, Direction, ROW_HEIGHT_PX, SQUARE_COLUMN, STATE_COLUMN, WINDOW_ROWS};

use super::state::Results;
use crate::components::shared::{Each, When, all, each, flag, keys, on, optional, text};
use crate::live::shared::{before_frame, effect};
use crate::live::{Batch, use_batch};

/// The table in a scrolling container.
#[component]
pub(super) fn Rows(results: Results) -> impl IntoView {
    let batch = use_batch();
    let scroller = NodeRef::<Div>::new();
    let first = RwSignal::new(0_usize);
    let follow = move |top: usize| {
        let wanted = results.with_untracked(|table| table.first_at(top, first.get_untracked()));
        if wanted != first.get_untracked() {
            first.set(wanted);
        }
    };
    // The key of a column is its index; that of a row is its index among the matching rows and the table's version.
    let columns =
        keys(move || results.with(|table| table.used_columns().iter().map(|(place, _)| place.to_string()).collect()));
    let rows = keys(move || {
        let first = first.get();
        results.with(|table| (first..first + table.window(first).count()).map(|row| results.key(row)).collect())
    });
    let count = move || results.with(Table::matching);
    let before = Signal::derive(move || first.get());
    let after = Signal::derive(move || count().saturating_sub(first.get() + WINDOW_ROWS));
    // Scrolls to the chosen square's row when it is chosen or the rows are loaded, but not when they are sorted or filtered.
    effect(move || {
        let chosen = batch.view.chosen.get();
        results.loaded.track();
        let top = chosen.and_then(|square| results.with_untracked(|table| table.scroll_to(square)));
        if let Some((top, scroller)) = top.zip(scroller.get()) {
            follow(top);
            // The row has to be rendered before the container can scroll to it.
            before_frame(move || scroller.set_scroll_top(i32::try_from(top).unwrap_or(i32::MAX)));
        }
    });
    // Moves the window to the top when a filter leaves no rows in it.
    effect(move || {
        if count() <= first.get_untracked() {
            follow(0);
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
            <table class="results-table" aria-rowcount=text(move || (count() + 1).to_string())>
                <thead>
                    <tr aria-rowindex="1">
                        <Each keys=columns view=each(move |place| head(results, &place)) />
                    </tr>
                </thead>
                <tbody>
                    <Space rows=before />
                    <Each keys=rows view=each(move |key| row(batch, results, &key)) />
                    <Space rows=after />
                </tbody>
            </table>
        </div>
    }
}

/// An empty row as high as `rows` rows that are not rendered.
#[component]
fn Space(rows: Signal<usize>) -> impl IntoView {
    view! {
        <When condition=flag(move || { rows.get() > 0 })>
            <tr aria-hidden="true" class="space" style:height=text(move || format!("{}px", rows.get() * ROW_HEIGHT_PX))>
                <td></td>
            </tr>
        </When>
    }
}

/// The header of a column. A click sorts by the column.
fn head(results: Results, place: &str) -> impl IntoView + use<> {
    let place: usize = place.parse().unwrap_or_default();
    let column = results.with_untracked(|table| {
        table.used_columns().into_iter().find(|(used, _)| *used == place).map(|(_, column)| column.clone())
    });
    let direction = Signal::derive(move || {
        let sort = results.with(Table::sort);
        sort.filter(|(sorted, _)| *sorted == place).map(|(_, direction)| direction)
    });
    let sorted = optional(move || direction.get().map(|direction| direction.as_str().into()));
    let arrow = text(move || {
        match direction.get() {
            Some(Direction::Ascending) => " ↑",
            Some(Direction::Descending) => " ↓",
            None => "",
        }
        .into()
    });
    let (name, label) = column.map(|column| (column.name, column.label)).unwrap_or_default();
    view! {
        <th scope="col" data-column=name aria-sort=sorted>
            <button type="button" on:click=on(move |_| results.update(|table| table.sort_by(place)))>
                {label}
                <span aria-hidden="true">{arrow}</span>
            </button>
        </th>
    }
}

/// The row with this key, with its cells in the used columns.
fn row(batch: Batch, results: Results, key: &str) -> AnyView {
    let place = Results::place(key);
    let known = results.with_untracked(|table| {
        let row = table.window(place).next()?;
        let text =
            |(place, _): (usize, &Column)| (place, row.cells.get(place).map(ToString::to_string).unwrap_or_default());
        Some((row.square, table.used_columns().into_iter().map(text).collect::<Vec<_>>()))
    });
    let Some((square, cells)) = known else { return ().into_any() };
    let is_chosen = optional(move || (batch.view.chosen.get() == Some(square)).then(|| "true".into()));
    let cells = all(cells.into_iter().map(|(column, text)| cell(batch, square, column, text)));
    view! { <tr aria-rowindex=(place + 2).to_string() aria-current=is_chosen>{cells}</tr> }.into_any()
}

fn cell(batch: Batch, square: Square, column: usize, text: String) -> AnyView {
    match column {
        SQUARE_COLUMN => {
            let choose = on(move |_| batch.choose(square));
            view! { <th scope="row"><button type="button" class="link" on:click=choose>{text}</button></th> }.into_any()
        }
        STATE_COLUMN => {
            let state = text.replace(' ', "-");
            view! { <td><span class="chip" data-state=state aria-hidden="true"></span>{text}</td> }.into_any()
        }
        _ => {
            let title = text.clone();
            view! { <td title=title>{text}</td> }.into_any()
        }
    }
}
