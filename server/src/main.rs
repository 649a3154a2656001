//! The `quilt` binary.
//!
//! # Layout
//!
//! - [`cli`] and [`config`]: commands and settings
//! - [`server`]: starts everything, and ends it in order
//! - [`routes`]: which address leads where
//! - [`pages`]: the app's pages and server functions, with their Content-Security-Policy
//! - [`api`]: the public API; [`problem`]: its errors
//! - [`channel`]: the WebSocket of a batch's page
//! - [`session`] and [`origin`]: who asks, and from where
//! - [`body`]: the limit of what is sent, and answers that reach whoever is still sending

mod api;
mod body;
mod channel;
mod cli;
mod config;
mod origin;
mod pages;
mod problem;
mod routes;
mod server;
mod session;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::server::{ServeError, Server};

fn main() -> ExitCode {
    let Cli { command, serve } = Cli::parse();
    let result = match command.unwrap_or(Command::Serve(serve)) {
        Command::Serve(options) => serve_with(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_with(options: &cli::ServeOptions) -> Result<(), ServeError> {
    let config = Config::load(options)?;
    config.log.start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServeError::Runtime)?;
    runtime.block_on(async {
        let server = Server::bind(config).await?;
        server.announce();
        server.run(server::asked_to_stop()).await
    })
}
