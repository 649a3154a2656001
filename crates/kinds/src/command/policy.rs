//! Which commands may run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The maximum number of bytes that are kept per output stream. JSON escapes may expand each byte to six, and both streams must fit into
/// [`MAX_DETAIL`](engine::work::MAX_DETAIL).
const MAX_OUTPUT_BYTES: usize = 60 << 10;

/// A command in the operator's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// The program: a path, or a name that is resolved with `PATH`.
    pub program: String,
    /// The arguments, with placeholders: `{}` is the item and `{index}` the index of the task, from 0. docs/command-line.md lists the others.
    #[serde(default)]
    pub args: Vec<String>,
    /// Additional environment variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The working directory; the server's own by default.
    #[serde(default)]
    pub dir: Option<PathBuf>,
    /// The maximum number of stored bytes per output stream, 1 to 61440.
    #[serde(default = "default_max_output")]
    pub max_output: usize,
    /// A description for the launch form.
    #[serde(default)]
    pub about: String,
}

pub(super) fn default_max_output() -> usize {
    MAX_OUTPUT_BYTES
}

/// Which commands may run.
#[derive(Debug, Clone, Default)]
pub struct CommandPolicy {
    /// The configured commands by name.
    pub named: BTreeMap<String, CommandSpec>,
    /// Whether clients may choose the program. Only safe if all clients are trusted like the server's own user.
    pub allow_any_program: bool,
}

impl CommandPolicy {
    /// Validates the configured commands.
    ///
    /// # Errors
    ///
    /// Returns a message that names the first invalid setting.
    pub fn check(&self) -> Result<(), String> {
        for (name, command) in &self.named {
            if command.program.is_empty() {
                return Err(format!("commands.{name}: program is empty"));
            }
            if !(1..=MAX_OUTPUT_BYTES).contains(&command.max_output) {
                return Err(format!(
                    "commands.{name}: max_output must be from 1 to {MAX_OUTPUT_BYTES}, not {}",
                    command.max_output
                ));
            }
            if let Some(dir) = command.dir.as_ref().filter(|dir| !dir.is_dir()) {
                return Err(format!("commands.{name}: there is no folder {}", dir.display()));
            }
        }
        Ok(())
    }
}
