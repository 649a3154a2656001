//! The state of a viewer's connection.

/// The state of the connection to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// The first connection is being established.
    Connecting,
    /// Events arrive as they happen.
    Live,
    /// The connection was lost and is being established again.
    Reconnecting,
    /// The server announced that it restarts.
    Restarting,
    /// The batch was deleted. The viewer does not reconnect.
    Removed,
}

impl Connection {
    /// Returns the word in `data-connection`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Reconnecting => "reconnecting",
            Self::Restarting => "restarting",
            Self::Removed => "removed",
        }
    }

    /// Returns the text on the page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connecting => "Connecting…",
            Self::Live => "Live",
            Self::Reconnecting => "Connection lost, reconnecting…",
            Self::Restarting => "Server is restarting, back in a moment…",
            Self::Removed => "Removed",
        }
    }

    /// Whether the connection was lost, so that everything displayed is as old as the last message. A page that has not been connected yet
    /// shows what was rendered with it, and a deleted batch does not change any more: neither waits for anything newer.
    #[must_use]
    pub const fn is_stale(self) -> bool {
        matches!(self, Self::Reconnecting | Self::Restarting)
    }

    /// The state after the connection closed with a WebSocket close code.
    #[must_use]
    pub const fn closed(self, code: u16) -> Self {
        match (code, self) {
            (BATCH_REMOVED, _) | (_, Self::Removed) => Self::Removed,
            (SERVICE_RESTART, _) | (_, Self::Restarting) => Self::Restarting,
            _ => Self::Reconnecting,
        }
    }
}

/// The close code of a server that restarts (RFC 6455 registry).
const SERVICE_RESTART: u16 = 1012;

/// The close code for a deleted batch, in the range that is free for applications.
const BATCH_REMOVED: u16 = 4404;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_tell_restarts_and_removals_from_lost_connections() {
        assert_eq!(Connection::Live.closed(1006), Connection::Reconnecting);
        assert_eq!(Connection::Live.closed(1012), Connection::Restarting);
        assert_eq!(Connection::Restarting.closed(1006), Connection::Restarting);
        assert_eq!(Connection::Restarting.closed(4404), Connection::Removed);
        assert_eq!(Connection::Removed.closed(1012), Connection::Removed);
    }

    #[test]
    fn only_a_lost_connection_makes_a_page_stale() {
        for closed in
            [Connection::Connecting.closed(1006), Connection::Live.closed(1006), Connection::Live.closed(1012)]
        {
            assert!(closed.is_stale(), "{closed:?}");
            assert!(closed.closed(1006).is_stale(), "{closed:?} stays stale while it cannot connect");
        }
        for current in [Connection::Connecting, Connection::Live, Connection::Live.closed(4404)] {
            assert!(!current.is_stale(), "{current:?}");
        }
    }
}
