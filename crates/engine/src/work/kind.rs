//! What a kind of work says of itself.

use async_trait::async_trait;
use bytes::Bytes;
use quilt::{BatchSpec, WorkSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Work;

/// A kind of work.
#[async_trait]
pub trait Kind: Send + Sync + 'static {
    /// The name under which it is asked for.
    fn name(&self) -> &'static str;

    /// What people fill in to launch it; `None` where it is not for people.
    fn form(&self) -> Option<Form> {
        None
    }

    /// The values of its details that stand in tables, in their order.
    fn columns(&self) -> &'static [Column] {
        &[]
    }

    /// Takes what a client asked for: what is too large to stand among the parameters becomes the input, and where the parameters say how many
    /// tasks there are, it says so. An upload is what came as a file.
    ///
    /// # Errors
    ///
    /// What is wrong, in a sentence that names the parameter and its value.
    async fn prepare(&self, work: WorkSpec, upload: Option<Bytes>) -> Result<Launch, String> {
        match upload {
            Some(_) => Err("it takes no file".into()),
            None => Ok(Launch::of(work)),
        }
    }

    /// Makes the work of a batch out of what [`Kind::prepare`] made.
    ///
    /// # Errors
    ///
    /// What is wrong, in a sentence that names the parameter and its value.
    fn build(&self, spec: &BatchSpec, input: Option<Bytes>) -> Result<Work, String>;

    /// What the task of a square is about, as it stands in tables, for each square from the first to the last one; nothing where the square
    /// says it all.
    ///
    /// # Errors
    ///
    /// Where the input is not what [`Kind::prepare`] made.
    fn items(&self, _spec: &BatchSpec, _input: Option<Bytes>) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

/// What a client asked for, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// The kind with its parameters.
    pub work: WorkSpec,
    /// What is too large for a parameter. It is kept for as long as the batch.
    pub input: Option<Bytes>,
    /// How many tasks there are, where the parameters say so.
    pub tasks: Option<u32>,
}

/// The parameter that names an input, so that two batches are the same only if their inputs are.
const INPUT: &str = "input_sha256";

impl Launch {
    /// Work that is all in its parameters.
    #[must_use]
    pub fn of(work: WorkSpec) -> Self {
        Self { work, input: None, tasks: None }
    }

    /// Work of the same kind with parameters as the kind has read and completed them.
    ///
    /// # Errors
    ///
    /// Where the parameters are not written as an object: a fault of the kind.
    pub fn with_parameters(work: &WorkSpec, parameters: &impl Serialize) -> Result<Self, String> {
        match serde_json::to_value(parameters).map_err(|error| error.to_string())? {
            Value::Object(parameters) => Ok(Self::of(WorkSpec { kind: work.kind.clone(), parameters })),
            other => Err(format!("its parameters are no object but {other}")),
        }
    }

    /// The same with an input.
    #[must_use]
    pub fn with_input(mut self, input: Bytes) -> Self {
        let digest: String = Sha256::digest(&input).iter().map(|byte| format!("{byte:02x}")).collect();
        self.work.parameters.insert(INPUT.into(), digest.into());
        self.input = Some(input);
        self
    }

    /// The same with a number of tasks.
    #[must_use]
    pub fn with_tasks(self, tasks: u32) -> Self {
        Self { tasks: Some(tasks), ..self }
    }
}

/// Whether a batch was launched with an input.
pub(crate) fn has_input(work: &WorkSpec) -> bool {
    work.parameters.contains_key(INPUT)
}

/// A kind's parameters, without those that were added for it.
///
/// # Errors
///
/// What is wrong with them, in a sentence.
pub fn parameters<T: DeserializeOwned>(work: &WorkSpec) -> Result<T, String> {
    let mut parameters = work.parameters.clone();
    parameters.remove(INPUT);
    serde_json::from_value(Value::Object(parameters)).map_err(|error| error.to_string())
}

/// A value of a kind's details that stands in tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The name of the value.
    pub name: &'static str,
    /// What stands above it.
    pub label: &'static str,
}

/// What people fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What the kind does, in two or three words.
    pub title: &'static str,
    /// The same in a sentence.
    pub about: &'static str,
    /// Values that are nice together. Without any of them the form has rows and columns to fill in, unless the work says how many tasks there are.
    pub presets: Vec<Preset>,
    /// Whether the presets can be drawn beforehand: their tasks compute, and take a few microseconds each.
    pub draws_presets: bool,
    /// Whether the parameters say how many tasks there are.
    pub counts_tasks: bool,
    /// The fields, in their order. The name of each is that of a parameter.
    pub fields: Vec<Field>,
}

/// A choice that fills in other fields, and the size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Rows and columns.
    pub size: (u16, u16),
    /// The values of fields, by their names; `name.0` and `name.1` for those of a range.
    pub values: Vec<(&'static str, &'static str)>,
}

/// One parameter in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The parameter's name.
    pub name: &'static str,
    /// What it is, for people.
    pub label: &'static str,
    /// What can be filled in, and how.
    pub kind: FieldKind,
    /// Whether it is one of those that most people leave alone.
    pub is_advanced: bool,
}

/// What can be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// A number.
    Number {
        /// Its unit.
        unit: &'static str,
        /// What stands there to begin with; nothing for a parameter that can be left out.
        value: &'static str,
        /// The least.
        min: &'static str,
        /// The most.
        max: &'static str,
        /// The steps between numbers, `any` for every one.
        step: &'static str,
    },
    /// A share from 0 to 1, in percent.
    Percent {
        /// What stands there to begin with.
        value: &'static str,
    },
    /// A list of two numbers, the smaller one first.
    Range {
        /// What the larger one is, for people.
        other_label: &'static str,
        /// Their unit.
        unit: &'static str,
        /// What stands there to begin with.
        values: (&'static str, &'static str),
        /// The most that the larger one may be.
        max: &'static str,
    },
    /// One of a few texts, the first to begin with: each as it is sent, and as people read it.
    Choice(Vec<(String, String)>),
    /// A line of text.
    Text {
        /// What stands there while nothing is filled in.
        example: &'static str,
    },
    /// Lines of text, each of which is a task; or a file of them. They become a list.
    Lines {
        /// What stands there while nothing is filled in.
        example: &'static str,
    },
    /// A file, which is the upload.
    File {
        /// The types that can be chosen, as in the `accept` of an input.
        accept: &'static str,
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
