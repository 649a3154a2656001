//! The interface of a kind of work.

use async_trait::async_trait;
use bytes::Bytes;
use quilt::number::grouped;
use quilt::{BatchSpec, Grid, WorkSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Work;

/// A kind of work.
#[async_trait]
pub trait Kind: Send + Sync + 'static {
    /// The name in requests.
    fn name(&self) -> &'static str;

    /// The form to launch it; `None` if it has none.
    fn form(&self) -> Option<Form> {
        None
    }

    /// The values of its details that are shown in tables, in order.
    fn columns(&self) -> &'static [Column] {
        &[]
    }

    /// Prepares a client's request. Data that is too large for the parameters becomes the input. If the parameters determine the number of
    /// tasks, the result contains it. `upload` is the uploaded file, or the input of an earlier batch of this kind that is launched again
    /// with other parameters.
    ///
    /// # Errors
    ///
    /// The problem, in a sentence that names the parameter and its value. If the sentence begins with the name of a parameter, or `file` for
    /// the uploaded file, before a space or a colon, the form displays it at this field.
    async fn prepare(&self, work: WorkSpec, upload: Option<Bytes>) -> Result<Launch, String> {
        match upload {
            Some(_) => Err("it takes no file".into()),
            None => Ok(Launch::of(work)),
        }
    }

    /// The title of a batch whose request has none: what its tasks do, in a few words. `requested` is the work before [`Kind::prepare`],
    /// `file` the name of the uploaded file.
    fn title(&self, _requested: &WorkSpec, grid: Grid, _file: Option<&str>) -> String {
        counted(grid.squares(), &format!("{} task", self.name()))
    }

    /// Builds the work of a batch from the result of [`Kind::prepare`].
    ///
    /// # Errors
    ///
    /// The problem, in a sentence that names the parameter and its value.
    fn build(&self, spec: &BatchSpec, input: Option<Bytes>) -> Result<Work, String>;

    /// The item of each square, in the order of the squares, as shown in tables. Empty if the squares have no items.
    ///
    /// # Errors
    ///
    /// If the input was not created by [`Kind::prepare`].
    fn items(&self, _spec: &BatchSpec, _input: Option<Bytes>) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

/// `1 task`, `2 tasks`: a number of things, whose plural ends with an s.
#[must_use]
pub fn counted(number: u32, thing: &str) -> String {
    format!("{} {thing}{}", grouped(number.into()), if number == 1 { "" } else { "s" })
}

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The name of the file on the client's machine, if the client sent it.
    pub name: Option<String>,
    /// Its content.
    pub content: Bytes,
}

/// A prepared request, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// The kind with its parameters.
    pub work: WorkSpec,
    /// Data that is too large for the parameters. It is stored as long as the batch.
    pub input: Option<Bytes>,
    /// The number of tasks, if the parameters determine it.
    pub tasks: Option<u32>,
}

/// The parameter with the hash of the input. It makes batches with different inputs different.
const INPUT: &str = "input_sha256";

impl Launch {
    /// Work without an input.
    #[must_use]
    pub fn of(work: WorkSpec) -> Self {
        Self { work, input: None, tasks: None }
    }

    /// Work of the same kind with completed parameters.
    ///
    /// # Errors
    ///
    /// If the parameters do not serialize to an object, which is a bug of the kind.
    pub fn with_parameters(work: &WorkSpec, parameters: &impl Serialize) -> Result<Self, String> {
        match serde_json::to_value(parameters).map_err(|error| error.to_string())? {
            Value::Object(parameters) => Ok(Self::of(WorkSpec { kind: work.kind.clone(), parameters })),
            other => Err(format!("its parameters are no object but {other}")),
        }
    }

    /// Adds an input.
    #[must_use]
    pub fn with_input(mut self, input: Bytes) -> Self {
        let digest: String = Sha256::digest(&input).iter().map(|byte| format!("{byte:02x}")).collect();
        self.work.parameters.insert(INPUT.into(), digest.into());
        self.input = Some(input);
        self
    }

    /// Sets the number of tasks.
    #[must_use]
    pub fn with_tasks(self, tasks: u32) -> Self {
        Self { tasks: Some(tasks), ..self }
    }
}

/// Removes what [`Launch`] has added to the parameters of a batch, so that they can be prepared again. Returns whether the batch had an input.
pub fn remove_input(work: &mut WorkSpec) -> bool {
    work.parameters.remove(INPUT).is_some()
}

/// Whether a batch was launched with an input.
#[must_use]
pub fn has_input(work: &WorkSpec) -> bool {
    work.parameters.contains_key(INPUT)
}

