//! The outcome of a task, as it is stored.

use bytes::Bytes;
use quilt::{Outcome, short_reason};

use crate::work::{Done, MAX_DETAIL, MAX_MESSAGE, StoredDetail, TaskError, shortened};

/// An outcome and its encoded detail.
pub(super) struct Settled {
    pub(super) outcome: Outcome,
    pub(super) detail: Option<Bytes>,
}

impl Settled {
    /// A task with a detail that is too large has failed.
    pub(super) fn of(done: Done) -> Result<Self, TaskError> {
        let detail = done.detail.map(|detail| StoredDetail::Plain(detail).encode());
        match detail.as_ref().map(Bytes::len).filter(|bytes| *bytes > MAX_DETAIL) {
            Some(bytes) => Err(too_large(bytes)),
            None => Ok(Self { outcome: Outcome::Done(done.color), detail }),
        }
    }

    pub(super) fn failed(error: TaskError, lap: u32) -> Self {
        let TaskError { reason, message, detail, .. } = error;
        let has_more_to_say = message != reason;
        let failure = StoredDetail::Failure {
            message: has_more_to_say.then(|| shortened(&message, MAX_MESSAGE)),
            detail: detail.map(|detail| *detail),
        };
        let encoded = failure.encode();
        if encoded.len() > MAX_DETAIL + MAX_MESSAGE {
            return Self::failed(too_large(encoded.len()), lap);
        }
        // In a later lap it replaces the detail of an earlier lap, even if it is empty.
        let is_stored = lap > 1 || has_more_to_say || matches!(failure, StoredDetail::Failure { detail: Some(_), .. });
        Self { outcome: Outcome::Failed(short_reason(&reason).into()), detail: is_stored.then_some(encoded) }
    }
}

fn too_large(bytes: usize) -> TaskError {
    let message = format!("its detail has {bytes} bytes; at most {MAX_DETAIL} are kept");
    TaskError::permanent("its detail is too large").with_message(message)
}
