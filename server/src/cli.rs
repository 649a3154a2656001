//! The command line.

#![allow(rustdoc::bare_urls, reason = "the comments are the text of --help")]

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use serde::Serialize;

use crate::logging::LogFormat;
use crate::tool::args::{CancelOptions, LapOptions, ListOptions, OneOptions, ResultsOptions, RunOptions};

/// Run many independent tasks, and watch every one of them finish.
#[derive(Debug, Parser)]
#[command(name = "quilt", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: ServeOptions,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the page and the API, and run tasks (the default).
    Serve(Box<ServeOptions>),
    /// Run tasks for the servers of the same cluster on NATS.
    Work(WorkOptions),
    #[command(flatten)]
    Tool(Tool),
    /// Print the completions for a shell.
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a folder.
    Man {
        /// The folder
        folder: PathBuf,
    },
}

/// Commands that use a remote server, or start a local one.
#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Launch a batch and follow it to its finish line. Exit status: 0 all done, 1 some failed, 2 wrong use, 130 interrupted.
    Run(Box<RunOptions>),
    /// List batches, the newest first.
    List(ListOptions),
    /// Show the status of a batch.
    Show(OneOptions),
    /// Stop a batch.
    Cancel(CancelOptions),
    /// Run the failed tasks of a batch again.
    Retry(LapOptions),
    /// Run the tasks that were not run when a batch was stopped, and follow it to its finish line.
    Continue(LapOptions),
    /// Write the results of a batch.
    Results(ResultsOptions),
    /// Draw a batch in the terminal while it runs.
    Watch(OneOptions),
}

/// Settings of every node.
#[derive(Debug, Default, Args, Serialize)]
pub(crate) struct NodeOptions {
    /// The file with settings [default: quilt.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,

    /// Comma-separated URLs of NATS servers with JetStream, such as nats://user:password@host:4222. All nodes on the same servers share their
    /// batches [default: none, a single node]
    #[arg(long, value_name = "URLS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats: Option<String>,

    /// A file with credentials for NATS [default: none]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats_credentials: Option<PathBuf>,

    /// A file with the CA certificate of the NATS servers [default: the certificates of the system]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats_ca: Option<PathBuf>,

    /// A file with the client certificate for NATS; requires nats_key [default: none]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats_certificate: Option<PathBuf>,

    /// A file with the key of the client certificate [default: none]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats_key: Option<PathBuf>,

    /// How many NATS servers store each message: 1, 3 or 5 [default: 1]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats_replicas: Option<u8>,

    /// The prefix of all streams, buckets and subjects on NATS, so that several clusters can share an account. Nodes with the same prefix form a
    /// cluster [default: quilt]
    #[arg(long, value_name = "PREFIX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats_prefix: Option<String>,

    /// The name of this node, which is the prefix of the names of its workers. It must be unique [default: worker, or with NATS the host name
    /// and the process id]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,

    /// Maximum number of I/O-bound tasks that run at the same time on this node. With NATS it can be 0 for a node that runs no tasks: the other
    /// kinds of slots then default to 0. Of each kind with at least 4 slots, one in 16, but at least one, is reserved for owners who use none
    /// [default: 1024]
    #[arg(long, visible_alias = "workers", value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<u32>,

    /// Maximum number of CPU-bound tasks, such as image and render, that run at the same time on this node [default: two per processor]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    compute_slots: Option<u32>,

    /// Maximum number of command processes that run at the same time on this node [default: one per processor, plus the reserved ones]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    process_slots: Option<u32>,

    /// Memory for data that tasks share, in bytes: decoded images. At least one of the largest size fits [default: 536870912]
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_memory: Option<u64>,

    /// How long running tasks may take to end on shutdown, in milliseconds [default: 5000]
    #[arg(long, value_name = "MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_ms: Option<u32>,

    /// Comma-separated networks that tasks may fetch from although they are not public, such as 127.0.0.0/8,10.1.0.0/16 [default: none]
    #[arg(long, value_name = "NETWORKS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    fetch_allow: Option<String>,

