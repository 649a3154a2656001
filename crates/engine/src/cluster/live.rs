//! The time in which messages arrive.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most time that passes between two ticks: a process that did not run for longer could not receive anything either.
const MAX_STEP: Duration = Duration::from_secs(1);

/// Counts the time in which messages between nodes arrive. A node that is silent is lost only by this time: while the network or the message
/// server is away, and while this process is stopped, it stands still.
#[derive(Default)]
pub(crate) struct LiveClock(Mutex<State>);

#[derive(Default)]
struct State {
    time: Duration,
    ticked: Option<Instant>,
    is_reachable: bool,
}

impl LiveClock {
    /// Takes account of the time since the last tick, if messages arrived in it. Returns whether they arrive again after a break.
    pub(crate) fn tick(&self, is_reachable: bool) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(before) = state.ticked.replace(now).filter(|_| is_reachable) {
            state.time += (now - before).min(MAX_STEP);
        }
        !std::mem::replace(&mut state.is_reachable, is_reachable) && is_reachable
    }

    /// The time so far.
    pub(crate) fn now(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_time_in_which_messages_arrive_counts() {
        let clock = LiveClock::default();
        let half = Duration::from_millis(500);
        assert!(clock.tick(true));
        for (is_reachable, is_back) in [(true, false), (false, false), (true, true)] {
            tokio::time::advance(half).await;
            assert_eq!(clock.tick(is_reachable), is_back);
        }
        assert_eq!(clock.now(), half * 2);
        // As after a stop of the whole process.
        tokio::time::advance(half * 100).await;
        clock.tick(true);
        assert_eq!(clock.now(), half * 2 + MAX_STEP);
    }
}
