//! Whether a lease is still valid, for its worker.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The validity of leases that are confirmed together.
pub(crate) struct Validity {
    state: watch::Sender<State>,
    /// Whether the state is [`State::Always`], readable without a lock: every task asks.
    is_always: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Always,
    Until(Instant),
    Lost,
}

impl Validity {
    /// Within one process, a lease is valid as long as its worker's future exists.
    pub(crate) fn always() -> Self {
        Self { state: watch::Sender::new(State::Always), is_always: AtomicBool::new(true) }
    }

    /// Valid until a time, unless renewed.
    pub(crate) fn until(moment: Instant) -> Self {
        Self { state: watch::Sender::new(State::Until(moment)), is_always: AtomicBool::new(false) }
    }

    /// Extends the validity.
    pub(crate) fn renew(&self, moment: Instant) {
        self.state.send_modify(|state| {
            if let State::Until(until) = state {
                *until = moment.max(*until);
            }
        });
    }

    /// Invalidates the leases permanently.
    pub(crate) fn lose(&self) {
        self.is_always.store(false, Ordering::Relaxed);
        self.state.send_replace(State::Lost);
    }

    /// Whether the leases are valid at this moment.
    pub(crate) fn holds(&self) -> bool {
        if self.is_always.load(Ordering::Relaxed) {
            return true;
        }
        match *self.state.borrow() {
            State::Always => true,
            State::Until(until) => Instant::now() < until,
            State::Lost => false,
        }
    }

    /// Waits until the leases are confirmed. Returns `false` if they are lost, or not confirmed within `patience`.
    pub(crate) async fn is_confirmed(&self, patience: std::time::Duration) -> bool {
        let mut states = self.state.subscribe();
        let end = Instant::now() + patience;
        loop {
            if self.holds() {
                return true;
            }
            if *states.borrow_and_update() == State::Lost {
                return false;
            }
            tokio::select! {
                biased;
                changed = states.changed() => if changed.is_err() { return false },
                () = sleep_until(end) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_lease_holds_until_its_time_and_again_when_it_is_renewed() {
        let validity = Validity::until(Instant::now() + SECOND);
        assert!(validity.holds());
        tokio::time::advance(SECOND).await;
        assert!(!validity.holds() && !validity.is_confirmed(SECOND).await);
        validity.renew(Instant::now() + SECOND);
        assert!(validity.is_confirmed(SECOND).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_is_never_confirmed() {
        let validity = Validity::always();
        assert!(validity.holds());
        validity.lose();
        validity.renew(Instant::now() + SECOND);
        let started = Instant::now();
        assert!(!validity.is_confirmed(SECOND * 60).await);
        assert_eq!(started.elapsed(), Duration::ZERO, "it does not wait for it");
    }
}
