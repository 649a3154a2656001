//! Buttons that move the keyboard focus to a square.

use leptos::prelude::*;
use quilt::Square;

use crate::components::shared::{When, flag, on, text};
use crate::live::use_batch;

/// A button with the name of a fixed square.
#[component]
pub(crate) fn SquareLink(square: Square) -> impl IntoView {
    view! { <SquareButton square=Signal::stored(Some(square)) /> }
}

/// A button with the name of a square. It keeps the keyboard focus when the square changes, and is absent if there is none.
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
