//! Storage and effects that keep the WebAssembly small. Leptos instantiates its storage for each closure that accesses it, and its effects
//! for each closure that they run. Here there is one instance per stored type.

use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leptos::prelude::*;

/// A handle to a value that belongs to the reactive owner and is not a signal. All copies refer to the same value.
pub(crate) struct Shared<T: Send + 'static>(StoredValue<Arc<Mutex<T>>>);

impl<T: Send + 'static> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + 'static> Copy for Shared<T> {}

impl<T: Send + 'static> Shared<T> {
    /// Stores a value until the reactive owner is disposed.
    pub(crate) fn new(value: T) -> Self {
        Self(StoredValue::new(Arc::new(Mutex::new(value))))
    }

    /// Reads or changes the value. `None` if the reactive owner is gone. `act` must not call it again: that would deadlock.
    pub(crate) fn with<R>(self, act: impl FnOnce(&mut T) -> R) -> Option<R> {
        let value = self.0.try_get_value()?;
        Some(act(&mut lock(&value)))
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic ends the page or the request, so nobody reads an inconsistent value.
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a function as an effect, again whenever a signal that it reads changes.
pub(crate) fn effect(run: impl FnMut() + 'static) {
    boxed(Box::new(run));
}

fn boxed(mut run: Box<dyn FnMut()>) {
    Effect::new(move |_| run());
}

/// Runs a function once after a delay.
pub(crate) fn later(run: impl FnOnce() + 'static, time: Duration) {
    timer(Box::new(run), time);
}

fn timer(run: Box<dyn FnOnce()>, time: Duration) {
    set_timeout(run, time);
}

/// Runs a function at each interval, in the browser, until the reactive owner is disposed.
pub(crate) fn at_interval(run: impl Fn() + 'static, interval: Duration) {
    let run: Rc<dyn Fn()> = Rc::new(run);
    effect(move || {
        let run = Rc::clone(&run);
        // Fails only outside of a window.
        if let Ok(timer) = set_interval_with_handle(move || run(), interval) {
            on_cleanup(move || timer.clear());
        }
    });
}

/// Runs a function once before the next frame.
pub(crate) fn before_frame(run: impl FnOnce() + 'static) {
    frame(Box::new(run));
}

fn frame(run: Box<dyn FnOnce()>) {
    request_animation_frame(run);
}
