//! What is known of the square that was chosen, with every attempt at it.

use leptos::task::spawn_local;
use quilt::{Square, SquareState};

use super::Panel;
use crate::components::post_form::{action, button, form};
use crate::format;
use crate::html::{escaped, percent};
use crate::model::ActionError;
use crate::page::{Page, State};
use crate::request::{self, Record};

/// Asks for what is known of a square.
pub(crate) fn ask(page: Page, square: Square) {
    spawn_local(async move {
        let Some(id) = page.read(|state| state.id) else { return };
        let path = format!("/api/batches/{id}/squares/{}/{}", square.row, square.column);
        let asked = request::get(&path).await;
        page.update(|state| {
            // Another one may have been chosen since.
            if state.chosen == Some(square) {
                state.details = Some((square, asked));
            }
        });
    });
}

/// Nothing until a square is chosen.
pub(super) fn html(state: &State) -> String {
    let Some(Square { row, column }) = state.chosen else { return String::new() };
    format!(
        concat!(
            r#"<div class="attempts-head"><h2>Row {row}, column {column}</h2>"#,
            r#"<button type="button" class="link" id="close-square" data-do="close">Close</button></div><div aria-live="polite">{answer}</div>"#
        ),
        row = row,
        column = column,
        answer = Panel::SquareAnswer.slot(),
    )
}

/// What is known of the square that is chosen.
pub(super) fn answer_html(state: &State) -> String {
    let answer = state.details.as_ref().filter(|(square, _)| Some(*square) == state.chosen);
    answer.map_or(String::new(), |(square, answer)| details_html(answer) + &retry_html(state, *square))
}

/// A button for the owner of a batch that is finished, where the square has failed.
fn retry_html(state: &State, square: Square) -> String {
    let now = state.quilt().and_then(|quilt| Some(quilt.at(quilt.position_of(square)?)));
    if !(state.can_retry() && matches!(now, Some(SquareState::Failed(_)))) {
        return String::new();
    }
    let Square { row, column } = square;
    let fields = format!(
        r#"<input type="hidden" name="row" value="{row}"><input type="hidden" name="column" value="{column}">{}"#,
        button("retry-square", "", "Retry this one")
    );
    let form = form(action::RETRY_SQUARE, state.id, &fields);
    format!(r#"<div class="posting retry-square">{form}<p class="refusal" role="alert"></p></div>"#)
}

fn details_html(answer: &Result<Record, ActionError>) -> String {
    match answer {
        Ok(square) => {
            let attempts = square.list("attempts");
            let longest = attempts.iter().map(|attempt| attempt.number("took_ms")).max().unwrap_or_default();
            let items: String = attempts.iter().map(|attempt| item(attempt, longest)).collect();
            let swatch = square.text("color").map_or(String::new(), |color| {
                format!(r#"<span class="chip" style="background:{0}" aria-hidden="true"></span> {0}"#, escaped(&color))
            });
            let failed = square.text("failed").map_or(String::new(), |reason| format!(": {}", escaped(&reason)));
            let attempts = if items.is_empty() {
                r#"<p class="quiet">No attempt has ended yet.</p>"#.into()
            } else {
                format!(r#"<ol class="attempt-list">{items}</ol>"#)
            };
            let state = square.text("state").unwrap_or_default();
            let state = escaped(&state);
            let detail = detail_html(square);
            let item = square
                .text("item")
                .map_or(String::new(), |item| format!(r#"<p class="square-item">{}</p>"#, escaped(&item)));
            format!(
                r#"{item}<p class="square-state" data-state="{state}">{state}{failed} {swatch}</p>{detail}{attempts}"#
            )
        }
        Err(error) => format!(r#"<p class="refusal">{}</p>"#, escaped(&error.to_string())),
    }
}

/// What the task has left: its picture, or its values.
fn detail_html(square: &Record) -> String {
    let picture = square.text("picture").map_or(String::new(), |picture| {
        format!(r#"<img class="square-picture" src="{}" alt="What its task has drawn">"#, escaped(&picture))
    });
    let Some(detail) = square.record("detail") else { return picture };
    let values: String = detail
        .names()
        .iter()
        .map(|name| {
            let value = detail.value(name).to_string();
            // What a program writes has lines.
            let value = match value.contains('\n') {
                true => format!("<pre>{}</pre>", escaped(&value)),
                false => escaped(&value).into_owned(),
            };
            format!("<dt>{}</dt><dd>{value}</dd>", escaped(name))
        })
        .collect();
    format!(r#"{picture}<dl class="square-detail">{values}</dl>"#)
}

/// With a bar that is as long as the attempt was, beside the longest one.
fn item(attempt: &Record, longest: u32) -> String {
    let text = |name| attempt.text(name).unwrap_or_default();
    let (lap, number, took_ms) = (attempt.number("lap"), attempt.number("attempt"), attempt.number("took_ms"));
    let (error, started_at) = (attempt.text("error"), text("started_at"));
    // Of `2026-09-21T14:13:20.123Z`, the time of day.
    let at = started_at.get(11..).unwrap_or_default().trim_end_matches('Z');
    format!(
        concat!(
            r#"<li data-state="{state}"><span class="attempt-name">{lap}attempt {number}</span>"#,
            r#"<span class="attempt-outcome">{outcome}</span><span class="attempt-bar" style="--share:{share}" aria-hidden="true"></span>"#,
            r#"<span class="quiet">{at} UTC · {took} · {worker}</span></li>"#
        ),
        state = if error.is_some() { "failed" } else { "done" },
        lap = if lap > 1 { format!("lap {lap}, ") } else { String::new() },
        number = number,
        outcome = escaped(error.as_deref().unwrap_or("done")),
        share = percent(took_ms.into(), longest.into()),
        at = escaped(at),
        took = format::duration(took_ms.into()),
        worker = escaped(&text("worker")),
    )
}
