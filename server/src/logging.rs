//! What is logged, and how.

use std::io::IsTerminal;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug)]
pub(crate) struct Log {
    filter: EnvFilter,
    format: LogFormat,
}

impl Log {
    /// The lines that a filter lets through.
    pub(crate) fn new(filter: &str, format: LogFormat) -> Result<Self, ParseError> {
        Ok(Self { filter: EnvFilter::builder().parse(filter)?, format })
    }

    /// Writes the program's log to standard error from here on.
    pub(crate) fn start(&self) {
        let builder = tracing_subscriber::fmt()
            .with_env_filter(self.filter.clone())
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal());
        match self.format {
            LogFormat::Text => builder.init(),
            LogFormat::Json => builder.json().init(),
        }
    }
}
