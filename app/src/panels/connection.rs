//! Says whether the page is up to date.

use crate::page::Connection;

/// A dot and a word, which is announced when it changes.
pub(crate) fn html(connection: Connection) -> String {
    let words = match connection {
        Connection::Connecting => "Connecting…",
        Connection::Live => "Live",
        Connection::Reconnecting => "Connection lost, reconnecting…",
        Connection::Removed => "Removed",
        Connection::Restarting => "Server is restarting, back in a moment…",
    };
    let state = connection.as_str();
    format!(
        r#"<span class="connection" data-state="{state}"><span class="dot" aria-hidden="true"></span>{words}</span>"#
    )
}
