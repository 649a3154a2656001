//! What the server hands to pages.

use quilt::wire::decode_summary;
use quilt::{BatchId, Summary, Timestamp};
use thiserror::Error;

/// A batch as a page first sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchView {
    /// The batch.
    pub id: BatchId,
    /// Whether this visitor launched it, and so may control it.
    pub is_own: bool,
    /// How it stands.
    pub summary: Summary,
    /// The server's clock.
    pub now: Timestamp,
}

impl BatchView {
    /// As a text, in which a page carries it: what it takes to read that is there already, for the channel.
    #[cfg(any(feature = "ssr", test))]
    pub(crate) fn encode(&self) -> String {
        let Self { id, is_own, summary, now } = self;
        let digits: String = quilt::wire::encode_summary(summary).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{id} {} {} {digits}", u8::from(*is_own), now.0)
    }

    /// The view that [`BatchView::encode`] wrote; `None` for any other text.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let (id, is_own, now) = (parts.next()?.parse().ok()?, parts.next()? == "1", parts.next()?.parse().ok()?);
        let digits = parts.next()?;
        let byte = |place| u8::from_str_radix(digits.get(place..place + 2)?, 16).ok();
        let summary: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        Some(Self { id, is_own, now: Timestamp(now), summary: decode_summary(&summary?).ok()? })
    }
}

/// Why what a visitor asked for was not done, in a sentence for the visitor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[cfg_attr(feature = "ssr", derive(serde::Serialize, serde::Deserialize))]
pub enum ActionError {
    /// There is no such batch.
    #[error("There is no batch here. It may have been removed, or the link is not complete.")]
    NotFound,
    /// The request was refused for this reason.
    #[error("{0}")]
    Refused(String),
    /// The server did not answer, or not in a way that this page understands.
    #[error("The server could not be asked: {0}")]
    Transport(String),
}

#[cfg(test)]
mod tests {
    use quilt::{BatchSpec, Grid, Launched, WorkSpec};

    use super::*;

    #[test]
    fn a_view_comes_through_its_page() {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let spec = BatchSpec::new(work, Grid::new(8, 8).expect("small"), 1);
        let summary = Summary::of_launch(Launched { spec, at: Timestamp(1_000) });
        let view = BatchView { id: BatchId::from_bytes([7; 16]), is_own: true, summary, now: Timestamp(2_000) };
        assert_eq!(BatchView::decode(&view.encode()), Some(view));
        for text in ["", "x", "07070707070707070707070707070707 1 2 zz", "07070707070707070707070707070707 1 2 012"] {
            assert_eq!(BatchView::decode(text), None, "{text}");
        }
    }
}
