//! What keeps the WebAssembly small: Leptos compiles its storage anew for each closure that looks into it, and effects for each closure that
//! they run. Here it is one instance for each type that is stored.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leptos::prelude::*;

/// A value that belongs to the reactive owner and is no signal. A handle: all copies are the same value.
pub(crate) struct Shared<T: Send + 'static>(StoredValue<Arc<Mutex<T>>>);

impl<T: Send + 'static> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + 'static> Copy for Shared<T> {}

impl<T: Send + 'static> Shared<T> {
    /// Stores a value until the owner is gone.
    pub(crate) fn new(value: T) -> Self {
        Self(StoredValue::new(Arc::new(Mutex::new(value))))
    }

    /// Looks at the value, or changes it. `None` where the owner is gone. It must not be called again from `act`.
    pub(crate) fn with<R>(self, act: impl FnOnce(&mut T) -> R) -> Option<R> {
        let value = self.0.try_get_value()?;
        Some(act(&mut lock(&value)))
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic ends the page in the browser, and the request on the server.
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs something now, and again whenever a signal that it reads has changed.
pub(crate) fn effect(run: impl FnMut() + 'static) {
    boxed(Box::new(run));
}

fn boxed(mut run: Box<dyn FnMut()>) {
    Effect::new(move |_| run());
}

/// Runs something once after a time.
pub(crate) fn later(run: impl FnOnce() + 'static, time: Duration) {
    timer(Box::new(run), time);
}

fn timer(run: Box<dyn FnOnce()>, time: Duration) {
    set_timeout(run, time);
}

/// Runs something once before the next frame.
pub(crate) fn before_frame(run: impl FnOnce() + 'static) {
    frame(Box::new(run));
}

fn frame(run: Box<dyn FnOnce()>) {
    request_animation_frame(run);
}
