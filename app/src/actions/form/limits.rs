//! The fields that the forms of all kinds of work have: limits of the batch.

use quilt::Limits;
use quilt::spec::MAX_CONCURRENCY;

use super::number::{NumberRule, plain};

/// A number field for a limit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LimitField {
    /// The name in the form.
    pub(crate) name: &'static str,
    /// The member of the launch request.
    pub(crate) member: &'static str,
    pub(crate) label: &'static str,
    pub(crate) unit: &'static str,
    /// The initial value; may be empty.
    pub(crate) value: String,
    /// What an empty field means.
    pub(crate) empty: String,
    pub(crate) rule: NumberRule,
}

pub(crate) const ATTEMPTS: &str = "attempts";
pub(crate) const TIMEOUT: &str = "timeout_s";
pub(crate) const CONCURRENCY: &str = "concurrency";
pub(crate) const TOLERATED: &str = "tolerated_percent";
pub(crate) const DEADLINE: &str = "deadline_s";

/// A time in seconds, as in a number field.
pub(crate) fn seconds(millis: u32) -> String {
    plain(f64::from(millis) / 1_000.0)
}

/// The fields, in order.
pub(crate) fn limit_fields(limits: &Limits) -> Vec<LimitField> {
    let attempts = quilt::spec::DEFAULT_ATTEMPTS.min(limits.attempts).to_string();
    let timeout = seconds(quilt::spec::DEFAULT_TIMEOUT_MS.min(limits.timeout_ms));
    let most = |millis: u32| f64::from(millis) / 1_000.0;
    let rule = |min, max, is_whole| NumberRule { min, max, is_whole };
    vec![
        LimitField {
            name: ATTEMPTS,
            member: "attempts",
            label: "Max attempts per task",
            unit: "attempts",
            empty: format!("Default: {attempts}"),
            value: attempts,
            rule: rule(1.0, limits.attempts.into(), true),
        },
        LimitField {
            name: TIMEOUT,
            member: "timeout_ms",
            label: "Timeout per attempt",
            unit: "s",
            empty: format!("Default: {timeout}"),
            value: timeout,
            rule: rule(0.001, most(limits.timeout_ms), false),
        },
        LimitField {
            name: CONCURRENCY,
            member: "concurrency",
            label: "Concurrency limit",
            unit: "tasks",
            empty: "no limit".into(),
            value: String::new(),
            rule: rule(1.0, MAX_CONCURRENCY.into(), true),
        },
        LimitField {
            name: TOLERATED,
            member: "tolerated_failures",
            label: "Stop if more than",
            unit: "% fail",
            empty: "never".into(),
            value: String::new(),
            rule: rule(0.0, 100.0, false),
        },
        LimitField {
            name: DEADLINE,
            member: "deadline_ms",
            label: "Stop the batch after",
            unit: "s",
            empty: "no limit".into(),
            value: String::new(),
            rule: rule(0.001, most(limits.deadline_ms), false),
        },
    ]
}
