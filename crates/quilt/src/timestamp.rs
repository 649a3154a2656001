//! Times.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970-01-01T00:00:00Z, by the clock of the node that recorded it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time this many milliseconds later.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds since an earlier time; 0 if it is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Timestamp {
    /// Formats the time as RFC 3339, in UTC with milliseconds. `None` after the year 9999.
    #[must_use]
    pub fn to_rfc3339(self) -> Option<String> {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).ok()?;
        at.format(&Rfc3339).ok()
    }

    /// Parses RFC 3339 with any UTC offset. Rounds down to milliseconds. `None` for other texts and times before 1970.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let millis = at.unix_timestamp_nanos().div_euclid(1_000_000);
        millis.try_into().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_is_written_in_utc_and_read_with_any_offset() {
        let at = Timestamp(1_790_000_000_123);
        assert_eq!(at.to_rfc3339().as_deref(), Some("2026-09-21T14:13:20.123Z"));
        for text in ["2026-09-21T14:13:20.123Z", "2026-09-21T16:13:20.123999+02:00"] {
            assert_eq!(Timestamp::from_rfc3339(text), Some(at), "{text}");
        }
        for text in ["", "2026-09-21", "2026-09-21T14:13:20", "1969-12-31T23:59:59Z", "10m"] {
            assert_eq!(Timestamp::from_rfc3339(text), None, "{text}");
        }
        assert_eq!(Timestamp(u64::MAX).to_rfc3339(), None);
    }
}
