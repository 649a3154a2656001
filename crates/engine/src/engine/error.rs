//! Errors of operations on batches.

use quilt::SpecError;
use thiserror::Error;

use crate::journal::JournalError;
use crate::work::InvalidWork;

/// A limit of batches that run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TooManyRunning {
    /// The owner has as many running batches as are allowed.
    #[error("{limit} of your batches are running, and that is the limit; wait for one to finish or cancel one")]
    OfOwner {
        /// The limit.
        limit: u32,
    },
    /// All owners together have as many squares in running batches as are allowed.
    #[error(
        "the running batches of all visitors would have more than {limit} squares, and that is the limit; please try again when some have finished"
    )]
    Squares {
        /// The limit.
        limit: u64,
    },
}

/// Why a batch was not launched.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// The work is unknown or does not take these parameters.
    #[error(transparent)]
    InvalidWork(#[from] InvalidWork),
    /// The request is incomplete or exceeds a limit.
    #[error(transparent)]
    InvalidSpec(#[from] SpecError),
    /// The encoded specification exceeds the size that can be read back.
    #[error(
        "the description of the batch has {bytes} bytes, most of them in `work`; at most {max} are allowed. Send long lists as a file"
    )]
    SpecTooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The maximum in bytes.
        max: usize,
    },
    /// Too many batches or squares are running.
    #[error(transparent)]
    TooManyRunning(#[from] TooManyRunning),
    /// Another batch was launched under this id.
    #[error("this was used to launch another batch before")]
    Conflict,
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why an operation on a batch failed.
#[derive(Debug, Error)]
pub enum ControlError {
    /// There is no such batch.
    #[error("there is no batch of this id")]
    NotFound,
    /// Another session launched it.
    #[error("only the session that launched a batch may control it")]
    NotOwner,
    /// The batch has no such square.
    #[error("this batch has no such square")]
    NoSuchSquare,
    /// The request names more than one set of squares.
    #[error("reason, squares and not_run exclude each other; name one of them")]
    SeveralSets,
    /// The limits of the lap are not allowed.
    #[error(transparent)]
    InvalidLimits(#[from] SpecError),
    /// Only a finished batch can be removed.
    #[error("the batch is not over yet; cancel it before you remove it")]
    NotOver,
    /// The maximum number of controls is reached.
    #[error("this batch has been paused or changed {limit} times, and that is the limit")]
    TooManyControls {
        /// The limit.
        limit: u32,
    },
    /// The maximum number of laps is reached.
    #[error("this batch has run {limit} laps, and that is the limit")]
    TooManyLaps {
        /// The limit.
        limit: usize,
    },
    /// Too many batches or squares are running.
    #[error(transparent)]
    TooManyRunning(#[from] TooManyRunning),
    /// The journal failed.
    #[error(transparent)]
    Journal(JournalError),
}

impl From<JournalError> for ControlError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Removed => Self::NotFound,
            error => Self::Journal(error),
        }
    }
}
