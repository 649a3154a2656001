//! The cookies of the page. That of the session is set by the server.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use leptos::prelude::{expect_context, use_context};
use leptos_axum::ResponseOptions;
use time::Duration;

use crate::server::AppContext;

/// A cookie of this site.
pub(crate) struct SiteCookie {
    name: &'static str,
    max_age: Duration,
    /// Whether it is hidden from scripts.
    is_http_only: bool,
}

/// The chosen theme.
pub(crate) const THEME: SiteCookie =
    SiteCookie { name: "quilt_theme", max_age: Duration::days(365), is_http_only: false };

/// What was deleted, until the next page displays it.
pub(crate) const DELETION: SiteCookie =
    SiteCookie { name: "quilt_deletion", max_age: Duration::minutes(1), is_http_only: true };

impl SiteCookie {
    /// Its value in the present request.
    pub(crate) fn get(&self) -> Option<String> {
        self.find(&use_context::<Parts>()?.headers)
    }

    /// Adds it to the present response.
    pub(crate) fn set(&self, value: &str) {
        self.send(value, self.max_age);
    }

    /// Removes it with the present response.
    pub(crate) fn remove(&self) {
        self.send("", Duration::ZERO);
    }

    fn find(&self, headers: &HeaderMap) -> Option<String> {
        CookieJar::from_headers(headers).get(self.name).map(|cookie| cookie.value().to_owned())
    }

    fn send(&self, value: &str, max_age: Duration) {
        let cookie = self.header(value, max_age, expect_context::<AppContext>().is_secure);
        if let (Some(response), Ok(cookie)) = (use_context::<ResponseOptions>(), HeaderValue::try_from(cookie)) {
            response.append_header(header::SET_COOKIE, cookie);
        }
    }

    fn header(&self, value: &str, max_age: Duration, is_secure: bool) -> String {
        let cookie = Cookie::build((self.name, value.to_owned()))
            .http_only(self.is_http_only)
            .same_site(SameSite::Lax)
            .secure(is_secure)
            .max_age(max_age)
            .path("/");
        cookie.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("xquilt_theme=light; a=b"));
        headers.append(header::COOKIE, HeaderValue::from_static("quilt_theme=dark; quilt_theme2=light"));
        assert_eq!(THEME.find(&headers).as_deref(), Some("dark"));
        assert_eq!(DELETION.find(&headers), None);
    }

    #[test]
    fn cookies_are_secure_where_the_site_is() {
        let attributes = |header: String| {
            let mut attributes: Vec<String> = header.split("; ").map(str::to_owned).collect();
            attributes.sort_unstable();
            attributes
        };
        assert_eq!(
            attributes(THEME.header("dark", THEME.max_age, true)),
            ["Max-Age=31536000", "Path=/", "SameSite=Lax", "Secure", "quilt_theme=dark"]
        );
        assert_eq!(
            attributes(DELETION.header("", Duration::ZERO, false)),
            ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Lax", "quilt_deletion="]
        );
    }
}
