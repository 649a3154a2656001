//! A clock that advances only while messages arrive.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The maximum advance per tick. A process that was suspended for longer could not receive messages.
const MAX_STEP: Duration = Duration::from_secs(1);

/// Measures the time during which messages between nodes arrive. Silent nodes count as lost only by this clock. It does not advance while
/// the network or the message server is down, or this process is suspended.
#[derive(Default)]
pub(crate) struct LiveClock(Mutex<State>);

#[derive(Default)]
struct State {
    time: Duration,
    ticked: Option<Instant>,
    is_reachable: bool,
}

impl LiveClock {
    /// Advances the clock by the time since the last tick if messages arrive. Returns whether they arrive again after an interruption.
    pub(crate) fn tick(&self, is_reachable: bool) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(before) = state.ticked.replace(now).filter(|_| is_reachable) {
            state.time += (now - before).min(MAX_STEP);
        }
        !std::mem::replace(&mut state.is_reachable, is_reachable) && is_reachable
    }

    /// The current time.
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
        // As after a suspension of the whole process.
        tokio::time::advance(half * 100).await;
        clock.tick(true);
        assert_eq!(clock.now(), half * 2 + MAX_STEP);
    }
}
