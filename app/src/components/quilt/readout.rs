//! The description of the square under the pointer, and notices.

use leptos::prelude::*;

use crate::components::shared::{Each, each, keys, text};
use crate::live::use_batch;

/// Displayed while there is no square to describe.
const HINT: &str = "Hover or use the arrow keys. Click for details. ? for shortcuts.";

/// Describes the square under the pointer or the focused square. It is hidden from screen readers, which announce the square's label.
#[component]
pub(crate) fn Readout() -> impl IntoView {
    let batch = use_batch();
    let view = batch.view;
    let words = text(move || {
        let label = |square| {
            batch.channel.quilt.with(|viewer| {
                let scene = viewer.scene(view.look.get())?;
                Some(scene.label(scene.grid().index(square)?))
            })?
        };
        view.pointed_at.get().and_then(label).unwrap_or_else(|| HINT.into())
    });
    view! { <div class="readout" aria-hidden="true">{words}</div> }
}

/// The latest notice. Each notice is a new element, so that a repeated text is announced again.
#[component]
pub(crate) fn NoticeLine() -> impl IntoView {
    let notice = use_batch().view.notice;
    let numbers = keys(move || {
        let notice = notice.get();
        if notice.words.is_empty() { Vec::new() } else { vec![notice.number.to_string()] }
    });
    view! {
        <div class="notice" role="status" aria-label="Notice">
            <Each
                keys=numbers
                view=each(move |_number| view! { <span>{notice.get_untracked().words}</span> })
            />
        </div>
    }
}
