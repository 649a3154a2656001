//! How far a batch is, how fast it goes, and how long it will take.

use quilt::{Progress, Status, Summary};

use crate::format;
use crate::html::percent;
use crate::page::{Pace, State};

/// The bar and the figures below it.
pub(super) fn html(state: &State) -> String {
    let State { summary, pace, load, .. } = state;
    let elapsed = state.elapsed();
    let Progress { tasks, done, failed } = summary.progress;
    let is_moving = summary.status == Status::Running;
    let rate = match pace {
        Some(pace) if is_moving => format::rate(pace.rate),
        _ if is_moving => "…".into(),
        _ => average_rate(summary, elapsed),
    };
    let left = match pace {
        Some(pace) if is_moving => time_left(summary.progress.pending(), *pace),
        _ if is_moving => "…".into(),
        _ => "–".into(),
    };
    let workers = match load {
        Some(load) if !summary.status.is_over() => format!("{} of {}", load.busy(), load.workers.len()),
        _ => "–".into(),
    };
    let figures = [
        ("Done", format::count(done)),
        ("Failed", format::count(failed)),
        ("Pending", format::count(summary.progress.pending())),
        ("Rate", rate),
        ("Elapsed", format::duration(elapsed)),
        ("Time left", left),
        ("Workers", workers),
    ];
    let figures: String = figures
        .iter()
        .map(|(name, value)| format!(r#"<div class="figure"><dt>{name}</dt><dd>{value}</dd></div>"#))
        .collect();
    let settled = format::count(done + failed);
    let text = format!(
        "{settled} of {}: {} done, {} failed",
        format::squares(tasks),
        format::count(done),
        format::count(failed)
    );
    let stuck = load.as_ref().map(|load| load.stuck).filter(|stuck| *stuck > 0).map_or(String::new(), |stuck| {
        format!("{stuck} of the server's workers wait for tasks that do not stop though their time is over.")
    });
    format!(
        concat!(
            r#"<div class="bar" role="progressbar" aria-label="Settled squares" aria-valuemin="0" aria-valuemax="{tasks}" "#,
            r#"aria-valuenow="{settled_now}" aria-valuetext="{text}"><span class="bar-done" style="width:{done}"></span>"#,
            r#"<span class="bar-failed" style="width:{failed}"></span></div>"#,
            r#"<dl class="figures">{figures}</dl><p class="stuck">{stuck}</p>"#
        ),
        tasks = tasks,
        settled_now = done + failed,
        text = text,
        done = percent(done.into(), tasks.into()),
        failed = percent(failed.into(), tasks.into()),
        figures = figures,
        stuck = stuck,
    )
}

/// A range, as wide as the rate varies: a single number would promise more than anybody knows.
fn time_left(pending: u32, pace: Pace) -> String {
    let at = |rate: f64| (f64::from(pending) / rate * 1_000.0) as u64;
    match (pace.rate > 0.0, pace.slowest > 0.0) {
        (false, _) => "…".into(),
        (true, false) => format!("over {}", format::duration(at(pace.fastest))),
        (true, true) => format::range(at(pace.fastest), at(pace.slowest)),
    }
}

/// The rate over a lap that is finished.
fn average_rate(summary: &Summary, elapsed: u64) -> String {
    let seconds = elapsed.max(1) as f64 / 1_000.0;
    if summary.status == Status::Finished { format::rate(f64::from(summary.lap_tasks) / seconds) } else { "–".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_a_range_that_is_as_wide_as_the_rate_varies() {
        let steady = Pace { rate: 10.0, slowest: 10.0, fastest: 10.0 };
        assert_eq!(time_left(100, steady), "10 s");
        assert_eq!(time_left(100, Pace { rate: 10.0, slowest: 5.0, fastest: 20.0 }), "5–20 s");
        assert_eq!(time_left(100, Pace { rate: 1.0, slowest: 0.0, fastest: 2.0 }), "over 50.0 s");
        assert_eq!(time_left(100, Pace { rate: 0.0, slowest: 0.0, fastest: 0.0 }), "…");
    }
}
