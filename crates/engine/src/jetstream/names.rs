//! The names of streams, buckets and subjects. All have a common prefix, so that several clusters can share an account.

use std::sync::Arc;

/// The default prefix.
pub(super) const DEFAULT_PREFIX: &str = "quilt";

/// Maximum length of a prefix in bytes.
const MAX_PREFIX: usize = 32;

/// Builds names. Cheap to clone.
#[derive(Clone)]
pub(super) struct Names {
    prefix: Arc<str>,
}

impl Default for Names {
    fn default() -> Self {
        Self { prefix: DEFAULT_PREFIX.into() }
    }
}

impl Names {
    /// Returns `None` if the prefix cannot be part of a stream's name and of a subject.
    pub(super) fn new(prefix: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_valid = (1..=MAX_PREFIX).contains(&prefix.len()) && prefix.bytes().all(is_allowed);
        is_valid.then(|| Self { prefix: prefix.into() })
    }

    /// The name of a stream or bucket: `quilt-journal`.
    pub(super) fn stream(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// A subject: `quilt.journal`.
    pub(super) fn subject(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// The subject of a batch's events.
    pub(super) fn journal(&self, batch: &str) -> String {
        self.subject(&format!("journal.{batch}"))
    }

    /// The subject of the detail of a square, by batch and index.
    pub(super) fn detail(&self, batch: &str, index: &str) -> String {
        self.subject(&format!("details.{batch}.{index}"))
    }

    /// The subject of a part of a body that is too large for a message, by batch, body and number of the part.
    pub(super) fn body(&self, batch: &str, id: &str, part: &str) -> String {
        self.subject(&format!("bodies.{batch}.{id}.{part}"))
    }

    /// The subject on which nodes publish their statuses. No stream stores it.
    pub(super) fn nodes(&self) -> String {
        self.subject("v2.nodes")
    }

    /// The subject of requests to a node. No stream stores it.
    pub(super) fn node(&self, id: &str) -> String {
        self.subject(&format!("v2.node.{id}"))
    }

    /// Whether a text names a stream, bucket or subject of the journal, an API that every node calls, or an inbox for answers.
    pub(super) fn are_of_the_journal(&self, text: &str) -> bool {
        let parts = ["journal", "details", "bodies"];
        let buckets = ["batches", "receipts", "unfinished", "settings"];
        let general = ["_INBOX.", "$JS.API.INFO", "$JS.API.STREAM.NAMES"];
        general.iter().any(|subject| text.contains(subject))
            || parts.iter().any(|part| text.contains(&self.subject(part)))
            || parts.iter().chain(&buckets).any(|name| text.contains(&self.stream(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_part_of_every_name() {
        let names = Names::new("team_a-1").expect("a prefix");
        assert_eq!(names.stream("journal"), "team_a-1-journal");
        assert_eq!(names.journal("*"), "team_a-1.journal.*");
        assert_eq!(names.body("b", "id", "0"), "team_a-1.bodies.b.id.0");
        for invalid in ["", "a.b", "a b", "a*", "a>", "ä", &"a".repeat(MAX_PREFIX + 1)] {
            assert!(Names::new(invalid).is_none(), "{invalid:?}");
        }
    }
}
