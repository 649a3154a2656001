//! The commands that an operator allows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The most bytes that are kept of what one command writes, of standard output and of standard error each. As JSON each may take six, and all of
/// it has to fit into a detail.
const MAX_OUTPUT: usize = 60 << 10;

/// A command as its operator describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program: a path, or a name that is looked for where the system looks for programs.
    pub program: String,
    /// Its arguments. In each, `{}` stands for the item, `{index}` for the number of the task, from 0; see the documentation for the others.
    #[serde(default)]
    pub args: Vec<String>,
    /// What is added to its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The folder in which it runs; that of the server where it is left out.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// How many bytes of what it writes are kept, of standard output and standard error each.
    #[serde(default = "default_output")]
    pub max_output: usize,
    /// What it is for, for people.
    #[serde(default)]
    pub about: String,
}

/// As much as can be kept.
pub(super) fn default_output() -> usize {
    MAX_OUTPUT
}

/// The commands that may be run.
#[derive(Debug, Clone, Default)]
pub struct Commands {
    /// Those of the operator, by their names.
    pub named: BTreeMap<String, Command>,
    /// Whether a client may name a program of its own. It is then the user's own server, and nobody else's.
    pub any_program: bool,
}

impl Commands {
    /// Checks what the operator has written.
    ///
    /// # Errors
    ///
    /// What is wrong, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        for (name, command) in &self.named {
            if command.program.is_empty() {
                return Err(format!("commands.{name}: program is empty"));
            }
            if !(1..=MAX_OUTPUT).contains(&command.max_output) {
                return Err(format!(
                    "commands.{name}: max_output must be from 1 to {MAX_OUTPUT}, not {}",
                    command.max_output
                ));
            }
            if command.dir.as_ref().is_some_and(|dir| !dir.is_dir()) {
                let dir = command.dir.as_deref().unwrap_or_else(|| std::path::Path::new(""));
                return Err(format!("commands.{name}: there is no folder {}", dir.display()));
            }
        }
        Ok(())
    }
}
