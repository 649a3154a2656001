//! The state of the batch and of the connection.

use leptos::prelude::*;
use viewer::Condition;

use crate::components::shared::{When, flag, memo_text, text};
use crate::live::use_batch;

/// How the batch is doing, in a word.
#[component]
pub(crate) fn BatchState() -> impl IntoView {
    let summary = use_batch().channel.signals.summary;
    let lap = memo_text(move || match summary.get().lap {
        1 => String::new(),
        lap => format!("lap {lap}"),
    });
    view! {
        <span class="condition" data-condition=memo_text(move || Condition::of(&summary.get()).as_str().into())>
            {memo_text(move || Condition::of(&summary.get()).label().into())}
        </span>
        <When condition=flag(move || !lap.get().is_empty())>
            <span class="quiet">{lap}</span>
        </When>
    }
}

/// The state of the connection, unless everything is displayed as it is. Screen readers announce changes.
#[component]
pub(crate) fn ConnectionState() -> impl IntoView {
    let batch = use_batch();
    let channel = batch.channel;
    let words = text(move || match batch.stale_since() {
        Some(since) => format!("{} Numbers as of {since}.", channel.connection.get().label()),
        // Nothing is live on a batch that is over.
        None if channel.connection.get() == viewer::Connection::Live && !channel.is_running() => String::new(),
        None => channel.connection.get().label().into(),
    });
    view! {
        <div class="connection-place" role="status" aria-label="Connection">
            <span class="connection" data-state=text(move || channel.connection.get().as_str().into())>
                <span class="dot" aria-hidden="true" class:reserved=flag(move || words.get().is_empty())></span>
                {words}
            </span>
        </div>
    }
}
