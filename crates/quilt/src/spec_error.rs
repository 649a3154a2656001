//! Why a request was refused.

use api::Number;
use thiserror::Error;

use crate::spec::MAX_LABELS;

/// A request that cannot become a batch. Each message contains the limit and the value.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SpecError {
    /// A number is out of range.
    #[error("{field} must be a whole number from {min} to {max}, not {value}")]
    OutOfRange {
        /// The member of the request.
        field: &'static str,
        /// The requested value.
        value: Number,
        /// The minimum.
        min: u64,
        /// The maximum.
        max: u64,
    },
    /// A number is not a share from 0 to 1.
    #[error("{field} must be a number from 0 to 1, not {value}")]
    NotAShare {
        /// The member of the request.
        field: &'static str,
        /// The requested value.
        value: Number,
    },
    /// Two members exclude each other.
    #[error("{0} and {1} exclude each other; leave one of them out")]
    Both(&'static str, &'static str),
    /// A member is not one of the allowed words.
    #[error("{field} must be {allowed}, not {value:?}")]
    UnknownWord {
        /// The member of the request.
        field: &'static str,
        /// The requested value.
        value: String,
        /// The allowed words.
        allowed: &'static str,
    },
    /// A text is too long.
    #[error("{field} must have at most {max} bytes, not {bytes}")]
    TooLong {
        /// The member of the request.
        field: &'static str,
        /// The length in bytes.
        bytes: usize,
        /// The maximum length in bytes.
        max: usize,
    },
    /// A text has too many characters.
    #[error("{field} must have at most {max} characters, not {characters}")]
    TooManyCharacters {
        /// The member of the request.
        field: &'static str,
        /// The number of characters: Unicode scalar values.
        characters: usize,
        /// The maximum number of characters.
        max: usize,
    },
    /// A text is empty or contains control characters.
    #[error("{field} must not be empty, nor hold line breaks or other control characters")]
    NotALine {
        /// The member of the request.
        field: &'static str,
    },
    /// A text is not a time.
    #[error("{field} must be a point in time as in RFC 3339, such as 2026-09-21T14:13:20Z, not {value:?}")]
    NotATime {
        /// The member of the request.
        field: &'static str,
        /// The requested value.
        value: String,
    },
    /// The start of a batch is too far ahead.
    #[error("not_before is {value}, which is more than one year ahead; choose a time until {latest}")]
    TooLate {
        /// The requested value.
        value: String,
        /// The latest allowed time.
        latest: String,
    },
    /// There are too many labels.
    #[error("at most {MAX_LABELS} labels are allowed, not {0}")]
    TooManyLabels(usize),
    /// The number of tasks does not fit into the rows and columns.
    #[error(
        "{rows} rows of {columns} columns do not hold {tasks} tasks with none left over for a whole row; leave rows or columns out"
    )]
    OtherShape {
        /// The requested rows, or those derived from the columns.
        rows: u64,
        /// The requested columns, or those derived from the rows.
        columns: u64,
        /// The number of tasks.
        tasks: u32,
    },
    /// The number of tasks is unknown: neither the work nor this member determines it.
    #[error("{field} is missing: work of this kind does not say how many tasks there are")]
    Missing {
        /// The member of the request.
        field: &'static str,
    },
    /// The product of rows and columns is too large.
    #[error("{rows} rows of {columns} columns are {squares} squares; at most {max} are allowed")]
    TooManySquares {
        /// The requested rows.
        rows: u16,
        /// The requested columns.
        columns: u16,
        /// Their product.
        squares: u32,
        /// The maximum number of squares.
        max: u32,
    },
}
