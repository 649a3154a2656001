//! Every attempt at the square that was chosen.

use leptos::prelude::*;
use quilt::{BatchId, Square};
use serde::Deserialize;

use crate::channel::Channel;
use crate::format;
use crate::model::ActionError;

/// What the API tells of a square.
#[derive(Debug, Clone, Deserialize)]
struct SquareDocument {
    attempts: Vec<AttemptDocument>,
}

/// What the API tells of an attempt.
#[derive(Debug, Clone, Deserialize)]
struct AttemptDocument {
    lap: u32,
    attempt: u8,
    worker: String,
    started_at: String,
    took_ms: u32,
    error: Option<String>,
}

type Answer = Result<SquareDocument, ActionError>;

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
    let answer = RwSignal::new(None::<(Square, Answer)>);
    let outcome = Memo::new(move |_| chosen.get().map(|square| (square, channel.outcome_of(square))));
    // Effects run in the browser alone: the server renders no attempts.
    Effect::new(move |_| {
        if let Some((square, _)) = outcome.get() {
            ask(id, square, answer);
        }
    });
    let shown = move || {
        let chosen = chosen.get()?;
        answer.get().filter(|(square, _)| *square == chosen)
    };
    let close = move |_| {
        focused.set(chosen.get_untracked());
        chosen.set(None);
    };
    view! {
        <section class="attempts" aria-label="Attempts" aria-live="polite">
            {move || shown().map(|(square, answer)| view! {
                <div class="attempts-head">
                    <h2>{format!("Row {}, column {}", square.row, square.column)}</h2>
                    <button type="button" class="link" on:click=close>"Close"</button>
                </div>
                <div inner_html=html(&answer)></div>
            })}
        </section>
    }
}

#[cfg_attr(not(feature = "hydrate"), expect(unused_variables, reason = "only a browser asks"))]
fn ask(id: BatchId, square: Square, answer: RwSignal<Option<(Square, Answer)>>) {
    #[cfg(feature = "hydrate")]
    leptos::task::spawn_local(async move {
        let path = format!("/api/batches/{id}/squares/{}/{}", square.row, square.column);
        let asked = crate::request::get(&path).await;
        // The page may be gone by now.
        let _ = answer.try_set(Some((square, asked)));
    });
}

fn html(answer: &Answer) -> String {
    match answer {
        Ok(SquareDocument { attempts }) if attempts.is_empty() => {
            r#"<p class="quiet">No attempt has ended yet.</p>"#.into()
        }
        Ok(SquareDocument { attempts }) => {
            let items: String = attempts.iter().map(item).collect();
            format!(r#"<ol class="attempt-list">{items}</ol>"#)
        }
        Err(error) => format!(r#"<p class="refusal">{}</p>"#, escaped(&error.to_string())),
    }
}

fn item(attempt: &AttemptDocument) -> String {
    let AttemptDocument { lap, attempt: number, worker, started_at, took_ms, error } = attempt;
    let state = if error.is_some() { "failed" } else { "done" };
    let lap = if *lap > 1 { format!("lap {lap}, ") } else { String::new() };
    let outcome = escaped(error.as_deref().unwrap_or("done"));
    let worker = escaped(worker);
    // Of `2026-09-21T14:13:20.123Z`, the time of day.
    let at = escaped(started_at.get(11..).unwrap_or_default().trim_end_matches('Z'));
    let took = format::duration(u64::from(*took_ms));
    format!(
        r#"<li data-state="{state}"><span class="attempt-name">{lap}attempt {number}</span><span class="attempt-outcome">{outcome}</span><span class="quiet">{at} UTC · {took} · {worker}</span></li>"#
    )
}

fn escaped(text: &str) -> std::borrow::Cow<'_, str> {
    html_escape::encode_safe(text)
}
