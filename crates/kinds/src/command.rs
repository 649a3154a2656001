//! `command`: one process per square. It never starts a shell, and a server never runs a program that a client chose.

mod arguments;
mod policy;
mod process;
mod record;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use engine::SlotClass;
use engine::work::{
    AsyncWork, Column, Done, Example, Field, FieldKind, Form, Kind, Launch, Task, TaskError, Work, counted, parameters,
};
use quilt::{BatchSpec, Color, Grid, WorkSpec};
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::arguments::{TaskItem, expand, has_item_placeholder};
use self::policy::default_max_output;
use self::process::{ProcessOutput, Termination, run_process};
use crate::item_list::{self, ItemList};

pub use self::policy::{CommandPolicy, CommandSpec};
pub use self::record::CommandRecord;

/// The maximum length of an item in bytes. Linux accepts 128 KiB per argument.
const MAX_ITEM_BYTES: usize = 128 << 10;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CommandParameters {
    /// The name of a command in the operator's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// A program that the client chose, if the policy allows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    program: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    args: Vec<String>,
    /// The working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dir: Option<PathBuf>,
    /// One item per task. The batch's input stores them, not its parameters.
    #[serde(default, skip_serializing)]
    items: Option<Value>,
}

/// The `command` kind.
pub struct CommandKind {
    policy: CommandPolicy,
}

impl CommandKind {
    /// Creates the kind for the commands that `policy` allows.
    #[must_use]
    pub fn new(policy: CommandPolicy) -> Self {
        Self { policy }
    }

    fn resolve(&self, parameters: &CommandParameters) -> Result<CommandSpec, String> {
        match (&parameters.name, &parameters.program) {
            (Some(name), None) if parameters.args.is_empty() && parameters.dir.is_none() => {
                self.policy.named.get(name).cloned().ok_or_else(|| {
                    let names: Vec<&str> = self.policy.named.keys().map(String::as_str).collect();
                    let names = if names.is_empty() { "none".into() } else { names.join(", ") };
                    format!("there is no command '{name}'; available: {names}")
                })
            }
            (Some(_), None) => Err("remove args and dir: a named command has its own args and dir".into()),
            (None, Some(program)) if self.policy.allow_any_program => Ok(CommandSpec {
                program: program.clone(),
                args: parameters.args.clone(),
                env: BTreeMap::new(),
                dir: parameters.dir.clone(),
                max_output: default_max_output(),
                about: String::new(),
            }),
            (None, Some(_)) => {
                Err("this server runs only commands that its operator has named; pass name, not program".into())
            }
            (None, None) => Err("name is missing: pass the name of a command".into()),
            (Some(_), Some(_)) => Err("pass either name or program, not both".into()),
        }
    }
}

#[async_trait]
impl Kind for CommandKind {
    fn name(&self) -> &'static str {
        "command"
    }

    fn form(&self) -> Option<Form> {
        if self.policy.named.is_empty() {
            return None;
        }
        let names = self.policy.named.iter().map(|(name, command)| match command.about.as_str() {
            "" => (name.clone(), name.clone()),
            about => (name.clone(), format!("{name}: {about}")),
        });
        let items =
            FieldKind::Lines { example: "one item per line", file_label: "Or upload a file, one item per line" };
        Some(Form {
            title: "Run a command",
            about: "Runs one of this server's allowed commands once per line.",
            counts_tasks: true,
            alternatives: &["program"],
            examples: vec![Example {
                label: "the numbers 1 to 12",
                values: vec![("items", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12")],
            }],
            fields: vec![
                Field { name: "name", label: "Command", kind: FieldKind::Choice(names.collect()), is_advanced: false },
                Field { name: "items", label: "Items", kind: items, is_advanced: false },
            ],
            ..Form::default()
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
        let parameters = parameters::<CommandParameters>(&work)?;
        let command = self.resolve(&parameters)?;
        let items = item_list::collect("items", parameters.items.as_ref(), upload.as_ref())?;
        for (index, item) in items.iter().enumerate() {
            if item.len() > MAX_ITEM_BYTES {
                return Err(format!(
                    "items: item {index} has {} bytes; at most {MAX_ITEM_BYTES} are allowed",
                    item.len()
                ));
            }
            if item.contains(['\0', '\n']) {
                return Err(format!("items: item {index} must have no line break and no NUL byte"));
            }
        }
        let has_items = parameters.items.is_some() || upload.is_some();
        if !has_items && has_item_placeholder(&command.args) {
            return Err("items is missing: the arguments of the command contain an item placeholder".into());
        }
        let launch = Launch::with_parameters(&work, &parameters)?;
        if !has_items {
            return Ok(launch);
        }
        let tasks = u32::try_from(items.len()).map_err(|_| "there are too many items")?;
        Ok(launch.with_input(item_list::encode(items.iter().map(String::as_str))).with_tasks(tasks))
    }

    fn title(&self, requested: &WorkSpec, grid: Grid, _file: Option<&str>) -> String {
        let text = |name: &str| requested.parameters.get(name).and_then(Value::as_str);
        let program = text("name").or_else(|| text("program")?.rsplit('/').next()).unwrap_or("a command");
        format!("{} of {program}", counted(grid.squares(), "run"))
    }

    fn build(&self, spec: &BatchSpec, input: Option<Bytes>) -> Result<Work, String> {
        let parameters = parameters::<CommandParameters>(&spec.work)?;
        let items = input.map(ItemList::parse).transpose()?;
        let squares = spec.grid.squares();
        if let Some(items) = items.as_ref().filter(|items| items.len() != squares as usize) {
            return Err(format!("the batch has {squares} squares, but its input has {} items", items.len()));
        }
        let command = Arc::new(self.resolve(&parameters)?);
        Ok(Work::waiting(CommandWork { command, items, grid: spec.grid }))
    }

    fn items(&self, _spec: &BatchSpec, input: Option<Bytes>) -> Result<Vec<String>, String> {
        item_list::decode(input)
    }
}

struct CommandWork {
    command: Arc<CommandSpec>,
    items: Option<ItemList>,
    grid: Grid,
}

#[async_trait]
impl AsyncWork for CommandWork {
    fn slot_class(&self) -> SlotClass {
        SlotClass::Process
    }

    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        let square = self.grid.square(task.index);
        let text = self.items.as_ref().map(|items| items.get(task.index.0).unwrap_or_default());
        let item = TaskItem { text, index: task.index.0, row: square.row, column: square.column };
        let command = &self.command;
        let started = Instant::now();
        let args = expand(&command.args, &item);
        let ProcessOutput { termination, stdout, stderr } = run_process(command, &args, task.lease).await?;
        let detail = CommandRecord::new(termination, started.elapsed(), &stdout, &stderr).into_detail();
        match termination {
            // Random shades of green, so that adjacent squares are distinguishable.
            Termination::Exit(0) => {
                let shade = task.square_rng().next_u32() % 48;
                let color = Color::from_rgb((46 + shade) << 16 | (125 + shade) << 8 | (80 + shade));
                Ok(Done { color, detail: Some(detail) })
            }
            termination => {
                let message = failure_message(termination, &stderr.kept);
                Err(TaskError::retryable(termination.to_string()).with_message(message).with_detail(detail))
            }
        }
    }
}

/// The termination, followed by the last non-empty line of standard error.
fn failure_message(termination: Termination, stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    match last {
        "" => termination.to_string(),
        last => format!("{termination}: {}", last.trim()),
    }
}
