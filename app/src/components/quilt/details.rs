//! The details of the chosen square, with all its attempts.

use api::{Attempt, SquareDocument};
use leptos::prelude::*;
use quilt::Square;
use serde_json::Value;
use viewer::{TaskState, format};

use crate::components::batch::percent;
use crate::components::forms::{CommandForm, Place, Refusal, Submit};
use crate::components::shared::{When, all, flag, maybe, on, text};
use crate::live::clock::local_date_time;
use crate::live::fetch::use_document;
use crate::live::use_batch;
use crate::model::ActionError;

/// The details panel. It is empty until a square is chosen.
#[component]
pub(crate) fn SquareDetails() -> impl IntoView {
    let batch = use_batch();
    let chosen = batch.view.chosen;
    let is_open = flag(move || chosen.get().is_some());
    let name = text(move || {
        chosen.get().map_or(String::new(), |Square { row, column }| format!("Row {row}, column {column}"))
    });
    view! {
        <section class="inspector" aria-label="Square" class:is-open=is_open>
            <When condition=is_open>
                <div class="inspector-head">
                    <h2 aria-live="polite">{name}</h2>
                    <button type="button" class="link" on:click=on(move |_| { batch.close_square(); })>"Close"</button>
                </div>
                <Retry />
                <Loaded />
            </When>
        </section>
    }
}

/// The state of the chosen square as the quilt displays it.
fn use_state() -> Signal<Option<TaskState>> {
    let batch = use_batch();
    Signal::derive(move || {
        let square = batch.view.chosen.get()?;
        batch.channel.quilt.with(|viewer| viewer.scene(batch.view.look.get())?.state_of(square))?
    })
}

/// Loads the details, and reloads them when the square changes.
#[component]
fn Loaded() -> impl IntoView {
    let batch = use_batch();
    let state = use_state();
    let chosen = batch.view.chosen;
    let path = Signal::derive(move || {
        let Square { row, column } = chosen.get()?;
        Some(format!("/api/batches/{}/squares/{row}/{column}", batch.id))
    });
    let version = text(move || {
        let last = chosen.get().and_then(|square| batch.channel.quilt.with(|viewer| viewer.last_attempt(square)));
        let (lap_of_attempt, attempt) = last.unwrap_or_default();
        // State and attempt number can be the same in two laps.
        let lap = batch.channel.signals.summary.get().lap;
        format!("{} {lap_of_attempt} {attempt} {lap}", state.get().map_or("", TaskState::as_str))
    });
    let details = use_document(path, version);
    view! {
        <div aria-live="polite">
            <Transition>
                {move || maybe(details.get::<SquareDocument>().map(|details| view! { <Answer details /> }))}
            </Transition>
        </div>
    }
}

/// The button to retry a failed square, for the owner of a finished batch.
#[component]
fn Retry() -> impl IntoView {
    let batch = use_batch();
    // The present state, not that of a replay.
    let has_failed = move || {
        let square = batch.view.chosen.get()?;
        batch.channel.quilt.with(|viewer| viewer.has_failed(square))
    };
    let can_retry = flag(move || has_failed() == Some(true) && batch.can_retry());
    let place = move |place: fn(Square) -> u16| {
        text(move || batch.view.chosen.get().map_or(String::new(), |square| place(square).to_string()))
    };
    view! {
        <div class="retry-square">
            <When condition=can_retry>
                <CommandForm name="retry-square">
                    <input type="hidden" name="command[row]" value=place(|square| square.row) />
                    <input type="hidden" name="command[column]" value=place(|square| square.column) />
                    <Submit label="Retry this" />
                </CommandForm>
            </When>
            <Refusal place=Place::Square />
        </div>
    }
}

#[component]
fn Answer(details: Result<SquareDocument, ActionError>) -> impl IntoView {
    let square = match details {
        Ok(square) => square,
        Err(error) => return view! { <p class="refusal">{error.to_string()}</p> }.into_any(),
    };
    let SquareDocument { row, column, item, state, color, failed, detail, picture, waiting, attempts, .. } = square;
    let more = failed.or(waiting.map(|waiting| waiting.text));
    let words = more.map_or_else(|| state.words().into(), |more| format!("{}: {more} ", state.words()));
    let swatch = color.map(|color| {
        view! {
            " "
            <span class="chip" style=format!("background:{color}") aria-hidden="true"></span>
            " "
            {color}
        }
    });
    view! {
        {maybe(item.map(|item| view! { <p class="square-item"><bdi>{item}</bdi></p> }))}
        <p class="square-state" data-state=state.as_str()>{words}{maybe(swatch)}</p>
        {maybe(picture.map(|picture| view! { <img class="square-picture" src=picture alt=format!("Picture of row {row}, column {column}") /> }))}
        {maybe(detail.map(|detail| view! { <dl class="square-detail">{all(detail.into_iter().map(value_view))}</dl> }))}
        <Attempts attempts />
    }
    .into_any()
}

/// A name and value from the task's result.
fn value_view((name, value): (String, Value)) -> impl IntoView {
    let text = viewer::table::Value::from(&value).to_string();
    // The output of a program can have several lines.
    let value = if text.contains('\n') { view! { <pre>{text}</pre> }.into_any() } else { text.into_any() };
    view! {
        <dt>{name}</dt>
        <dd dir="auto">{value}</dd>
    }
}

#[component]
fn Attempts(attempts: Vec<Attempt>) -> impl IntoView {
    if attempts.is_empty() {
        return view! { <p class="quiet">"No attempt has ended yet."</p> }.into_any();
    }
    let longest = attempts.iter().map(|attempt| attempt.took_ms).max().unwrap_or_default();
    let item = |attempt: Attempt| {
        let Attempt { lap, attempt, worker, started_at, took_ms, error } = attempt;
        let lap = if lap > 1 { format!("lap {lap}, ") } else { String::new() };
        let state = if error.is_some() { "failed" } else { "done" };
        let at = local_date_time(&started_at);
        view! {
            <li data-state=state>
                <span class="attempt-name">{format!("{lap}attempt {attempt}")}</span>
                <bdi class="attempt-outcome">{error.unwrap_or_else(|| "done".into())}</bdi>
                // The bar's length is the duration relative to the longest attempt.
                <span class="attempt-bar" style=format!("--share:{}", percent(took_ms, longest)) aria-hidden="true"></span>
                <span class="quiet">
                    <time datetime=started_at.clone() title=started_at>{at}</time>
                    {format!(" · {} · ", format::duration(took_ms.into()))}
                    <bdi>{worker}</bdi>
                </span>
            </li>
        }
    };
    view! { <ol class="attempt-list">{all(attempts.into_iter().map(item))}</ol> }.into_any()
}
