//! Says whether the page is up to date.

use leptos::prelude::*;

use crate::channel::{Channel, Connection};

/// A word and a dot; the word changes with the connection and is announced.
#[component]
pub(crate) fn ConnectionBadge(
    /// The channel of the batch on the page.
    channel: Channel,
) -> impl IntoView {
    let words = move || match channel.connection.get() {
        Connection::Connecting => "Connecting…",
        Connection::Live => "Live",
        Connection::Reconnecting => "Connection lost, reconnecting…",
        Connection::Removed => "Removed",
        Connection::Restarting => "Server is restarting, back in a moment…",
    };
    view! {
        <p class="connection" role="status" aria-label="Connection" data-state=move || channel.connection.get().as_str()>
            <span class="dot" aria-hidden="true"></span>
            {words}
        </p>
    }
}
