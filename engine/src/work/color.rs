//! `color`: a random colour, after some time, or a failure, for demonstrations and tests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quilt::{Color, WorkSpec};
use rand::{Rng, RngExt};
use serde::Deserialize;

use super::{Task, TaskError, Work};

/// The longest time that a task can be told to take, in milliseconds.
const MAX_DURATION_MS: u32 = 3_600_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// The share of attempts that fail, from 0 to 1.
    #[serde(default)]
    failure_rate: f64,
    /// The shortest and the longest time an attempt takes, in milliseconds.
    #[serde(default)]
    duration_ms: Option<(u32, u32)>,
}

struct ColorWork {
    failure_rate: f64,
    duration_ms: Option<(u32, u32)>,
}

pub(super) fn build(spec: &WorkSpec) -> Result<Arc<dyn Work>, String> {
    let parameters = serde_json::Value::Object(spec.parameters.clone());
    let Parameters { failure_rate, duration_ms } =
        serde_json::from_value(parameters).map_err(|error| error.to_string())?;
    if !(0.0..=1.0).contains(&failure_rate) {
        return Err(format!("failure_rate must be a number from 0 to 1, not {failure_rate}"));
    }
    if let Some((shortest, longest)) = duration_ms
        && (shortest > longest || longest > MAX_DURATION_MS)
    {
        return Err(format!(
            "duration_ms must be the shortest and the longest time, in this order and up to {MAX_DURATION_MS}, not [{shortest}, {longest}]"
        ));
    }
    Ok(Arc::new(ColorWork { failure_rate, duration_ms }))
}

#[async_trait]
impl Work for ColorWork {
    async fn run(&self, task: Task) -> Result<Color, TaskError> {
        if let Some((shortest, longest)) = self.duration_ms {
            let millis = task.attempt_rng().random_range(shortest..=longest);
            tokio::time::sleep(Duration::from_millis(millis.into())).await;
        }
        if self.failure_rate > 0.0 {
            let mut rng = task.attempt_rng();
            // The first number has decided the duration, and would tie slow tasks to failing ones.
            rng.next_u64();
            if rng.random_bool(self.failure_rate) {
                return Err(TaskError::Retryable("unlucky: the failure rate struck".into()));
            }
        }
        Ok(Color::from_rgb(task.square_rng().next_u32()))
    }
}

#[cfg(test)]
mod tests {
    use quilt::Index;

    use super::*;

    fn spec(parameters: &str) -> WorkSpec {
        let parameters = serde_json::from_str(parameters).expect("an object");
        WorkSpec { kind: "color".into(), parameters }
    }

    fn task(index: u32, attempt: u8) -> Task {
        Task { index: Index(index), seed: 42, lap: 1, attempt }
    }

    #[test]
    fn parameters_out_of_range_are_refused_with_their_name() {
        for (parameters, name) in [
            (r#"{"failure_rate": 1.5}"#, "failure_rate"),
            (r#"{"failure_rate": -0.1}"#, "failure_rate"),
            (r#"{"failure_rate": "often"}"#, "expected f64"),
            (r#"{"duration_ms": [50, 10]}"#, "duration_ms"),
            (r#"{"duration_ms": [0, 3600001]}"#, "duration_ms"),
            (r#"{"speed": 9}"#, "speed"),
        ] {
            let reason = build(&spec(parameters)).err().expect(parameters);
            assert!(reason.contains(name), "{reason}");
        }
    }

    #[tokio::test]
    async fn colours_use_the_whole_range() {
        let work = build(&spec("{}")).expect("valid");
        let mut sums = [0_u64; 3];
        const TASKS: u32 = 20_000;
        for index in 0..TASKS {
            let [_, red, green, blue] = work.run(task(index, 1)).await.expect("never fails").rgb().to_be_bytes();
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
        let work = build(&spec(r#"{"failure_rate": 0.25}"#)).expect("valid");
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
}
