//! The heading, and the state of the connection.

use leptos::prelude::*;
use viewer::words;

use crate::components::shared::text;
use crate::live::use_batch;

/// The shape of the quilt, and what its tasks are.
#[component]
pub(crate) fn Heading() -> impl IntoView {
    let summary = use_batch().channel.told.summary;
    view! {
        <div>
            <h1>{text(move || words::name(&summary.get()))}</h1>
            <p class="quiet">{text(move || words::subtitle(&summary.get()))}</p>
        </div>
    }
}

/// A dot and a word, which is announced when it changes.
#[component]
pub(crate) fn ConnectionState() -> impl IntoView {
    let connection = use_batch().channel.connection;
    view! {
        <div class="connection-place" role="status" aria-label="Connection">
            <span class="connection" data-state=text(move || connection.get().as_str().into())>
                <span class="dot" aria-hidden="true"></span>
                {text(move || connection.get().label().into())}
            </span>
        </div>
    }
}
