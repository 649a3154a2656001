//! What was typed into a launch form that was posted without JavaScript.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::request::Parts;
use leptos::prelude::use_context;

/// The fields of a refused launch form: the server answers with the form, filled in with them.
///
/// An extension of the request that posts the form, where it is filled, and of the one that renders the answer.
#[derive(Debug, Clone, Default)]
pub struct Draft(Arc<Mutex<Option<HashMap<String, String>>>>);

impl Draft {
    /// Whether the form could be read.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.fields().is_some()
    }

    /// Stores the fields if the form of the present request was posted without JavaScript.
    pub(crate) fn keep(fields: &HashMap<String, String>) {
        if let Some(Self(kept)) = Self::of_request() {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(fields.clone());
        }
    }

    /// The fields that the present page is to be filled in with.
    pub(crate) fn posted() -> Option<HashMap<String, String>> {
        Self::of_request()?.fields()
    }

    fn of_request() -> Option<Self> {
        use_context::<Parts>()?.extensions.get::<Self>().cloned()
    }

    fn fields(&self) -> Option<HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
