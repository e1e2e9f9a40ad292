//! Errors as each protocol writes them (Smithy's "AWS protocols"; EC2 API reference, "Error codes").

use hyper::body::Bytes;
use serde_json::json;

use super::Reply;
use super::operation::{Operation, Protocol};

const REQUEST_ID: &str = "davylamp-fault-proxy";

/// The service's own throttling error.
pub(super) fn throttle(operation: &Operation) -> Reply {
    let (status, code) = match (operation.protocol, operation.service.as_str()) {
        (Protocol::Ec2, _) => (503, "RequestLimitExceeded"),
        (Protocol::Query, _) => (400, "Throttling"),
        (Protocol::RestXml, _) => (503, "SlowDown"),
        (Protocol::RestJson, "lambda" | "ses") => (429, "TooManyRequestsException"),
        (Protocol::RestJson, _) => (429, "ThrottlingException"),
        (Protocol::Json, "sqs") => (403, "RequestThrottled"),
        (Protocol::Json, _) => (400, "ThrottlingException"),
    };
    error(operation, status, code, "Rate exceeded")
}

/// A server error.
pub(super) fn server_error(operation: &Operation, status: u16) -> Reply {
    let code = match (operation.protocol, status) {
        (Protocol::Ec2, 503) => "Unavailable",
        (_, 503) => "ServiceUnavailable",
        (Protocol::Ec2 | Protocol::RestXml, _) => "InternalError",
        _ => "InternalFailure",
    };
    error(operation, status, code, "An internal error has occurred")
}

/// Any error.
pub(super) fn error(operation: &Operation, status: u16, code: &str, message: &str) -> Reply {
    let (kind, body) = match operation.protocol {
        Protocol::Ec2 => (
            "text/xml",
            format!(
                "<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors>\
                 <RequestID>{REQUEST_ID}</RequestID></Response>",
                xml(code),
                xml(message)
            ),
        ),
        Protocol::Query => (
            "text/xml",
            format!(
                "<ErrorResponse><Error><Type>{}</Type><Code>{}</Code><Message>{}</Message></Error>\
                 <RequestId>{REQUEST_ID}</RequestId></ErrorResponse>",
                if status < 500 { "Sender" } else { "Receiver" },
                xml(code),
                xml(message)
            ),
        ),
        Protocol::RestXml => (
            "application/xml",
            format!(
                "<Error><Code>{}</Code><Message>{}</Message><RequestId>{REQUEST_ID}</RequestId>\
                 </Error>",
                xml(code),
                xml(message)
            ),
        ),
        Protocol::Json => (
            "application/x-amz-json-1.1",
            json!({"__type": code, "message": message}).to_string(),
        ),
        Protocol::RestJson => ("application/json", json!({"message": message}).to_string()),
    };
    let mut headers = vec![
        ("content-type".to_owned(), kind.to_owned()),
        ("x-amzn-requestid".to_owned(), REQUEST_ID.to_owned()),
    ];
    if operation.protocol == Protocol::RestJson {
        headers.push(("x-amzn-errortype".to_owned(), code.to_owned()));
    }
    Reply {
        status,
        headers,
        body: Bytes::from(body),
    }
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
