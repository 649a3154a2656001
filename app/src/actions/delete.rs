//! Deletes several batches.

use engine::ControlError;
use quilt::BatchId;

use super::list::parse_ids;
use crate::cookies::DELETION;
use crate::model::{ActionError, MAX_IDS};
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

    const fn letter(self) -> char {
        match self {
            Self::Running => 'r',
            Self::Foreign => 'f',
            Self::Unavailable => 'u',
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

/// What became of batches that were to be deleted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Deletion {
    /// How many were deleted.
    pub(crate) deleted: usize,
    /// Those that were not, and why.
    pub(crate) kept: Vec<(BatchId, Kept)>,
}

/// Deletes batches. The next page displays what became of them.
pub(crate) async fn delete(ids: &str) -> Result<(), ActionError> {
    let (engine, visitor) = (engine(), visitor()?);
    let Deletion { mut deleted, mut kept } = Deletion::default();
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
    DELETION.set(&Deletion { deleted, kept }.encode());
    Ok(())
}

impl Deletion {
    /// Takes the result of the last deletion, so that it is displayed once. It is in a cookie rather than in the address, because an address
    /// would claim it to whoever opens it, as often as it is opened.
    pub(crate) fn take() -> Option<Self> {
        let deletion = DELETION.get()?;
        DELETION.remove();
        Self::decode(&deletion)
    }

    /// At most 3.4 kB for [`MAX_IDS`] batches: browsers accept 4 kB.
    fn encode(&self) -> String {
        let kept = self.kept.iter().map(|(id, kept)| format!(".{id}{}", kept.letter()));
        kept.fold(self.deleted.to_string(), |text, kept| text + &kept)
    }

    fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let deleted = parts.next()?.parse().ok()?;
        let kept = parts.map(|part| {
            let letter = part.chars().next_back()?;
            let kept = Kept::ALL.into_iter().find(|known| known.letter() == letter)?;
            Some((part.strip_suffix(letter)?.parse().ok()?, kept))
        });
        Some(Self { deleted, kept: kept.take(MAX_IDS).collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_texts_that_fit_into_a_cookie() {
        let id = BatchId::from_bytes([7; 16]);
        for (kept, text) in [(vec![], "2".to_owned()), (vec![(id, Kept::Running)], format!("2.{id}r"))] {
            let deletion = Deletion { deleted: 2, kept };
            assert_eq!(deletion.encode(), text);
            assert_eq!(Deletion::decode(&text), Some(deletion));
        }
        let most = Deletion { deleted: MAX_IDS, kept: vec![(id, Kept::Unavailable); MAX_IDS] };
        assert!(most.encode().len() < 3_800);
        for text in ["", "x", "1.", "1.r", &format!("1.{id}"), &format!("1.{id}x"), "1.\u{e9}"] {
            assert_eq!(Deletion::decode(text), None, "{text}");
        }
    }
}