    /// The log filter, in the notation of tracing's EnvFilter [default: info,async_nats=warn]
    #[arg(long, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_filter: Option<String>,

    /// The log format [default: text]
    #[arg(long, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,
}

/// Every setting can also be set in `quilt.toml` (`data = "/var/lib/quilt"`) or in the environment (`QUILT_DATA=/var/lib/quilt`).
/// Flags override the environment, and the environment overrides the file. The commands that tasks may run can only be set in the file, each as
/// a table `[commands.NAME]` with `program`, `args`, `env`, `dir`, `max_output` and `about`.
#[derive(Debug, Default, Args, Serialize)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) node: NodeOptions,

    /// The address to listen on; port 0 selects a free one [default: 127.0.0.1:3000]
    #[arg(long, value_name = "IP:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    addr: Option<SocketAddr>,

    /// The folder for the journal and the session key [default: data]
    #[arg(long, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,

    /// A folder with the static files of the site [default: the files in this program]
    #[arg(long, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<PathBuf>,

    /// The public origin of this server behind a proxy, such as https://quilt.example [default: the Host header of the request]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,

    /// Maximum number of rows, and of columns, of a batch [default: 4096]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_side: Option<u16>,

    /// Maximum number of squares of a batch [default: 1048576]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_squares: Option<u32>,

    /// Maximum number of attempts of a task [default: 20]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u8>,

    /// Maximum timeout of an attempt, in milliseconds [default: 3600000]
    #[arg(long, value_name = "MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_timeout_ms: Option<u32>,

    /// Maximum deadline of a batch, in milliseconds [default: 604800000]
    #[arg(long, value_name = "MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_deadline_ms: Option<u32>,

    /// Maximum number of running batches of one session [default: 8]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_running: Option<u32>,

    /// Maximum number of squares of all running batches together, at least max_squares. A square takes up to 16 bytes of memory, and a batch
    /// counts as at least 4096 squares [default: 33554432]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_running_squares: Option<u64>,

    /// How long finished and cancelled batches are kept, in hours; 0 for no limit [default: 720]
    #[arg(long, value_name = "HOURS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_hours: Option<u32>,

    /// Maximum size of the journal, in bytes; above it, the batches that ended first are deleted; 0 for no limit [default: 10737418240]
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_bytes: Option<u64>,

    /// Maximum number of pages and event streams that watch one batch [default: 10000]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_channels: Option<u32>,

    /// Maximum size of a request body, in bytes [default: 1048576]
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_body: Option<u32>,

    /// Maximum size of the body of a launch, with its list or image, in bytes [default: 67108864]
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input: Option<u32>,
}

/// Every setting can also be set in `quilt.toml` or in the environment, as for `quilt serve`.
#[derive(Debug, Default, Args, Serialize)]
pub(crate) struct WorkOptions {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) node: NodeOptions,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::RawConfig;

    #[test]
    fn the_help_names_every_setting_with_its_default() {
        Cli::command().debug_assert();
        let defaults = serde_json::to_value(RawConfig::default()).expect("plain");
        let mut command = Cli::command();
        let help = command.find_subcommand_mut("serve").expect("there is one").render_long_help().to_string();
        // Its lines are wrapped.
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for (key, default) in defaults.as_object().expect("a struct") {
            let flag = format!("--{} ", key.replace('_', "-"));
            let (_, after) = help.split_once(&flag).unwrap_or_else(|| panic!("{flag} is not in the help:\n{help}"));
            let (_, shown) = after.split_once("[default: ").unwrap_or_else(|| panic!("no default follows {flag}"));
            let shown = shown.split(']').next().expect("it is closed");
            match default {
                serde_json::Value::Null => {}
                serde_json::Value::String(text) => assert_eq!(shown, text, "{flag}"),
                other => assert_eq!(shown, other.to_string(), "{flag}"),
            }
        }
    }
}
