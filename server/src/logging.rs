//! Configures logging.

use std::io::IsTerminal;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Filter and format of the log.
#[derive(Debug)]
pub(crate) struct Log {
    filter: EnvFilter,
    format: LogFormat,
}

impl Log {
    /// Parses a filter in the notation of [`EnvFilter`].
    pub(crate) fn new(filter: &str, format: LogFormat) -> Result<Self, ParseError> {
        Ok(Self { filter: EnvFilter::builder().parse(filter)?, format })
    }

    /// Installs the global subscriber, which logs to standard error. Panics if there is one already.
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
