//! The code of the `quilt` binary.
//!
//! # Layout
//!
//! - `cli`, `config` and `settings_file`: commands and settings; `logging`: the log
//! - `server`: starts the server and shuts it down; `work`: the same for a node that only runs tasks; `serve_error`: errors of both
//! - `tool`: the other commands, which use a remote server or start a local one
//! - `backend`: the journal and cluster below the engine, on disk or on NATS
//! - `routes`: routes and middleware; `state`: the state that request handlers share
//! - `pages`: the app's pages and server functions, with their Content-Security-Policy
//! - `api`: the public API; `problem`: its errors
//! - `picture`: quilts as PNGs; `preview`: presets as PNGs
//! - `assets`: serves static files; `site_files`: their source
//! - `channel`: the WebSocket of a batch's page
//! - `session` and `origin`: session cookies, and protection against cross-site requests
//! - `body`: limits and drains request bodies

mod api;
mod assets;
mod backend;
mod body;
mod channel;
mod cli;
mod config;
mod logging;
mod origin;
mod pages;
mod picture;
mod preview;
mod problem;
mod routes;
mod serve_error;
mod server;
mod session;
mod settings_file;
mod site_files;
mod state;
mod tool;
mod work;

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command, Tool};
use crate::config::{Config, ConfigError};
use crate::serve_error::ServeError;
use crate::server::Server;

/// Blocking threads for purposes other than tasks, such as the journal and files.
const EXTRA_BLOCKING_THREADS: usize = 64;

/// Runs the command on the command line. `site` is the embedded site; it may be empty.
#[must_use]
pub fn main(site: &'static [u8]) -> ExitCode {
    if let Err(error) = site_files::embed(site) {
        eprintln!("error: the site in this program: {error}");
        return ExitCode::FAILURE;
    }
    let Cli { command, serve } = Cli::parse();
    let result = match command.unwrap_or_else(|| Command::Serve(Box::new(serve))) {
        Command::Serve(options) => run_node(Config::load(&options), |config| async {
            let server = Box::pin(Server::bind(config)).await?;
            server.print_address();
            server.run(server::shutdown_signal()).await
        }),
        Command::Work(options) => {
            run_node(Config::load_for_work(&options), |config| work::work(config, server::shutdown_signal()))
        }
        Command::Tool(tool) => return run_tool(tool),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "quilt", &mut std::io::stdout());
            return ExitCode::SUCCESS;
        }
        Command::Man { folder } => {
            return match write_manual(&folder) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("error: cannot write to {}: {error}", folder.display());
                    ExitCode::FAILURE
                }
            };
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_tool(tool: Tool) -> ExitCode {
    match tool::run(tool) {
        Ok(ended) => ExitCode::from(ended.status()),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.ended().status())
        }
    }
}

fn write_manual(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
}

/// Starts logging and the runtime, and runs a node to its end.
fn run_node<F>(config: Result<Config, ConfigError>, node: impl FnOnce(Config) -> F) -> Result<(), ServeError>
where
    F: Future<Output = Result<(), ServeError>>,
{
    let config = config?;
    config.log.start();
    // Every viewer needs a file descriptor, and the default soft limit is low.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Each compute slot may occupy a blocking thread.
        .max_blocking_threads(config.engine.node.slots.compute as usize + EXTRA_BLOCKING_THREADS)
        .build()
        .map_err(ServeError::Runtime)?;
    let result = runtime.block_on(node(config));
    // Do not wait for attempts that ignore their cancellation.
    runtime.shutdown_background();
    result
}
