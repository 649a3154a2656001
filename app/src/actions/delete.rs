//! Deletes several batches.

use engine::ControlError;
use quilt::BatchId;

use super::list::parse_ids;
use crate::model::ActionError;
use crate::server::{engine, visitor};

/// Why a batch was not deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It has not ended.
    Running,
    /// Another session launched it.
    Foreign,
    /// The journal cannot be written.
    Unavailable,
}

impl Kept {
    const ALL: [Self; 3] = [Self::Running, Self::Foreign, Self::Unavailable];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Foreign => "foreign",
            Self::Unavailable => "unavailable",
        }
    }

    /// The end of a sentence that begins with the name of the batch.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::Running => "was not deleted: it is still running. Cancel it first.",
            Self::Foreign => "was not deleted: only the session that launched it can delete it.",
            Self::Unavailable => "was not deleted: the server cannot write at the moment. Try again later.",
        }
    }
}

/// Deletes batches, and returns the path of the page that displays the result.
pub(crate) async fn delete(ids: &str) -> Result<String, ActionError> {
    let (engine, visitor) = (engine(), visitor()?);
    let (mut deleted, mut kept) = (0_u32, Vec::new());
    for id in parse_ids(ids) {
        match engine.remove(id, visitor).await {
            Ok(()) => deleted += 1,
            // It was deleted in the meantime.
            Err(ControlError::NotFound) => {}
            Err(ControlError::NotOver) => kept.push((id, Kept::Running)),
            Err(ControlError::NotOwner) => kept.push((id, Kept::Foreign)),
            Err(error) => {
                tracing::error!(%error, batch = %id, "cannot delete");
                kept.push((id, Kept::Unavailable));
            }
        }
    }
    Ok(path(deleted, &kept))
}

fn path(deleted: u32, kept: &[(BatchId, Kept)]) -> String {
    let kept: String = kept.iter().map(|(id, kept)| format!("&kept={id}.{}", kept.as_str())).collect();
    format!("/?deleted={deleted}{kept}")
}

/// Parses a value of `kept` in the path of the result.
pub(crate) fn parse_kept(text: &str) -> Option<(BatchId, Kept)> {
    let (id, kept) = text.split_once('.')?;
    let kept = Kept::ALL.into_iter().find(|known| known.as_str() == kept)?;
    Some((id.parse().ok()?, kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_result_can_be_parsed() {
        let id = BatchId::from_bytes([7; 16]);
        assert_eq!(path(2, &[]), "/?deleted=2");
        assert_eq!(path(0, &[(id, Kept::Running)]), format!("/?deleted=0&kept={id}.running"));
        assert_eq!(parse_kept(&format!("{id}.running")), Some((id, Kept::Running)));
        for text in ["", "x.running", &id.to_string(), &format!("{id}.whatever")] {
            assert_eq!(parse_kept(text), None, "{text}");
        }
    }
}
