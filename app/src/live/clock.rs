//! The visitor's time zone.

use quilt::Timestamp;
use wasm_bindgen::JsValue;

/// A moment as the time of day in the visitor's time zone. Only for the browser.
pub(crate) fn local_time(at: Timestamp) -> String {
    js_sys::Date::new(&JsValue::from_f64(at.0 as f64)).to_locale_time_string("en-US").into()
}

/// The same for a moment in RFC 3339, with the date.
pub(crate) fn local_date_time(at: &str) -> String {
    js_sys::Date::new(&JsValue::from_str(at)).to_locale_string("en-US", &JsValue::UNDEFINED).into()
}
