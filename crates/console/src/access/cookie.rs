//! The two cookies there are: a session's key, and the secret of a sign-in that is under way at a provider.
//!
//! Each is made of letters, digits, `-` and `_`, so nothing has to be encoded. Read and written by hand, as the
//! libraries for it bring features of other crates with them that make all of the program be built anew.

use axum::http::header::{COOKIE, HeaderName, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};

use crate::site::Site;
use crate::store::CROSSING_LASTS;

/// What a browser keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cookie {
    /// A session's key, until the browser is closed.
    Session,
    /// What binds a sign-in at a provider to the browser that began it, for as long as that may take.
    Crossing,
}

impl Cookie {
    /// Its name. With TLS the name itself forbids other hosts to set it.
    fn name(self, is_secure: bool) -> &'static str {
        match (self, is_secure) {
            (Self::Session, true) => "__Host-davylamp",
            (Self::Session, false) => "davylamp",
            (Self::Crossing, true) => "__Host-davylamp-crossing",
            (Self::Crossing, false) => "davylamp-crossing",
        }
    }

    /// What a browser sent.
    pub(super) fn given<'a>(self, site: &Site, headers: &'a HeaderMap) -> Option<&'a str> {
        self.read(site.is_secure(), headers)
    }

    fn read(self, is_secure: bool, headers: &HeaderMap) -> Option<&str> {
        let texts = headers.get_all(COOKIE).iter();
        let pairs = texts
            .filter_map(|text| text.to_str().ok())
            .flat_map(|text| text.split(';'));
        let mut values = pairs.filter_map(|pair| {
            let (found, value) = pair.trim().split_once('=')?;
            (found == self.name(is_secure)).then_some(value)
        });
        values.next()
    }

    /// Has the browser keep a value, and send it to this console alone.
    pub(super) fn keep(self, site: &Site, value: &str) -> (HeaderName, HeaderValue) {
        let lasts = match self {
            Self::Session => String::new(),
            Self::Crossing => format!("; Max-Age={}", CROSSING_LASTS.as_secs()),
        };
        self.written(site.is_secure(), value, &lasts)
    }

    /// Has the browser forget it.
    pub(super) fn forget(self, site: &Site) -> (HeaderName, HeaderValue) {
        self.written(site.is_secure(), "", "; Max-Age=0")
    }

    /// Lax, and not strict: a provider sends the browser back here, and it has to bring the value along.
    fn written(self, is_secure: bool, value: &str, more: &str) -> (HeaderName, HeaderValue) {
        let secure = if is_secure { "; Secure" } else { "" };
        let name = self.name(is_secure);
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}");
        // A value of ours is always a header's.
        let text = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        (SET_COOKIE, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cookies: &[&str], is_secure: bool, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, HeaderValue::from_str(cookie).expect("a value"));
        }
        assert_eq!(
            Cookie::Session.read(is_secure, &headers),
            expected,
            "{cookies:?}"
        );
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        check(&[], false, None);
        check(&["davylamp=a-b_9"], false, Some("a-b_9"));
        check(&["theme=dark; davylamp=x;a=b"], false, Some("x"));
        check(&["theme=dark", "davylamp=x"], false, Some("x"));
        check(&["notdavylamp=x; davylamp2=y; davylamp"], false, None);
        check(&["davylamp=x"], true, None);
        check(&["davylamp=x; __Host-davylamp=y"], true, Some("y"));
    }

    #[test]
    fn it_is_kept_from_scripts_and_from_the_network() {
        let (_, kept) = Cookie::Session.written(true, "id", "");
        assert_eq!(
            kept.to_str().expect("text"),
            "__Host-davylamp=id; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        let (_, forgotten) = Cookie::Crossing.written(false, "", "; Max-Age=0");
        assert_eq!(
            forgotten.to_str().expect("text"),
            "davylamp-crossing=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }
}
