//! Every attempt at the square that was chosen.

use leptos::prelude::*;
use quilt::{AttemptRecord, BatchId, Square};

use crate::actions::get_attempts;
use crate::channel::Channel;
use crate::format;
use crate::model::ActionError;

/// Nothing until a square is chosen. Asks again when something has become of that square.
#[component]
pub(crate) fn Attempts(
    /// The batch on the page.
    id: BatchId,
    /// Its channel.
    channel: Channel,
    /// The square.
    chosen: RwSignal<Option<Square>>,
    /// Told the square when it is no longer chosen, so that the focus goes back to it.
    focused: RwSignal<Option<Square>>,
) -> impl IntoView {
    let attempts = Action::new(move |square: &Square| {
        let square = *square;
        async move { (square, get_attempts(id, square.row, square.column).await) }
    });
    let outcome = Memo::new(move |_| chosen.get().map(|square| (square, channel.outcome_of(square))));
    // Effects run in the browser alone: the server renders no attempts.
    Effect::new(move |_| {
        if let Some((square, _)) = outcome.get() {
            attempts.dispatch(square);
        }
    });
    let shown = move || {
        let chosen = chosen.get()?;
        attempts.value().get().filter(|(square, _)| *square == chosen)
    };
    let close = move |_| {
        focused.set(chosen.get_untracked());
        chosen.set(None);
    };
    view! {
        <section class="attempts" aria-label="Attempts" aria-live="polite">
            {move || shown().map(|(square, attempts)| view! {
                <div class="attempts-head">
                    <h2>{format!("Row {}, column {}", square.row, square.column)}</h2>
                    <button type="button" class="link" on:click=close>"Close"</button>
                </div>
                {list(attempts)}
            })}
        </section>
    }
}

fn list(attempts: Result<Vec<AttemptRecord>, ActionError>) -> AnyView {
    match attempts {
        Ok(attempts) if attempts.is_empty() => view! { <p class="quiet">"No attempt has ended yet."</p> }.into_any(),
        Ok(attempts) => {
            view! { <ol class="attempt-list">{attempts.into_iter().map(item).collect_view()}</ol> }.into_any()
        }
        Err(error) => view! { <p class="refusal">{error.to_string()}</p> }.into_any(),
    }
}

fn item(attempt: AttemptRecord) -> impl IntoView {
    let AttemptRecord { lap, number, worker, started_at, took_ms, error } = attempt;
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
