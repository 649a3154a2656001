//! `color`: a random color or a failure after some time, for demonstrations and tests.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use quilt::{BatchSpec, Color, Grid, WorkSpec};
use rand::{Rng, RngExt};
use serde::Deserialize;
use serde_json::json;

use super::{
    AsyncWork, BlockingWork, Done, Field, FieldKind, Form, Kind, Preset, Task, TaskContext, TaskError, Unit, Work,
    counted, parameters,
};

/// The maximum duration that can be set for a task, in milliseconds.
const MAX_DURATION_MS: u32 = 3_600_000;

/// The number of steps after which a CPU-bound task checks its deadline.
const STEPS_PER_CHECK: u32 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The share of attempts that fail and may be retried, from 0 to 1.
    #[serde(default)]
    failure_rate: f64,
    /// The share of attempts that fail permanently, from 0 to 1.
    #[serde(default)]
    permanent_rate: f64,
    /// The share of attempts that panic, from 0 to 1.
    #[serde(default)]
    panic_rate: f64,
    /// The minimum and maximum time that an attempt waits, in milliseconds.
    #[serde(default)]
    duration_ms: Option<(u32, u32)>,
    /// The minimum and maximum time that an attempt keeps a processor busy, in milliseconds.
    #[serde(default)]
    compute_ms: Option<(u32, u32)>,
}

/// The result of an attempt after its duration.
#[derive(Debug, Clone, Copy)]
struct Luck {
    failure_rate: f64,
    permanent_rate: f64,
    panic_rate: f64,
}

/// I/O-bound tasks.
struct Waiting {
    luck: Luck,
    duration_ms: Option<(u32, u32)>,
}

/// CPU-bound tasks.
struct Computing {
    luck: Luck,
    compute_ms: (u32, u32),
}

/// The kind.
pub(super) struct ColorKind;

impl Kind for ColorKind {
    fn name(&self) -> &'static str {
        "color"
    }

    fn form(&self) -> Option<Form> {
        let preset = |name, about, side, duration_ms: [u32; 2]| Preset {
            name,
            about,
            size: (side, side),
            values: vec![("duration_ms", json!(duration_ms))],
        };
        let field = |name, label, kind| Field { name, label, kind, is_advanced: true };
        let range = FieldKind::Range {
            other_label: "Longest task",
            unit: Unit::SECONDS,
            empty: "as the size says",
            max: "3600",
            step: "0.001",
        };
        Some(Form {
            title: "Demo",
            about: "A demo: each task waits a moment, then picks a random color.",
            is_demo: true,
            presets_label: "How many squares?",
            presets: vec![
                preset("8 × 8", "0.1–2 s each", 8, [100, 2_000]),
                preset("32 × 32", "0.05–0.4 s each", 32, [50, 400]),
                preset("64 × 64", "10–150 ms each", 64, [10, 150]),
                preset("256 × 256", "up to 10 ms each", 256, [0, 10]),
                preset("1,024 × 1,024", "up to 1 ms each", 1_024, [0, 1]),
            ],
            advanced_label: "Failures and limits",
            fields: vec![
                field("failure_rate", "Simulated failure rate", FieldKind::Percent { value: "0" }),
                field("duration_ms", "Shortest task", range),
            ],
            ..Form::default()
        })
    }

    fn title(&self, _requested: &WorkSpec, grid: Grid, _file: Option<&str>) -> String {
        counted(grid.squares(), "random color")
    }

    fn build(&self, spec: &BatchSpec, _input: Option<Bytes>) -> Result<Work, String> {
        build(&spec.work)
    }
}

fn build(spec: &WorkSpec) -> Result<Work, String> {
    let Parameters { failure_rate, permanent_rate, panic_rate, duration_ms, compute_ms } = parameters(spec)?;
    let rates = [("failure_rate", failure_rate), ("permanent_rate", permanent_rate), ("panic_rate", panic_rate)];
    for (name, rate) in rates {
        if !(0.0..=1.0).contains(&rate) {
            return Err(format!("{name} must be a number from 0 to 1, not {rate}"));
        }
    }
    let sum: f64 = rates.iter().map(|(_, rate)| rate).sum();
    if sum > 1.0 {
        return Err(format!("failure_rate, permanent_rate and panic_rate must not be more than 1 together, not {sum}"));
    }
    let luck = Luck { failure_rate, permanent_rate, panic_rate };
    match (check_range("duration_ms", duration_ms)?, check_range("compute_ms", compute_ms)?) {
        (Some(_), Some(_)) => Err("a task takes duration_ms or compute_ms, not both".into()),
        (None, Some(compute_ms)) => Ok(Work::blocking(Computing { luck, compute_ms })),
        (duration_ms, None) => Ok(Work::waiting(Waiting { luck, duration_ms })),
    }
}

fn check_range(name: &str, range: Option<(u32, u32)>) -> Result<Option<(u32, u32)>, String> {
    match range {
        Some((shortest, longest)) if shortest > longest => Err(format!(
            "{name}: the shortest time ({shortest} ms) must not be longer than the longest time ({longest} ms)"
        )),
        Some((_, longest)) if longest > MAX_DURATION_MS => {
            Err(format!("{name}: the longest time must be at most {MAX_DURATION_MS} ms, not {longest} ms"))
        }
        range => Ok(range),
    }
}

/// The duration of an attempt.
fn duration(task: Task, (shortest, longest): (u32, u32)) -> Duration {
    Duration::from_millis(task.attempt_rng().random_range(shortest..=longest).into())
}

