//! Project-specific lints.
//!
//! - [`settings`]: cargo-leptos and `cargo xtask` build the same site
//! - [`markup`]: only Leptos creates HTML
//! - [`circles`]: the modules of a crate have no cyclic dependencies; [`modules`] reads modules, [`source`] their files

mod circles;
mod markup;
mod modules;
mod settings;
mod source;

use anyhow::{Result, bail};

use crate::project::Project;

/// Runs all lints, and prints the problems.
pub(crate) fn lint(project: &Project) -> Result<()> {
    let mut problems = settings::check(project);
    problems.extend(markup::check(&project.root)?);
    problems.extend(circles::check(project)?);
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("there is a problem"),
        count => bail!("there are {count} problems"),
    }
}
