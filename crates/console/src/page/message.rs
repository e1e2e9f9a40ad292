//! Pages that say one thing, and those on which one signs in.

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::StatusCode;
use axum::http::header::ALLOW;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::asked;
use super::frame::{self, Room};
use crate::access::{Refused, Viewer};
use crate::site::Site;

/// A page that says one thing. Where it is known to whom, it is set into their frame.
pub(crate) fn message(title: &str, text: &str) -> Message {
    Message {
        title: title.to_owned(),
        text: text.to_owned(),
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Message {
    title: String,
    text: String,
}

impl Message {
    fn body(&self) -> Markup {
        html! {
            h1 { (super::text::plain(&self.title)) }
            p.lead { (super::text::plain(&self.text)) }
            p { a href="/" { "To the overview" } }
        }
    }
}

impl IntoResponse for Message {
    fn into_response(self) -> Response {
        let mut response = frame::outside(&self.title, self.body()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Sets messages into the frame of whoever is signed in.
pub(super) async fn in_frame(State(site): State<Site>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let asked = parts.clone();
    let response = next.run(Request::from_parts(parts, body)).await;
    framed(&site, asked, response).await
}

/// What is not there.
pub(crate) async fn absent(State(site): State<Site>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    framed(&site, parts, Refused::Absent.into_response()).await
}

async fn framed(site: &Site, mut asked: Parts, response: Response) -> Response {
    let Some(message) = response.extensions().get::<Message>().cloned() else {
        return response;
    };
    let viewer: Result<Viewer, Refused> = Viewer::from_request_parts(&mut asked, site).await;
    let Ok(viewer) = viewer else {
        return response;
    };
    let page = frame::page(&viewer, Room::Nowhere, &message.title, message.body());
    let mut whole = (response.status(), page).into_response();
    if let Some(allow) = response.headers().get(ALLOW) {
        whole.headers_mut().insert(ALLOW, allow.clone());
    }
    whole
}

/// A page that is asked for in a way it does not know.
pub(super) fn wrong_method() -> Response {
    let text = "This address is there, but not for what was asked of it.";
    (
        StatusCode::METHOD_NOT_ALLOWED,
        message("Not in this way", text),
    )
        .into_response()
}

/// The page to sign in on.
pub(crate) fn sign_in(site: &Site, back: &str, wrong: Option<&str>) -> Markup {
    let provider = site.oidc().map(|oidc| {
        let way = asked::address("/sign-in/provider", &[("back", back)]);
        html! { p.provider { a.button href=(way) { (oidc.label()) } } }
    });
    let body = html! {
        div.narrow {
            h1 { "Sign in" }
            @if let Some(wrong) = wrong { p.flash.bad role="alert" { (wrong) } }
            @if let Some(provider) = provider { (provider) }
            form.stack.card method="post" action="/sign-in" {
                input type="hidden" name="back" value=(back);
                label for="name" { "Name" }
                input #name name="name" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus;
                label for="password" { "Password" }
                input #password type="password" name="password" autocomplete="current-password" required;
                label for="code" { "Code " span.muted { "(if you have a second factor)" } }
                input #code name="code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" maxlength="24" aria-describedby="code-how";
                p.muted #code-how { "Six digits of your authenticator, or a recovery code." }
                button.primary { "Sign in" }
            }
            p.muted { "Without a password: " code { "davy console link" } " on the console's machine makes a link that signs you in once." }
        }
    };
    frame::outside("Sign in", body)
}

/// The page of a sign-in link.
pub(crate) fn sign_in_by_link(key: &str) -> Markup {
    let body = html! {
        div.narrow {
            h1 { "Sign in" }
            form.stack.card method="post" action="/sign-in/link" {
                p { "This link signs you in once, on this browser." }
                input type="hidden" name="key" value=(key);
                button.primary autofocus { "Sign in" }
            }
        }
    };
    frame::outside("Sign in", body)
}
