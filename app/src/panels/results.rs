//! The results as a table, of which only the rows in sight are made.

use std::fmt::Write;

use crate::format;
use crate::html::{attribute_if, escaped};
use crate::page::State;
use crate::page::results::{Column, MAX_ROWS, ROW_HEIGHT, Results, Row, Rows};

/// Nothing until somebody opens it.
pub(super) fn html(state: &State) -> String {
    let results = &state.results;
    if !results.is_open {
        return String::new();
    }
    match &results.rows {
        Rows::Unasked | Rows::Asked => r#"<p class="quiet">The results are on their way…</p>"#.into(),
        Rows::Failed(reason) => format!(r#"<p class="refusal">{}</p>"#, escaped(reason)),
        Rows::Here(_) => table(state, results),
    }
}

/// How many rows there are.
pub(super) fn count_html(state: &State) -> String {
    let Rows::Here(rows) = &state.results.rows else { return String::new() };
    let (_, _, shown) = state.results.window();
    let squares = state.grid.squares();
    let all = if rows.len() == MAX_ROWS && squares as usize > MAX_ROWS {
        format!(
            "the first {} of {} squares; a file has them all",
            format::count(MAX_ROWS as u32),
            format::count(squares)
        )
    } else {
        format::squares(rows.len() as u32)
    };
    if shown == rows.len() {
        format!("<span>{all}</span>")
    } else {
        format!("<span>{} of {all}</span>", format::count(shown as u32))
    }
}

fn table(state: &State, results: &Results) -> String {
    let (rows, before, count) = results.window();
    let used: Vec<usize> =
        (0..results.columns.len()).filter(|column| *column == 0 || results.is_used(*column)).collect();
    let heads: String = used.iter().filter_map(|at| Some(head(*at, results.columns.get(*at)?, results.sort))).collect();
    let mut body = String::new();
    let mut made = 0;
    for row in rows {
        push_row(&mut body, state, row, &used, before + made);
        made += 1;
    }
    let after = count.saturating_sub(before + made);
    let space = |rows: usize| match rows {
        0 => String::new(),
        rows => format!(
            r#"<tr aria-hidden="true" class="space" style="height:{}px"><td colspan="{}"></td></tr>"#,
            rows * ROW_HEIGHT,
            used.len()
        ),
    };
    format!(
        r#"<table class="results-table" aria-rowcount="{}"><thead><tr aria-rowindex="1">{heads}</tr></thead><tbody>{}{body}{}</tbody></table>"#,
        count + 1,
        space(before),
        space(after),
    )
}

/// The head of a column, which sorts.
fn head(at: usize, Column { name, label }: &Column, sort: Option<(usize, bool)>) -> String {
    let (direction, arrow) = match sort {
        Some((column, false)) if column == at => (r#" aria-sort="ascending""#, " ↑"),
        Some((column, true)) if column == at => (r#" aria-sort="descending""#, " ↓"),
        _ => ("", ""),
    };
    format!(
        r#"<th scope="col" data-column="{name}"{direction}><button type="button" id="sort-{at}" data-do="sort:{at}">{label}<span aria-hidden="true">{arrow}</span></button></th>"#,
        name = escaped(name),
        label = escaped(label),
    )
}

fn push_row(html: &mut String, state: &State, row: &Row, used: &[usize], place: usize) {
    let Some(index) = state.grid.index(row.square) else { return };
    let is_chosen = attribute_if(state.chosen == Some(row.square), r#" aria-current="true""#);
    // Writing to a string cannot fail.
    let _ = write!(html, r#"<tr aria-rowindex="{}"{is_chosen}>"#, place + 2);
    for (nth, column) in used.iter().enumerate() {
        let text = row.cells.get(*column).map(ToString::to_string).unwrap_or_default();
        let text = escaped(&text);
        let _ = match nth {
            0 => write!(
                html,
                r#"<th scope="row"><button type="button" class="link" id="row-{0}" data-do="choose:{0}">{text}</button></th>"#,
                index.0
            ),
            _ if *column == 2 => {
                write!(html, r#"<td><span class="chip" data-state="{text}" aria-hidden="true"></span>{text}</td>"#)
            }
            _ => write!(html, r#"<td title="{text}">{text}</td>"#),
        };
    }
    html.push_str("</tr>");
}
