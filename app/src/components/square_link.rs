//! A button that leads to a square.

use leptos::prelude::*;
use quilt::Square;

use crate::components::shared::{When, flag, on, text};
use crate::live::use_batch;

/// A square's name, which leads to it.
#[component]
pub(crate) fn SquareLink(square: Square) -> impl IntoView {
    view! { <SquareButton square=Signal::stored(Some(square)) /> }
}

/// A button that leads to a square. It keeps the keyboard focus when the square changes, and is not there without one.
#[component]
pub(crate) fn SquareButton(square: Signal<Option<Square>>) -> impl IntoView {
    let batch = use_batch();
    let name = text(move || {
        square.get().map_or(String::new(), |Square { row, column }| format!("row {row}, column {column}"))
    });
    let show = move || {
        if let Some(square) = square.get_untracked() {
            batch.show(square);
        }
    };
    view! {
        <When condition=flag(move || square.get().is_some())>
            <button type="button" class="link" on:click=on(move |_| show())>{name}</button>
        </When>
    }
}