impl Luck {
    fn end(self, task: Task) -> Result<Done, TaskError> {
        let Self { failure_rate, permanent_rate, panic_rate } = self;
        if failure_rate + permanent_rate + panic_rate > 0.0 {
            let mut rng = task.attempt_rng();
            // The first number determines the duration. Using it again would correlate slow tasks with failing ones.
            rng.next_u64();
            let drawn: f64 = rng.random();
            if drawn < failure_rate {
                return Err(TaskError::retryable("unlucky: the failure rate struck"));
            }
            if drawn < failure_rate + permanent_rate {
                return Err(TaskError::permanent("out of luck: the permanent failure rate struck"));
            }
            if drawn < failure_rate + permanent_rate + panic_rate {
                panic!("the panic rate struck");
            }
        }
        Ok(Color::from_rgb(task.square_rng().next_u32()).into())
    }
}

#[async_trait]
impl AsyncWork for Waiting {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        // Even the shortest sleep takes a millisecond.
        if let Some(duration) =
            self.duration_ms.map(|range| duration(task, range)).filter(|duration| !duration.is_zero())
        {
            tokio::time::sleep(duration).await;
        }
        self.luck.end(task)
    }
}

impl BlockingWork for Computing {
    fn run(&self, task: Task, context: &TaskContext) -> Result<Done, TaskError> {
        let started = std::time::Instant::now();
        let duration = duration(task, self.compute_ms);
        let mut rng = task.attempt_rng();
        while started.elapsed() < duration {
            for _ in 0..STEPS_PER_CHECK {
                std::hint::black_box(rng.next_u64());
            }
            if context.is_over() {
                return Err(TaskError::retryable("stopped before it had computed enough"));
            }
        }
        self.luck.end(task)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quilt::Index;

    use super::*;

    fn spec(parameters: &str) -> WorkSpec {
        let parameters = serde_json::from_str(parameters).expect("an object");
        WorkSpec { kind: "color".into(), parameters }
    }

    fn waiting(parameters: &str) -> Arc<dyn AsyncWork> {
        match build(&spec(parameters)).expect("valid") {
            Work::Async(work) => work,
            Work::Blocking(_) => panic!("it waits"),
        }
    }

    fn task(index: u32, attempt: u8) -> Task {
        Task { index: Index(index), seed: 42, lap: 1, attempt, lease: Default::default() }
    }

    #[test]
    fn parameters_out_of_range_are_refused_with_their_name() {
        for (parameters, name) in [
            (r#"{"failure_rate": 1.5}"#, "failure_rate"),
            (r#"{"failure_rate": -0.1}"#, "failure_rate"),
            (r#"{"failure_rate": "often"}"#, "expected f64"),
            (r#"{"panic_rate": 2}"#, "panic_rate"),
            (r#"{"failure_rate": 0.6, "permanent_rate": 0.6}"#, "together"),
            (
                r#"{"duration_ms": [50, 10]}"#,
                "duration_ms: the shortest time (50 ms) must not be longer than the longest time (10 ms)",
            ),
            (r#"{"duration_ms": [0, 3600001]}"#, "at most 3600000 ms, not 3600001 ms"),
            (r#"{"compute_ms": [50, 10]}"#, "compute_ms"),
            (r#"{"compute_ms": [0, 1], "duration_ms": [0, 1]}"#, "not both"),
            (r#"{"speed": 9}"#, "speed"),
        ] {
            let reason = build(&spec(parameters)).err().expect(parameters);
            assert!(reason.contains(name), "{reason}");
        }
    }

    #[tokio::test]
    async fn colors_use_the_whole_range() {
        let work = waiting("{}");
        let mut sums = [0_u64; 3];
        const TASKS: u32 = 20_000;
        for index in 0..TASKS {
            let [_, red, green, blue] = work.run(task(index, 1)).await.expect("never fails").color.rgb().to_be_bytes();
            for (sum, part) in sums.iter_mut().zip([red, green, blue]) {
                *sum += u64::from(part);
            }
        }
        for sum in sums {
            let mean = sum as f64 / f64::from(TASKS);
            // Six standard deviations of the mean of 20,000 uniform bytes.
            assert!((mean - 127.5).abs() < 3.2, "mean {mean}");
        }
    }

    #[tokio::test]
    async fn failures_come_at_about_their_rate_and_not_always_to_the_same_squares() {
        let work = waiting(r#"{"failure_rate": 0.25}"#);
        let mut failures = 0;
        let mut differ = 0;
        for index in 0..4_000 {
            let first = work.run(task(index, 1)).await.is_err();
            let second = work.run(task(index, 2)).await.is_err();
            failures += u32::from(first);
            differ += u32::from(first != second);
        }
        assert!((830..=1_170).contains(&failures), "{failures} of 4000 failed");
        assert!(differ > 1_000, "{differ} of 4000 fared differently the second time");
    }

    #[test]
    fn a_task_that_computes_stops_when_nobody_waits_for_it() {
        let work = build(&spec(r#"{"compute_ms": [3600000, 3600000]}"#)).expect("valid");
        let Work::Blocking(work) = work else { panic!("it computes") };
        let deadline = tokio::time::Instant::now() + Duration::from_secs(3_600);
        let context = TaskContext { deadline, cancelled: tokio_util::sync::CancellationToken::new() };
        context.cancelled.cancel();
        assert!(work.run(task(1, 1), &context).is_err());
    }
}
