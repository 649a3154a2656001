//! The tasks that are left at the end.

use leptos::prelude::*;
use quilt::wire::{Load, Running};
use quilt::{Square, SquareState};
use viewer::{Viewer, address, format};

use super::running::square_of;
use crate::components::shared::{Each, When, each, flag, keys, maybe, text};
use crate::components::square_link::SquareLink;
use crate::live::use_batch;

/// When less than this part of the tasks is left, those are named.
const STRAGGLING_SHARE: u32 = 100;

/// The most tasks that are named.
const MAX_STRAGGLERS: usize = 12;

/// Nothing until only a few are left.
#[component]
pub(crate) fn Stragglers() -> impl IntoView {
    let channel = use_batch().channel;
    let stragglers = Memo::new(move |_| {
        channel.told.race_version.track();
        let progress = channel.progress.get();
        let few = (progress.tasks / STRAGGLING_SHARE).max(1);
        let load = channel.told.load.get().filter(|_| channel.is_running() && progress.pending() <= few)?;
        channel.quilt.with_untracked(|viewer| find(viewer, &load))
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

/// The running tasks without an outcome, longest first.
fn find(viewer: &Viewer, load: &Load) -> Vec<(Square, String)> {
    let Some(quilt) = viewer.quilt() else { return Vec::new() };
    let is_pending =
        |running: &&Running| square_of(viewer, running).is_some() && quilt.at(running.position) == SquareState::Pending;
    let running = once_each(load.longest.iter().filter(is_pending));
    let describe = |running: &Running| {
        let since = format::duration(load.now.millis_since(running.started_at));
        let words = format!(", attempt {}, for {since} on {}", running.attempt, running.worker);
        Some((square_of(viewer, running)?, words))
    };
    running.into_iter().take(MAX_STRAGGLERS).filter_map(describe).collect()
}

/// The longest run of each task: two workers may run the same one. Longest first, as they come.
fn once_each<'load>(running: impl Iterator<Item = &'load Running>) -> Vec<&'load Running> {
    let mut once: Vec<&Running> = Vec::new();
    for running in running {
        if once.iter().all(|known| known.position != running.position) {
            once.push(running);
        }
    }
    once
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
        assert_eq!(once_each(all.iter()), [&all[0], &all[1]]);
    }
}
