//! `command`: a program that is run for each square. Never a shell, and on a server never a program that a client names.

mod allowed;
mod arguments;
mod process;
mod record;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use engine::work::{AsyncWork, Column, Done, Field, FieldKind, Form, Kind, Launch, Task, TaskError, Work, parameters};
use quilt::{BatchSpec, Color, Grid, WorkSpec};
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::allowed::default_output;
use self::arguments::{Item, fill_in, mentions_item};
use self::process::{Ended, Ran, run};
use crate::lines::{self, Lines, gather, store};

pub use self::allowed::{Command, Commands};
pub use self::record::CommandRecord;

/// The longest item, in bytes: what systems take as an argument.
const MAX_ITEM: usize = 128 << 10;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The name of one of the operator's commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// A program of the client's own, with its arguments, where that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    args: Vec<String>,
    /// The folder in which it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dir: Option<PathBuf>,
    /// What the tasks are about, one for each.
    #[serde(default, skip_serializing)]
    items: Option<Value>,
}

/// The kind.
pub struct CommandKind {
    commands: Commands,
}

impl CommandKind {
    /// With the commands that may be run.
    #[must_use]
    pub fn new(commands: Commands) -> Self {
        Self { commands }
    }

    fn command(&self, parameters: &Parameters) -> Result<Command, String> {
        match (&parameters.name, &parameters.program) {
            (Some(name), None) if parameters.args.is_empty() && parameters.dir.is_none() => {
                self.commands.named.get(name).cloned().ok_or_else(|| {
                    let names: Vec<&str> = self.commands.named.keys().map(String::as_str).collect();
                    let names = if names.is_empty() { "none".into() } else { names.join(", ") };
                    format!("there is no command '{name}'; there is: {names}")
                })
            }
            (Some(_), None) => Err("a command that has a name has its own args and dir".into()),
            (None, Some(program)) if self.commands.any_program => Ok(Command {
                program: program.clone(),
                args: parameters.args.clone(),
                env: BTreeMap::new(),
                dir: parameters.dir.clone(),
                max_output: default_output(),
                about: String::new(),
            }),
            (None, Some(_)) => Err("this server runs only commands that its operator has named".into()),
            (None, None) => Err("name is missing: the name of a command".into()),
            (Some(_), Some(_)) => Err("a command has a name or a program, not both".into()),
        }
    }
}

#[async_trait]
impl Kind for CommandKind {
    fn name(&self) -> &'static str {
        "command"
    }

    fn form(&self) -> Option<Form> {
        if self.commands.named.is_empty() {
            return None;
        }
        let names = self.commands.named.iter().map(|(name, command)| match command.about.as_str() {
            "" => (name.clone(), name.clone()),
            about => (name.clone(), format!("{name}: {about}")),
        });
        let items = FieldKind::Lines { example: "one item a line" };
        Some(Form {
            title: "A command",
            about: "A program that the operator of this server has named is run for each line.",
            presets: Vec::new(),
            draws_presets: false,
            counts_tasks: true,
            fields: vec![
                Field { name: "name", label: "Command", kind: FieldKind::Choice(names.collect()), is_advanced: false },
                Field { name: "items", label: "Items", kind: items, is_advanced: false },
            ],
        })
    }

    fn columns(&self) -> &'static [Column] {
        &[
            Column { name: "exit", label: "Exit status" },
            Column { name: "ms", label: "Time (ms)" },
            Column { name: "stdout", label: "Standard output" },
            Column { name: "stderr", label: "Standard error" },
        ]
    }

    async fn prepare(&self, work: WorkSpec, upload: Option<Bytes>) -> Result<Launch, String> {
        let parameters = parameters::<Parameters>(&work)?;
        let command = self.command(&parameters)?;
        let items = gather("items", parameters.items.as_ref(), upload.as_ref())?;
        for (place, item) in items.iter().enumerate() {
            if item.len() > MAX_ITEM {
                return Err(format!("item {place} has {} bytes; at most {MAX_ITEM} are allowed", item.len()));
            }
            if item.contains(['\0', '\n']) {
                return Err(format!("item {place} must have no line break and no zero byte within it"));
            }
        }
        let has_items = parameters.items.is_some() || upload.is_some();
        if !has_items && mentions_item(&command.args) {
            return Err("items is missing: the command is about one item a task".into());
        }
        let launch = Launch::with_parameters(&work, &parameters)?;
        if !has_items {
            return Ok(launch);
        }
        let tasks = u32::try_from(items.len()).map_err(|_| "there are too many items")?;
        Ok(launch.with_input(store(items.iter().map(String::as_str))).with_tasks(tasks))
    }

    fn build(&self, spec: &BatchSpec, input: Option<Bytes>) -> Result<Work, String> {
        let parameters = parameters::<Parameters>(&spec.work)?;
        let items = input.map(Lines::read).transpose()?;
        if items.as_ref().is_some_and(|items| items.len() != spec.grid.squares() as usize) {
            return Err("there are not as many items as squares".into());
        }
        let command = Arc::new(self.command(&parameters)?);
        Ok(Work::waiting(CommandWork { command, items, grid: spec.grid }))
    }

    fn items(&self, _spec: &BatchSpec, input: Option<Bytes>) -> Result<Vec<String>, String> {
        lines::items(input)
    }
}

struct CommandWork {
    command: Arc<Command>,
    items: Option<Lines>,
    grid: Grid,
}

#[async_trait]
impl AsyncWork for CommandWork {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let square = self.grid.square(task.index);
        let item = self.items.as_ref().map(|items| items.get(task.index.0).unwrap_or_default());
        let item = Item { text: item, index: task.index.0, row: square.row, column: square.column };
        let command = &self.command;
        let started = Instant::now();
        let args = fill_in(&command.args, &item);
        let Ran { ended, stdout, stderr } = run(command, &args).await?;
        let detail = CommandRecord::new(ended, started.elapsed(), &stdout, &stderr).into_detail();
        match ended {
            // Shades of one color, so that neighbors can be told apart.
            Ended::Exit(0) => {
                let shade = task.square_rng().next_u32() % 48;
                let color = Color::from_rgb((46 + shade) << 16 | (125 + shade) << 8 | (80 + shade));
                Ok(Done { color, detail: Some(detail) })
            }
            ended => {
                let error = TaskError::retryable(ended.to_string()).with_message(message(&ended, &stderr.kept));
                Err(error.with_detail(detail))
            }
        }
    }
}

/// How it ended, with the last line that it wrote on standard error.
fn message(ended: &Ended, stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    match last {
        "" => ended.to_string(),
        last => format!("{ended}: {}", last.trim()),
    }
}
