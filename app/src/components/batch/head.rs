//! The heading, and the state of the connection.

use leptos::prelude::*;
use viewer::words;

use crate::components::shared::text;
use crate::live::use_batch;

/// The name of the batch, and a line about its shape and tasks.
#[component]
pub(crate) fn Heading() -> impl IntoView {
    let summary = use_batch().channel.signals.summary;
    view! {
        <div>
            <h1>{text(move || words::name(&summary.get()))}</h1>
            <p class="quiet">{text(move || words::subtitle(&summary.get()))}</p>
        </div>
    }
}

/// The state of the connection. Screen readers announce changes.
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
