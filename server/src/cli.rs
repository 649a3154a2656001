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

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the page, the API and the workers (the default).
    Serve(Box<ServeOptions>),
    /// Run tasks for the servers that use the same NATS.
    Work(WorkOptions),
    #[command(flatten)]
    Tool(Tool),
    /// Write the completions for a shell.
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

/// What needs no server that runs all the time.
#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Launch a batch and see it to its finish line. Exit status: 0 all done, 1 some failed, 2 wrong use, 130 interrupted.
    Run(Box<RunOptions>),
    /// List batches, the newest first.
    List(ListOptions),
    /// Tell how a batch stands.
    Show(OneOptions),
    /// Stop a batch.
    Cancel(CancelOptions),
    /// Run what has failed in a batch once more.
    Retry(LapOptions),
    /// Run what was not run when a batch was stopped, and see it to its finish line
    Continue(LapOptions),
    /// Write the results of a batch.
    Results(ResultsOptions),
    /// Draw a batch in the terminal, as it goes on.
    Watch(OneOptions),
}

/// What every node has settings for.
#[derive(Debug, Default, Args, Serialize)]
pub(crate) struct NodeOptions {
    /// The file with settings [default: quilt.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,

    /// Addresses of NATS servers with JetStream, with commas between them, such as nats://user:password@host:4222; all nodes with the same
    /// ones share their batches [default: none, this node is alone]
    #[arg(long, value_name = "URLS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats: Option<String>,

    /// A file with credentials for NATS [default: none]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats_credentials: Option<PathBuf>,

    /// A file with the certificate of the authority that vouches for the NATS servers [default: those the system knows]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats_ca: Option<PathBuf>,

    /// A file with a certificate for NATS servers that ask for one, together with nats_key [default: none]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats_certificate: Option<PathBuf>,

    /// A file with the key of that certificate [default: none]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats_key: Option<PathBuf>,

    /// How many NATS servers keep each message: 1, 3 or 5 [default: 1]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats_replicas: Option<u8>,

    /// What the names of all streams, buckets and subjects on NATS begin with, so that several clusters can share an account; nodes with the
    /// same prefix belong together [default: quilt]
    #[arg(long, value_name = "PREFIX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    nats_prefix: Option<String>,

    /// The name of this node, with which the names of its workers begin; no two nodes may have the same one [default: worker, or with
    /// NATS the machine's name and the number of the process]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,

    /// How many tasks that wait, for a network or a timer, run here at the same time; 0, with NATS, for a node that only serves: the other
    /// kinds of slots are then 0 unless they are set. Of each kind one slot in 16, and one of four at least, is kept for owners who have none of it
    /// [default: 1024]
    #[arg(long, visible_alias = "workers", value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<u32>,

    /// How many tasks that compute, such as image and render, run here at the same time [default: two a processor]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    compute_slots: Option<u32>,

    /// How many processes of commands run here at the same time [default: one a processor, and those that are kept]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    process_slots: Option<u32>,

    /// How long running tasks may take to end when the program is stopped, in milliseconds [default: 5000]
    #[arg(long, value_name = "MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_ms: Option<u32>,

    /// Networks that tasks may fetch from though they are not public, with commas between them, such as 127.0.0.0/8,10.1.0.0/16
    /// [default: none]
    #[arg(long, value_name = "NETWORKS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    fetch_allow: Option<String>,

    /// What is logged, in the notation of tracing's EnvFilter [default: info,async_nats=warn]
    #[arg(long, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_filter: Option<String>,

    /// How it is logged [default: text]
    #[arg(long, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,
}

/// Every setting can also stand in `quilt.toml` (`data = "/var/lib/quilt"`) or in the environment (`QUILT_DATA=/var/lib/quilt`).
/// Flags go before the environment, the environment before the file. Only in the file stand the commands that tasks may run, each as a table
/// `[commands.NAME]` with `program`, `args`, `env`, `dir`, `max_output` and `about`.
#[derive(Debug, Default, Args, Serialize)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) node: NodeOptions,

    /// The address to listen at; port 0 takes a free one [default: 127.0.0.1:3000]
    #[arg(long, value_name = "IP:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    addr: Option<SocketAddr>,

    /// The folder for the journal and the session key [default: data]
    #[arg(long, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,

    /// A folder with what the browser loads [default: this program holds it]
    #[arg(long, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<PathBuf>,

    /// The origin under which visitors reach this server, if it stands behind a proxy, such as
    /// https://quilt.example [default: what the Host header says]
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,

    /// The most rows, and the most columns, of a batch [default: 4096]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_side: Option<u16>,

    /// The most squares of a batch [default: 1048576]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_squares: Option<u32>,

    /// The most attempts of a task [default: 20]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u8>,

    /// The longest time limit of an attempt, in milliseconds [default: 3600000]
    #[arg(long, value_name = "MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_timeout_ms: Option<u32>,

    /// The longest deadline of a batch, in milliseconds [default: 604800000]
    #[arg(long, value_name = "MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_deadline_ms: Option<u32>,

    /// The most batches of one session that run at the same time [default: 8]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_running: Option<u32>,

    /// The most squares of all running batches together, at least max_squares. A square takes up to 16 bytes of memory, and a
    /// batch counts as 4096 squares at least [default: 33554432]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_running_squares: Option<u64>,

    /// How long batches that are over are kept, in hours; 0 for ever [default: 720]
    #[arg(long, value_name = "HOURS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_hours: Option<u32>,

    /// How large the journal may be before the batches that were over first are removed, in bytes; 0 for as large as the
    /// disk [default: 10737418240]
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_bytes: Option<u64>,

    /// The most pages and event streams that watch one batch [default: 10000]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_channels: Option<u32>,

    /// The largest body of a request, in bytes [default: 1048576]
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_body: Option<u32>,

    /// The largest body of a request that launches a batch, with its list or image, in bytes [default: 67108864]
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input: Option<u32>,
}

/// Every setting can also stand in `quilt.toml` or in the environment, as for `quilt serve`.
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
        for (key, default) in defaults.as_object().expect("a struct") {
            let flag = format!("--{} ", key.replace('_', "-"));
            let (_, after) = help.split_once(&flag).unwrap_or_else(|| panic!("{flag} is not in the help:\n{help}"));
            let (_, shown) = after.split_once("[default: ").expect("a default follows");
            let shown = shown.split(']').next().expect("it is closed");
            match default {
                serde_json::Value::Null => {}
                serde_json::Value::String(text) => assert_eq!(shown, text, "{flag}"),
                other => assert_eq!(shown, other.to_string(), "{flag}"),
            }
        }
    }
}
