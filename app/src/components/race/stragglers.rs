//! The last running tasks of a batch.

use leptos::prelude::*;
use quilt::wire::{Load, Running};
use quilt::{Square, SquareState};
use viewer::{Viewer, address, format};

use super::running::square_of;
use crate::components::shared::{Each, When, each, flag, keys, maybe, text};
use crate::components::square_link::SquareLink;
use crate::live::use_batch;

/// Stragglers are displayed when at most one in this many tasks is left.
const STRAGGLING_SHARE: u32 = 100;

/// The maximum number of tasks to list.
const MAX_STRAGGLERS: usize = 12;

/// The list of stragglers. It is empty until few tasks are left.
#[component]
pub(crate) fn Stragglers() -> impl IntoView {
    let channel = use_batch().channel;
    let stragglers = Memo::new(move |_| {
        channel.signals.race_version.track();
        let progress = channel.progress.get();
        let few = (progress.tasks / STRAGGLING_SHARE).max(1);
        let load = channel.signals.load.get().filter(|_| channel.is_running() && progress.pending() <= few)?;
        channel.quilt.with_untracked(|viewer| find_stragglers(viewer, &load))
    });
    let is_late = flag(move || stragglers.with(Option::is_some));
    let squares = keys(move || {
        let key = |(Square { row, column }, _): &(Square, String)| format!("{row},{column}");
        stragglers.with(|all| all.iter().flatten().map(key).collect())
    });
    let item = move |key: String| {
        let square = address::square(&key);
        let words = text(move || {
            let of_square = |(of, _): &&(Square, String)| Some(*of) == square;
            stragglers
                .with(|all| all.iter().flatten().find(of_square).map_or(String::new(), |(_, words)| words.clone()))
        });
        view! { <li>{maybe(square.map(|square| view! { <SquareLink square /> }))}{words}</li> }
    };
    view! {
        <When condition=is_late>
            <section class="stragglers" aria-label="Stragglers">
                <h3>"The last " {text(move || format::squares(channel.progress.get().pending()))}</h3>
                <ul>
                    <Each keys=squares view=each(item) />
                </ul>
            </section>
        </When>
    }
}

/// The running tasks without an outcome, longest-running first, with a description of each.
fn find_stragglers(viewer: &Viewer, load: &Load) -> Vec<(Square, String)> {
    let Some(quilt) = viewer.quilt() else { return Vec::new() };
    let is_pending =
        |running: &&Running| square_of(viewer, running).is_some() && quilt.at(running.position) == SquareState::Pending;
    let running = longest_per_task(load.longest.iter().filter(is_pending));
    let describe = |running: &Running| {
        let since = format::duration(load.now.millis_since(running.started_at));
        let words = format!(", attempt {}, for {since} on {}", running.attempt, running.worker);
        Some((square_of(viewer, running)?, words))
    };
    running.into_iter().take(MAX_STRAGGLERS).filter_map(describe).collect()
}

/// Removes all but the first, longest run of each task, because two workers can run the same task.
fn longest_per_task<'load>(running: impl Iterator<Item = &'load Running>) -> Vec<&'load Running> {
    let mut longest: Vec<&Running> = Vec::new();
    for running in running {
        if longest.iter().all(|known| known.position != running.position) {
            longest.push(running);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use quilt::{Position, Timestamp};

    use super::*;

    #[test]
    fn a_task_that_two_workers_run_is_named_once() {
        let running = |worker: &str, position, started_at| Running {
            worker: worker.into(),
            position: Position(position),
            attempt: 1,
            started_at: Timestamp(started_at),
        };
        let all = [running("c", 7, 10), running("b", 3, 20), running("a", 7, 30)];
        assert_eq!(longest_per_task(all.iter()), [&all[0], &all[1]]);
    }
}
