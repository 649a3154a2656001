//! What a panic says.

use std::any::Any;

/// Stands for a panic that says nothing that can be read.
pub(crate) const NO_MESSAGE: &str = "no message";

/// The message of a panic that was caught.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or(NO_MESSAGE)
}
