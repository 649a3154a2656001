//! What SQLite's errors mean.

use rusqlite::ErrorCode;

use crate::journal::JournalError;

/// What an error means for whoever asked.
pub(super) fn trouble(error: &rusqlite::Error) -> JournalError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => JournalError::Corrupt(error.to_string()),
        Some(ErrorCode::DiskFull) => JournalError::Unavailable("the disk is full".into()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            JournalError::Unavailable("another program has locked the file".into())
        }
        _ => JournalError::Unavailable(error.to_string()),
    }
}

/// Whether an error is no matter of what was to be written.
pub(super) fn concerns_all(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | DiskFull | SystemIoFailure))
}
