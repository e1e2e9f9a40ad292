//! The one cookie there is: a session's id.
//!
//! An id is made of letters, digits, `-` and `_`, so nothing has to be encoded. Read and written by hand, as the
//! libraries for it bring features of other crates with them that make all of the program be built anew.

use axum::http::header::{COOKIE, HeaderName, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};

use crate::site::Site;

/// Its name. With TLS the name itself forbids other hosts to set it.
fn name(is_secure: bool) -> &'static str {
    match is_secure {
        true => "__Host-davylamp",
        false => "davylamp",
    }
}

/// The session's id that a browser sent.
pub(super) fn given<'a>(site: &Site, headers: &'a HeaderMap) -> Option<&'a str> {
    read(site.is_secure(), headers)
}

fn read(is_secure: bool, headers: &HeaderMap) -> Option<&str> {
    let texts = headers.get_all(COOKIE).iter();
    let pairs = texts
        .filter_map(|text| text.to_str().ok())
        .flat_map(|text| text.split(';'));
    let mut ids = pairs.filter_map(|pair| {
        let (found, id) = pair.trim().split_once('=')?;
        (found == name(is_secure)).then_some(id)
    });
    ids.next()
}

/// Has the browser keep a session's id until it is closed, and send it to this console alone.
pub(super) fn keep(site: &Site, id: &str) -> [(HeaderName, HeaderValue); 1] {
    written(site.is_secure(), id, "")
}

/// Has the browser forget it.
pub(super) fn forget(site: &Site) -> [(HeaderName, HeaderValue); 1] {
    written(site.is_secure(), "", "; Max-Age=0")
}

fn written(is_secure: bool, id: &str, more: &str) -> [(HeaderName, HeaderValue); 1] {
    let secure = if is_secure { "; Secure" } else { "" };
    let name = name(is_secure);
    let text = format!("{name}={id}; Path=/; HttpOnly; SameSite=Lax{secure}{more}");
    // An id of ours is always a header's value.
    let value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    [(SET_COOKIE, value)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cookies: &[&str], is_secure: bool, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, HeaderValue::from_str(cookie).expect("a value"));
        }
        assert_eq!(read(is_secure, &headers), expected, "{cookies:?}");
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
        let [(_, kept)] = written(true, "id", "");
        assert_eq!(
            kept.to_str().expect("text"),
            "__Host-davylamp=id; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        let [(_, forgotten)] = written(false, "", "; Max-Age=0");
        assert_eq!(
            forgotten.to_str().expect("text"),
            "davylamp=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }
}