/// The parameters of a kind, without those that [`Launch`] adds.
///
/// # Errors
///
/// The problem, in a sentence.
pub fn parameters<T: DeserializeOwned>(work: &WorkSpec) -> Result<T, String> {
    let mut work = work.clone();
    remove_input(&mut work);
    serde_json::from_value(Value::Object(work.parameters)).map_err(|error| error.to_string())
}

/// A value of a kind's details that is shown in tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The name of the value.
    pub name: &'static str,
    /// The heading of the column.
    pub label: &'static str,
}

/// The form to launch a kind of work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// The action in two or three words.
    pub title: &'static str,
    /// The action in a sentence.
    pub about: &'static str,
    /// Whether it only demonstrates the product. Demos are listed last.
    pub is_demo: bool,
    /// What the presets are, as a question or a noun.
    pub presets_label: &'static str,
    /// Sizes with values of parameters. Without presets the form has fields for rows and columns, unless the parameters determine the
    /// number of tasks.
    pub presets: Vec<Preset>,
    /// Whether the presets can be drawn in advance: their tasks are CPU-bound and take a few microseconds each.
    pub draws_presets: bool,
    /// Whether the parameters determine the number of tasks.
    pub counts_tasks: bool,
    /// Values to try the form with.
    pub examples: Vec<Example>,
    /// The label of the advanced fields; empty for the usual one.
    pub advanced_label: &'static str,
    /// Parameters that stand in place of fields. The form cannot be filled in with a batch that has one of them.
    pub alternatives: &'static [&'static str],
    /// The fields in order. The name of each is the name of a parameter.
    pub fields: Vec<Field>,
}

/// A size, with values for parameters that the visitor leaves empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What distinguishes it from the others, besides its number of tasks; may be empty.
    pub about: &'static str,
    /// Rows and columns.
    pub size: (u16, u16),
    /// The values of parameters, as JSON, by their names.
    pub values: Vec<(&'static str, Value)>,
}

/// Values to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// What it is, in a few words.
    pub label: &'static str,
    /// The values of fields, as typed, by the names of their parameters.
    pub values: Vec<(&'static str, &'static str)>,
}

/// One parameter in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The parameter's name.
    pub name: &'static str,
    /// Its label.
    pub label: &'static str,
    /// The type of its value.
    pub kind: FieldKind,
    /// Whether it is an advanced field, which most users do not change.
    pub is_advanced: bool,
}

/// The unit in which a number is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Its symbol or name.
    pub label: &'static str,
    /// The parameter's value for one of this unit. Values in smaller units are rounded to whole numbers.
    pub factor: u32,
}

impl Unit {
    /// Seconds, for a parameter in milliseconds.
    pub const SECONDS: Self = Self { label: "s", factor: 1_000 };
    /// Mebibytes, for a parameter in bytes.
    pub const MEBIBYTES: Self = Self { label: "MiB", factor: 1 << 20 };

    /// The unit of the parameter itself.
    #[must_use]
    pub const fn of(label: &'static str) -> Self {
        Self { label, factor: 1 }
    }
}

/// The type of a field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// A number.
    Number {
        /// Its unit.
        unit: Unit,
        /// The initial value; may be empty.
        value: &'static str,
        /// What an empty field means.
        empty: &'static str,
        /// The minimum, in this unit.
        min: &'static str,
        /// The maximum, in this unit.
        max: &'static str,
        /// The step between values; `any` allows all.
        step: &'static str,
    },
    /// A share from 0 to 1, in percent.
    Percent {
        /// The initial value.
        value: &'static str,
    },
    /// A list of two numbers, the smaller one first.
    Range {
        /// The label of the larger number.
        other_label: &'static str,
        /// Their unit.
        unit: Unit,
        /// What empty fields mean.
        empty: &'static str,
        /// The maximum of the larger number, in this unit.
        max: &'static str,
        /// The step between values.
        step: &'static str,
    },
    /// One of several texts, each with its value and its label. The first one is preselected.
    Choice(Vec<(String, String)>),
    /// A line of text.
    Text {
        /// The placeholder.
        example: &'static str,
    },
    /// Lines of text, or a file with lines. Each line is a task. They are sent as a list.
    Lines {
        /// The placeholder.
        example: &'static str,
        /// The label of the file.
        file_label: &'static str,
    },
    /// A file to upload.
    File {
        /// The allowed types, as in the `accept` attribute of an input.
        accept: &'static str,
        /// The maximum size in bytes.
        max_bytes: u32,
    },
}

/// Work without parameters.
pub(super) struct Simple<F> {
    pub(super) name: &'static str,
    pub(super) work: F,
}

#[async_trait]
impl<F: Fn() -> Work + Send + Sync + 'static> Kind for Simple<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn build(&self, _spec: &BatchSpec, _input: Option<Bytes>) -> Result<Work, String> {
        Ok((self.work)())
    }
}
