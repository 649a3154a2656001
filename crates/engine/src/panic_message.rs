//! The messages of panics.

use std::any::Any;

/// The message for panics without a readable one.
pub(crate) const NO_MESSAGE: &str = "no message";

/// The message of a caught panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or(NO_MESSAGE)
}
