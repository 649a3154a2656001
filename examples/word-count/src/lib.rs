//! `words`: counts the words of a text, one line per square. `docs/adding-work.md` explains it step by step.

use async_trait::async_trait;
use bytes::Bytes;
use engine::work::{
    BlockingWork, Column, Detail, Done, Field, FieldKind, Form, Kind, Launch, Task, TaskContext, TaskError, Unit, Work,
    parameters,
};
use quilt::{BatchSpec, Color, WorkSpec};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The maximum number of lines in a batch.
const MAX_LINES: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The text, line by line.
    #[serde(default)]
    lines: Vec<String>,
    /// The minimum length of a counted word, in characters.
    #[serde(default)]
    shortest: usize,
}

/// The `words` kind.
pub struct WordCount;

#[async_trait]
impl Kind for WordCount {
    fn name(&self) -> &'static str {
        "words"
    }

    fn form(&self) -> Option<Form> {
        let lines =
            FieldKind::Lines { example: "It was a dark and stormy night;", file_label: "Or upload a text file" };
        let unit = Unit::of("letters");
        let shortest = FieldKind::Number { unit, value: "0", empty: "Default: 0", min: "0", max: "50", step: "1" };
        Some(Form {
            title: "Count words",
            about: "Each task counts the words of a line.",
            counts_tasks: true,
            fields: vec![
                Field { name: "lines", label: "Text", kind: lines, is_advanced: false },
                Field { name: "shortest", label: "Shortest word", kind: shortest, is_advanced: true },
            ],
            ..Form::default()
        })
    }

    fn columns(&self) -> &'static [Column] {
        &[Column { name: "words", label: "Words" }, Column { name: "longest", label: "Longest word" }]
    }

    async fn prepare(&self, mut work: WorkSpec, upload: Option<Bytes>) -> Result<Launch, String> {
        let Parameters { mut lines, .. } = parameters(&work)?;
        if let Some(file) = upload {
            let text = std::str::from_utf8(&file).map_err(|_| "the file is not UTF-8 text")?;
            lines.extend(text.lines().map(str::to_owned));
        }
        if !(1..=MAX_LINES).contains(&lines.len()) {
            return Err(format!("a text has from 1 to {MAX_LINES} lines, not {}", lines.len()));
        }
        if let Some(line) = lines.iter().find(|line| line.contains('\n')) {
            return Err(format!("a line must not contain a line break: {line:?}"));
        }
        work.parameters.remove("lines");
        let tasks = lines.len() as u32;
        Ok(Launch::of(work).with_input(lines.join("\n").into()).with_tasks(tasks))
    }

    fn build(&self, spec: &BatchSpec, input: Option<Bytes>) -> Result<Work, String> {
        let Parameters { shortest, .. } = parameters(&spec.work)?;
        let lines = self.items(spec, input)?;
        Ok(Work::blocking(WordCountWork { lines, shortest }))
    }

    fn items(&self, _spec: &BatchSpec, input: Option<Bytes>) -> Result<Vec<String>, String> {
        let text = input.ok_or("the text is missing")?;
        let text = std::str::from_utf8(&text).map_err(|_| "the text is not UTF-8")?;
        Ok(text.split('\n').map(str::to_owned).collect())
    }
}

struct WordCountWork {
    lines: Vec<String>,
    shortest: usize,
}

impl BlockingWork for WordCountWork {
    fn run(&self, task: Task, context: &TaskContext) -> Result<Done, TaskError> {
        let line = self.lines.get(task.index.0 as usize);
        let line = line.ok_or_else(|| TaskError::permanent("there is no such line"))?;
        let (mut words, mut longest) = (0_u32, "");
        for word in line.split_whitespace().filter(|word| word.chars().count() >= self.shortest) {
            if context.is_over() {
                return Err(TaskError::retryable("stopped before all words were counted"));
            }
            words += 1;
            if word.len() > longest.len() {
                longest = word;
            }
        }
        let record = [("words", Value::from(words)), ("longest", longest.into())];
        let record: Map<String, Value> = record.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        // The more words, the darker.
        let light = 255 - words.min(25) * 8;
        Ok(Done { color: Color::from_rgb(light << 16 | light << 8 | 255), detail: Some(Detail::Record(record)) })
    }
}
