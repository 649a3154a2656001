//! The brush: selects when the last attempts of the squares ended that stand out.

use leptos::prelude::*;
use viewer::{Look, format};

use super::axis::span_ms;
use crate::components::batch::percent;
use crate::components::shared::{When, flag, on, text};
use crate::live::{Batch, use_batch};

/// The number of steps of a handle along the axis.
const STEPS: u32 = 200;

/// Selects a range of the lap's time, in either order; everything if the range is the whole axis.
pub(super) fn select(batch: Batch, one: u32, other: u32) {
    let (from, to) = (one.min(other), one.max(other));
    let is_whole = from == 0 && to >= span_ms(batch);
    batch.view.update_look(|look| Look { during: (!is_whole).then_some((from, to)), ..look });
}

/// Shows all squares again.
pub(super) fn clear(batch: Batch) {
    batch.view.update_look(|look| Look { during: None, ..look });
}

/// The selected range; the whole axis if there is none.
fn range(batch: Batch) -> (u32, u32) {
    batch.view.look.get().during.unwrap_or((0, span_ms(batch)))
}

/// The selected range as custom properties, which all plots inherit.
pub(super) fn style(batch: Batch) -> String {
    let ((from, to), span) = (range(batch), span_ms(batch));
    format!("--from:{};--to:{}", percent(from.min(span), span), percent(to.min(span), span))
}

/// The two handles on the time axis. They are native sliders, for keyboards and screen readers.
#[component]
pub(super) fn Handles() -> impl IntoView {
    view! {
        <Handle label="Start of the selected time" is_end=false />
        <Handle label="End of the selected time" is_end=true />
    }
}

#[component]
fn Handle(label: &'static str, is_end: bool) -> impl IntoView {
    let batch = use_batch();
    let own = move |(from, to): (u32, u32)| if is_end { to } else { from };
    let step = move || u64::from(own(range(batch))) * u64::from(STEPS) / u64::from(span_ms(batch));
    view! {
        <input
            type="range"
            class="handle"
            min="0"
            max=STEPS.to_string()
            autocomplete="off"
            aria-label=label
            prop:value=text(move || step().to_string())
            aria-valuetext=text(move || format::duration(own(range(batch)).into()))
            on:input=on(move |event| {
                let step: u32 = event_target_value(&event).parse().unwrap_or_default();
                let (from, to) = untrack(|| range(batch));
                let ms = (u64::from(step) * u64::from(untrack(|| span_ms(batch))) / u64::from(STEPS)) as u32;
                // The handles do not pass each other.
                if is_end { select(batch, from, ms.max(from)) } else { select(batch, ms.min(to), to) }
            })
        />
    }
}

/// The selected range in words, and a button that ends the selection.
#[component]
pub(super) fn Selection() -> impl IntoView {
    let batch = use_batch();
    let is_on = flag(move || batch.view.look.get().during.is_some());
    let words = text(move || {
        let (from, to) = range(batch);
        format!(
            "Selected: squares that ended from {} to {}. ",
            format::duration(from.into()),
            format::duration(to.into())
        )
    });
    view! {
        <When condition=is_on>
            <p class="selection">
                {words}
                <button type="button" class="link" on:click=on(move |_| clear(batch))>"Show all"</button>
            </p>
        </When>
    }
}
