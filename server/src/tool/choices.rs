//! Parsers for enumerated option values.

use ::api::{ResultFormat, TaskState};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use quilt::{Priority, TaskOrder};

/// Parses an order of tasks.
pub(super) fn task_order() -> impl TypedValueParser<Value = TaskOrder> {
    let described = |order: TaskOrder| match order {
        TaskOrder::Random => (order.as_str(), "All over the quilt, as the seed determines"),
        TaskOrder::Input => (order.as_str(), "As the items come, from the first row to the last one"),
    };
    one_of([TaskOrder::Random, TaskOrder::Input], described)
}

/// Parses a priority.
pub(super) fn priority() -> impl TypedValueParser<Value = Priority> {
    let described = |priority: Priority| match priority {
        Priority::Low => (priority.as_str(), "A quarter of the working time of a normal batch"),
        Priority::Normal => (priority.as_str(), "The default"),
        Priority::High => (priority.as_str(), "Four times the working time of a normal batch"),
    };
    one_of(Priority::ALL, described)
}

/// Parses a format of results.
pub(super) fn result_format() -> impl TypedValueParser<Value = ResultFormat> {
    let described = |format: ResultFormat| match format {
        ResultFormat::Ndjson => (format.as_str(), "An object a line"),
        ResultFormat::Csv => (format.as_str(), "A table, with a line of names first"),
        ResultFormat::Json => (format.as_str(), "A page, for programs"),
        ResultFormat::Png => {
            (format.as_str(), "The picture that the tasks have drawn together; a pixel a square, where they drew none")
        }
    };
    one_of(ResultFormat::FILES, described)
}

/// Parses a state of tasks.
pub(super) fn task_state() -> impl TypedValueParser<Value = TaskState> {
    let described = |state: TaskState| match state {
        TaskState::Pending => (state.as_str(), "Not yet run"),
        TaskState::Done => (state.as_str(), "Run with success"),
        TaskState::Failed => (state.as_str(), "Failed for good"),
        TaskState::NotRun => (state.as_str(), "Not run, because the batch was stopped before"),
    };
    one_of(TaskState::ALL, described)
}

/// Builds a parser for `values`. `described` returns the name and the help text of a value.
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    values: [T; N],
    described: fn(T) -> (&'static str, &'static str),
) -> impl TypedValueParser<Value = T> {
    let words = values.map(|value| {
        let (word, help) = described(value);
        PossibleValue::new(word).help(help)
    });
    PossibleValuesParser::new(words).try_map(move |text| {
        let value = values.into_iter().find(|value| described(*value).0 == text);
        value.ok_or_else(|| format!("'{text}' is none of these words"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::args::ResultsOptions;

    #[test]
    fn each_word_means_one_value() {
        #[derive(Debug, clap::Parser)]
        struct Words {
            #[command(flatten)]
            results: ResultsOptions,
        }
        let parse = |name: &str, word: &str| {
            <Words as clap::Parser>::try_parse_from(["results", name, word]).map(|words| words.results)
        };
        for format in ResultFormat::FILES {
            let options = parse("--format", format.as_str()).expect("it has a value");
            assert_eq!(options.format, Some(format));
        }
        for state in TaskState::ALL {
            assert_eq!(parse("--state", state.as_str()).expect("it has a value").state, Some(state));
        }
        let refused = parse("--state", "lost").expect_err("no state").to_string();
        assert!(refused.contains("pending, done, failed, not_run"), "{refused}");
    }
}
