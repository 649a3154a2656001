//! Why a request was refused.

use api::Number;
use thiserror::Error;

use crate::spec::MAX_LABELS;

/// A request that cannot become a batch. Each message names the limit and the value.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SpecError {
    /// A number lies outside its limits.
    #[error("{field} must be a whole number from {min} to {max}, not {value}")]
    OutOfRange {
        /// The member of the request.
        field: &'static str,
        /// What was asked for.
        value: Number,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// A number that is a share of something is none.
    #[error("{field} must be a number from 0 to 1, not {value}")]
    NotAShare {
        /// The member of the request.
        field: &'static str,
        /// What was asked for.
        value: Number,
    },
    /// Two members say the same thing in two ways.
    #[error("{0} and {1} exclude each other; leave one of them out")]
    Both(&'static str, &'static str),
    /// A member is none of its words.
    #[error("{field} must be {allowed}, not {value:?}")]
    UnknownWord {
        /// The member of the request.
        field: &'static str,
        /// What was asked for.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A text is too long.
    #[error("{field} must have at most {max} bytes, not {bytes}")]
    TooLong {
        /// The member of the request.
        field: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// A text holds what cannot be displayed in a line.
    #[error("{field} must not be empty, nor hold line breaks or other control characters")]
    NotALine {
        /// The member of the request.
        field: &'static str,
    },
    /// A text is no point in time.
    #[error("{field} must be a point in time as in RFC 3339, such as 2026-09-21T14:13:20Z, not {value:?}")]
    NotATime {
        /// The member of the request.
        field: &'static str,
        /// What was asked for.
        value: String,
    },
    /// A batch would start too far ahead.
    #[error("not_before is {value}, which is more than one year ahead; choose a time until {latest}")]
    TooLate {
        /// What was asked for.
        value: String,
        /// The last moment that is allowed.
        latest: String,
    },
    /// There are too many labels.
    #[error("at most {MAX_LABELS} labels are allowed, not {0}")]
    TooManyLabels(usize),
    /// The tasks have a number already, and the rows or the columns another one.
    #[error(
        "{rows} rows of {columns} columns do not hold {tasks} tasks with none left over for a whole row; leave rows or columns out"
    )]
    OtherShape {
        /// The rows that were asked for, or follow from the columns.
        rows: u64,
        /// The columns that were asked for, or follow from the rows.
        columns: u64,
        /// How many tasks there are.
        tasks: u32,
    },
    /// Nobody says how many tasks there are.
    #[error("{field} is missing: work of this kind does not say how many tasks there are")]
    Missing {
        /// The member of the request.
        field: &'static str,
    },
    /// Rows and columns are allowed one by one, but their product is not.
    #[error("{rows} rows of {columns} columns are {squares} squares; at most {max} are allowed")]
    TooManySquares {
        /// The rows that were asked for.
        rows: u16,
        /// The columns that were asked for.
        columns: u16,
        /// Their product.
        squares: u32,
        /// The most that is allowed.
        max: u32,
    },
}
