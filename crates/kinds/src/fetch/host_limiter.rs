//! Limits the concurrency and the rate of requests per host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use url::Url;

/// Idle hosts are removed when this many are stored.
const PRUNE_THRESHOLD: usize = 10_000;

/// A task waits this long for a paused host. If the pause is longer, its worker runs other tasks instead.
const MAX_PAUSE_WAIT: Duration = Duration::from_secs(2);

/// The limits of one batch on one node.
pub(super) struct HostLimiter {
    max_concurrent: usize,
    /// The minimum time between the starts of two requests to the same host.
    interval: Option<Duration>,
    hosts: Mutex<HashMap<String, Arc<HostState>>>,
}

struct HostState {
    permits: Arc<Semaphore>,
    schedule: Mutex<Schedule>,
}

/// The next request may start when both times have passed.
#[derive(Clone, Copy)]
struct Schedule {
    /// The end of the interval after the last request.
    next_start: Instant,
    /// The end of the pause that the host requested.
    paused_until: Instant,
}

impl HostLimiter {
    pub(super) fn new(max_concurrent: usize, interval: Option<Duration>) -> Self {
        Self { max_concurrent, interval, hosts: Mutex::default() }
    }

    /// Waits until a request to the URL's host may start. The host counts the request as running until the permit is dropped.
    ///
    /// # Errors
    ///
    /// The remaining pause of the host, if it exceeds [`MAX_PAUSE_WAIT`].
    pub(super) async fn acquire(&self, url: &Url) -> Result<Option<OwnedSemaphorePermit>, Duration> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.host(url).permits).acquire_owned().await.ok();
        self.pace(url).await?;
        Ok(permit)
    }

    /// Waits until the interval after the last request to the URL's host, and its pause, have passed.
    ///
    /// # Errors
    ///
    /// The remaining pause of the host, if it exceeds [`MAX_PAUSE_WAIT`].
    pub(super) async fn pace(&self, url: &Url) -> Result<(), Duration> {
        let host = self.host(url);
        loop {
            let now = Instant::now();
            let start = {
                let mut schedule = host.schedule.lock().unwrap_or_else(PoisonError::into_inner);
                let pause = schedule.paused_until.saturating_duration_since(now);
                if pause > MAX_PAUSE_WAIT {
                    return Err(pause);
                }
                if schedule.next_start <= now && pause.is_zero() {
                    schedule.next_start = now + self.interval.unwrap_or_default();
                    return Ok(());
                }
                schedule.next_start.max(schedule.paused_until)
            };
            sleep_until(start).await;
        }
    }

    /// Delays requests to the URL's host. An earlier, longer pause stays in effect.
    pub(super) fn pause_host(&self, url: &Url, pause: Duration) {
        let host = self.host(url);
        let mut schedule = host.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        schedule.paused_until = schedule.paused_until.max(Instant::now() + pause);
    }

    fn host(&self, url: &Url) -> Arc<HostState> {
        let name = url.host_str().unwrap_or_default();
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Arc::clone(host);
        }
        let now = Instant::now();
        let schedule = Mutex::new(Schedule { next_start: now, paused_until: now });
        // Redirects can lead to any number of hosts, so idle ones are removed.
        if hosts.len() >= PRUNE_THRESHOLD {
            hosts.retain(|_, host| {
                let schedule = host.schedule.lock().unwrap_or_else(PoisonError::into_inner);
                let is_busy = host.permits.available_permits() < self.max_concurrent;
                is_busy || schedule.next_start > now || schedule.paused_until > now
            });
        }
        let host = Arc::new(HostState { permits: Arc::new(Semaphore::new(self.max_concurrent)), schedule });
        hosts.insert(name.into(), Arc::clone(&host));
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str) -> Url {
        Url::parse(&format!("http://{host}/")).expect("a URL")
    }

    #[tokio::test(start_paused = true)]
    async fn interval_applies_to_each_host_separately() {
        let hosts = HostLimiter::new(8, Some(Duration::from_millis(100)));
        let started = Instant::now();
        for _ in 0..4 {
            hosts.acquire(&url("a")).await.expect("not paused");
        }
        assert_eq!(started.elapsed().as_millis() / 10, 30);
        hosts.acquire(&url("b")).await.expect("not paused");
        assert_eq!(started.elapsed().as_millis() / 10, 30);
        hosts.pace(&url("a")).await.expect("not paused");
        assert_eq!(started.elapsed().as_millis() / 10, 40, "with or without a permit");
    }

    #[tokio::test(start_paused = true)]
    async fn long_pause_is_an_error_and_short_pause_delays() {
        let hosts = HostLimiter::new(8, None);
        let started = Instant::now();
        hosts.pause_host(&url("a"), Duration::from_secs(7));
        hosts.pause_host(&url("a"), Duration::from_secs(1));
        assert_eq!(hosts.acquire(&url("a")).await.err(), Some(Duration::from_secs(7)), "the longer pause applies");
        sleep_until(started + Duration::from_secs(6)).await;
        hosts.acquire(&url("a")).await.expect("1 s remains");
        assert_eq!(started.elapsed().as_secs(), 7);
    }

    #[tokio::test]
    async fn dropped_permit_is_available_again() {
        let hosts = HostLimiter::new(1, None);
        let permit = hosts.acquire(&url("a")).await.expect("not paused");
        let url = url("a");
        let mut next = std::pin::pin!(hosts.acquire(&url));
        assert!(futures::poll!(&mut next).is_pending());
        drop(permit);
        assert!(next.await.expect("not paused").is_some());
    }
}
