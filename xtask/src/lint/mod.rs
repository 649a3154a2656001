//! Checks of what the compiler does not check.
//!
//! - [`settings`]: cargo-leptos and `cargo xtask` make the same site
//! - [`markup`]: pages are made by Leptos, not by text
//! - [`circles`]: modules depend on each other in one direction; [`modules`] reads them, [`source`] their files

mod circles;
mod markup;
mod modules;
mod settings;
mod source;

use anyhow::{Result, bail};

use crate::project::Project;

/// Checks everything, and prints what is wrong.
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
