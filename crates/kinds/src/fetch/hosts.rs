//! How often each host is asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use url::Url;

/// How many hosts are remembered before those are forgotten that need not be.
const MAX_HOSTS: usize = 10_000;

/// What one batch asks of each host at the same time, and how fast.
pub(super) struct Hosts {
    at_once: usize,
    /// The time between two requests to the same host.
    pause: Option<Duration>,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

struct Host {
    places: Arc<Semaphore>,
    times: Mutex<Times>,
}

/// When a host may be asked again.
#[derive(Clone, Copy)]
struct Times {
    /// Because of the pace.
    next: Instant,
    /// Because it has asked for a pause.
    held_until: Instant,
}

/// How long a task waits for a host that has asked for a pause. For longer it gives way to others.
const PATIENCE: Duration = Duration::from_secs(2);

impl Hosts {
    pub(super) fn new(at_once: usize, pause: Option<Duration>) -> Self {
        Self { at_once, pause, hosts: Mutex::default() }
    }

    /// Waits for a place with the host of an address.
    ///
    /// # Errors
    ///
    /// How long the host wants to be left alone, if that is long.
    pub(super) async fn wait_for(&self, url: &Url) -> Result<Option<OwnedSemaphorePermit>, Duration> {
        let host = self.host(url);
        // Never closed.
        let place = Arc::clone(&host.places).acquire_owned().await.ok();
        loop {
            let now = Instant::now();
            let next = {
                let mut times = host.times.lock().unwrap_or_else(PoisonError::into_inner);
                let held = times.held_until.saturating_duration_since(now);
                if held > PATIENCE {
                    return Err(held);
                }
                if times.next <= now && held.is_zero() {
                    times.next = now + self.pause.unwrap_or_default();
                    return Ok(place);
                }
                times.next.max(times.held_until)
            };
            sleep_until(next).await;
        }
    }

    /// Asks a host nothing more for a while: it has said so.
    pub(super) fn hold(&self, url: &Url, pause: Duration) {
        let host = self.host(url);
        let mut times = host.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.held_until = times.held_until.max(Instant::now() + pause);
    }

    fn host(&self, url: &Url) -> Arc<Host> {
        let name = url.host_str().unwrap_or_default();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Arc::clone(host);
        }
        let now = Instant::now();
        let times = Mutex::new(Times { next: now, held_until: now });
        // Redirections lead to ever more hosts. Those that nobody waits for, and that have no time to keep, are forgotten.
        if hosts.len() >= MAX_HOSTS {
            hosts.retain(|_, host| {
                let times = host.times.lock().unwrap_or_else(PoisonError::into_inner);
                host.places.available_permits() < self.at_once || times.next > now || times.held_until > now
            });
        }
        let host = Arc::new(Host { places: Arc::new(Semaphore::new(self.at_once)), times });
        hosts.insert(name.into(), Arc::clone(&host));
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str) -> Url {
        Url::parse(&format!("http://{host}/")).expect("an address")
    }

    #[tokio::test(start_paused = true)]
    async fn requests_to_a_host_are_apart_and_other_hosts_do_not_wait() {
        let hosts = Hosts::new(8, Some(Duration::from_millis(100)));
        let started = Instant::now();
        for _ in 0..4 {
            hosts.wait_for(&url("a")).await.expect("it is not held");
        }
        assert_eq!(started.elapsed().as_millis() / 10, 30);
        hosts.wait_for(&url("b")).await.expect("it is not held");
        assert_eq!(started.elapsed().as_millis() / 10, 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_asks_for_a_pause_gets_it() {
        let hosts = Hosts::new(8, None);
        let started = Instant::now();
        hosts.hold(&url("a"), Duration::from_secs(7));
        hosts.hold(&url("a"), Duration::from_secs(1));
        assert_eq!(hosts.wait_for(&url("a")).await.err(), Some(Duration::from_secs(7)), "others come first");
        sleep_until(started + Duration::from_secs(6)).await;
        hosts.wait_for(&url("a")).await.expect("it is not long any more");
        assert_eq!(started.elapsed().as_secs(), 7);
    }

    #[tokio::test]
    async fn places_are_given_back() {
        let hosts = Hosts::new(1, None);
        let place = hosts.wait_for(&url("a")).await.expect("it is not held");
        let address = url("a");
        let mut next = std::pin::pin!(hosts.wait_for(&address));
        assert!(futures::poll!(&mut next).is_pending());
        drop(place);
        assert!(next.await.expect("it is not held").is_some());
    }
}
