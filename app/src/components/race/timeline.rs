//! The squares done and the attempts of all workers on one time axis.

use leptos::prelude::*;
use viewer::{chart, format};
use web_sys::PointerEvent;

use super::axis::{Ticks, place_in_plot, span_ms, view_box, with_race};
use super::brush::{self, Handles, Selection};
use super::rows::Rows;
use crate::components::batch::percent;
use crate::components::shared::{keys, on, text};
use crate::live::{Batch, use_batch};

/// Displayed while the pointer is at no moment.
const HINT: &str = "Point at a moment for its values. Drag along the time to show only the squares that ended then.";

/// No drag is in progress.
const NO_ANCHOR: u32 = u32::MAX;

/// A press that moves less than this many thousandths of the axis is no drag.
const DRAG_THRESHOLD: u32 = 5;

/// The curve, the time axis with its brush, and a row for each node.
#[component]
pub(super) fn Timeline() -> impl IntoView {
    let batch = use_batch();
    let total = move || with_race(batch, |race| chart::curve(race, 1).1);
    let caption =
        text(move || format!("{} done in {}", format::squares(total()), format::duration(span_ms(batch).into())));
    let path = text(move || with_race(batch, |race| chart::curve(race, span_ms(batch)).0));
    let area = text(move || format!("{}V{}H0Z", path.get(), chart::HEIGHT));
    let ticks = keys(move || {
        let span = span_ms(batch);
        let tick = |ms: u64| format!("{} {}", ms * 1_000 / u64::from(span), chart::tick_label(ms));
        chart::ticks(span.into()).into_iter().map(tick).collect()
    });
    // What the pointer is at: a place in thousandths of the axis, and the values there.
    let (place, values) = (RwSignal::new(0_u32), RwSignal::new(String::new()));
    let anchor = RwSignal::new(NO_ANCHOR);
    let act = move || on(move |event| act(batch, place, values, anchor, &event));
    view! {
        <section
            class="timeline"
            aria-label="Workers"
            role="region"
            style=text(move || format!("{};--at:{}", brush::style(batch), percent(place.get(), 1_000)))
            data-pointed=text(move || (!values.with(String::is_empty)).to_string())
            on:pointerdown=act()
            on:pointermove=act()
            on:pointerup=act()
            on:pointercancel=act()
            on:pointerleave=act()
        >
            <div class="lane">
                <span class="scale-y" aria-hidden="true">
                    <span>{text(move || format::count(total()))}</span>
                    <span>"squares done"</span>
                    <span>"0"</span>
                </span>
                <div class="plot curve" data-plot="">
                    <svg viewBox=view_box(batch) preserveAspectRatio="none" role="img" aria-label=caption>
                        <path class="area" d=area />
                        <path class="line" d=path />
                    </svg>
                </div>
                <div class="chart-words">
                    <p>{caption}</p>
                    <p class="quiet" aria-hidden="true">
                        {text(move || values.with(|values| if values.is_empty() { HINT.into() } else { values.clone() }))}
                    </p>
                    <Selection />
                </div>
            </div>
            <div class="lane">
                <span class="scale-x">"Time in the lap"</span>
                <div class="plot axis" data-plot="">
                    <Ticks ticks />
                    <Handles />
                </div>
            </div>
            <Rows />
        </section>
    }
}

/// Shows the values under the pointer, and selects the time that it drags over. A press without a drag ends the selection.
fn act(batch: Batch, place: RwSignal<u32>, values: RwSignal<String>, anchor: RwSignal<u32>, event: &PointerEvent) {
    let (kind, found) = (event.type_(), place_in_plot(event));
    let started_at = anchor.get_untracked();
    let span = untrack(|| span_ms(batch));
    let to_ms = |place: u32| (u64::from(place) * u64::from(span) / 1_000) as u32;
    let Some((plot, at)) = found.filter(|_| kind != "pointerleave") else {
        return values.set(String::new());
    };
    place.set(at);
    values.set(values_at(batch, plot.get_attribute("data-row").as_deref(), to_ms(at)));
    let is_drag = started_at != NO_ANCHOR && at.abs_diff(started_at) > DRAG_THRESHOLD;
    match kind.as_str() {
        "pointerdown" if event.button() == 0 => {
            anchor.set(at);
            // The pointer may leave the plot. This fails only if the pointer is already gone.
            let _ = plot.set_pointer_capture(event.pointer_id());
        }
        "pointermove" if event.buttons() == 0 => anchor.set(NO_ANCHOR),
        "pointermove" if is_drag => brush::select(batch, to_ms(started_at), to_ms(at)),
        "pointerup" | "pointercancel" => {
            anchor.set(NO_ANCHOR);
            if started_at != NO_ANCHOR && !is_drag {
                brush::clear(batch);
            }
        }
        _ => {}
    }
}

/// The values of a row, or of the curve, at a time of the lap.
fn values_at(batch: Batch, row: Option<&str>, ms: u32) -> String {
    let values = |viewer: &viewer::Viewer| {
        let race = viewer.race();
        let Some(name) = row else {
            return format!("At {}: {} done", format::duration(ms.into()), format::squares(chart::done_at(race, ms)));
        };
        let (from, to) = chart::bin_around(race, ms);
        let (attempts, failed) = chart::Row::of(race, name).at(race, ms);
        let [from, to] = [from, to].map(|ms| format::duration(ms.into()));
        let (name, attempts) = (name.trim_end_matches('-'), chart::attempts(attempts));
        format!("{name}, {from} to {to}: {attempts}, {} failed", format::count(failed))
    };
    batch.channel.quilt.with_untracked(values).unwrap_or_default()
}
