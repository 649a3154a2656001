//! Every attempt at the square that was chosen.

use leptos::prelude::*;
use quilt::{BatchId, Square};

use crate::actions::get_attempts;
use crate::format;
use crate::model::Attempt;

/// Nothing until a square is chosen.
#[component]
pub(crate) fn Attempts(
    /// The batch on the page.
    id: BatchId,
    /// The square.
    chosen: RwSignal<Option<Square>>,
) -> impl IntoView {
    let attempts = LocalResource::new(move || {
        let chosen = chosen.get();
        async move {
            match chosen {
                Some(Square { row, column }) => Some((Square { row, column }, get_attempts(id, row, column).await)),
                None => None,
            }
        }
    });
    view! {
        <section class="attempts" aria-label="Attempts" aria-live="polite">
            {move || attempts.get().flatten().map(|(square, attempts)| view! {
                <div class="attempts-head">
                    <h2>{format!("Row {}, column {}", square.row, square.column)}</h2>
                    <button type="button" class="link" on:click=move |_| chosen.set(None)>"Close"</button>
                </div>
                {match attempts {
                    Ok(attempts) if attempts.is_empty() => view! { <p class="quiet">"No attempt has ended yet."</p> }.into_any(),
                    Ok(attempts) => view! { <ol class="attempt-list">{attempts.into_iter().map(item).collect_view()}</ol> }.into_any(),
                    Err(error) => view! { <p class="refusal">{error.to_string()}</p> }.into_any(),
                }}
            })}
        </section>
    }
}

fn item(attempt: Attempt) -> impl IntoView {
    let Attempt { lap, number, worker, started_at, took_ms, error } = attempt;
    let state = if error.is_some() { "failed" } else { "done" };
    let lap = if lap > 1 { format!("lap {lap}, ") } else { String::new() };
    view! {
        <li data-state=state>
            <span class="attempt-name">{format!("{lap}attempt {number}")}</span>
            <span class="attempt-outcome">{error.map_or_else(|| "done".into(), String::from)}</span>
            <span class="quiet">
                {format!("{} UTC · {} · {worker}", format::time_of_day(started_at), format::duration(took_ms.into()))}
            </span>
        </li>
    }
}
