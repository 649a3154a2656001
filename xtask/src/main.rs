//! `cargo xtask`: builds the site and the binary that embeds it, and runs project-specific lints.
//!
//! - [`project`]: the metadata of the workspace, including the settings shared with cargo-leptos
//! - [`build`]: the whole build; [`bindgen`], [`compact`], [`style`] and [`site_files`]: the parts of the site
//! - [`lint`]: the lints; [`output`]: messages

mod bindgen;
mod build;
mod compact;
mod lint;
mod output;
mod paths;
mod project;
mod site_files;
mod style;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::build::Profile;
use crate::project::Project;

const HELP: &str = "\
cargo xtask build [serve|release]    builds the site and the binary that holds it, and prints their sizes
cargo xtask site [serve|release]     builds the site alone
cargo xtask serve [OPTION]...        builds with the profile `serve`, and runs `quilt serve` with these options
cargo xtask lint                     checks what the compiler does not";

fn main() -> ExitCode {
    let parameters: Vec<String> = std::env::args().skip(1).collect();
    let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
    match run(&parameters) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(parameters: &[&str]) -> Result<()> {
    let project = Project::load()?;
    match parameters {
        ["build", profile @ ..] => build::build(&project, profile_of(profile)?),
        ["site", profile @ ..] => build::build_site(&project, profile_of(profile)?).map(drop),
        ["serve", options @ ..] => build::serve(&project, options),
        ["lint"] => lint::lint(&project),
        _ => bail!("usage:\n{HELP}"),
    }
}

fn profile_of(parameters: &[&str]) -> Result<Profile> {
    match parameters {
        [] | ["serve"] => Ok(Profile::Serve),
        ["release"] => Ok(Profile::Release),
        _ => bail!("the profiles are `serve` and `release`, unlike {parameters:?}"),
    }
}
