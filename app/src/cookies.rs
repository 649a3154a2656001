//! The cookies of the page. That of the session is set by the server.

use std::time::Duration;

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;

use crate::server::is_secure;

/// A cookie of this site.
pub(crate) struct SiteCookie {
    name: &'static str,
    max_age: Duration,
    /// The name of the attribute that hides it from scripts, or nothing.
    http_only: &'static str,
}

/// The chosen theme.
pub(crate) const THEME: SiteCookie =
    SiteCookie { name: "quilt_theme", max_age: Duration::from_secs(365 * 24 * 60 * 60), http_only: "" };

/// What was deleted, until the next page displays it.
pub(crate) const DELETION: SiteCookie =
    SiteCookie { name: "quilt_deletion", max_age: Duration::from_secs(60), http_only: "; HttpOnly" };

impl SiteCookie {
    /// Its value in the present request.
    pub(crate) fn get(&self) -> Option<String> {
        self.find(&use_context::<Parts>()?.headers)
    }

    /// Adds it to the present response. The value consists of characters that need no quotes.
    pub(crate) fn set(&self, value: &str) {
        append(&self.header(value, self.max_age, is_secure()));
    }

    /// Removes it with the present response.
    pub(crate) fn remove(&self) {
        append(&self.header("", Duration::ZERO, is_secure()));
    }

    fn find(&self, headers: &HeaderMap) -> Option<String> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.name).map(|(_, value)| value.to_owned())
    }

    /// It is sent over https only where the session is.
    fn header(&self, value: &str, max_age: Duration, is_secure: bool) -> String {
        let Self { name, http_only, .. } = self;
        let secure = if is_secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; Max-Age={}; SameSite=Lax{http_only}{secure}", max_age.as_secs())
    }
}

fn append(header: &str) {
    if let (Some(response), Ok(header)) = (use_context::<ResponseOptions>(), HeaderValue::try_from(header)) {
        response.append_header(SET_COOKIE, header);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("xquilt_theme=light; a=b"));
        headers.append(COOKIE, HeaderValue::from_static("quilt_theme=dark; quilt_theme2=light"));
        assert_eq!(THEME.find(&headers).as_deref(), Some("dark"));
        assert_eq!(DELETION.find(&headers), None);
    }

    #[test]
    fn cookies_are_secure_where_the_site_is() {
        assert_eq!(
            THEME.header("dark", THEME.max_age, true),
            "quilt_theme=dark; Path=/; Max-Age=31536000; SameSite=Lax; Secure"
        );
        assert_eq!(
            DELETION.header("", Duration::ZERO, false),
            "quilt_deletion=; Path=/; Max-Age=0; SameSite=Lax; HttpOnly"
        );
    }
}
