//! What a value must be beyond its kind: bounds of numbers, forms of texts.

use davylamp_content::settings::{Bounds, Trouble};
use serde::Deserialize;
use toml::Value;

/// The bounds of every key that takes a number.
///
/// A hold below ten milliseconds would decide before the agent can, and one above a minute looks
/// like a hung command. A log line is cut at 8192 bytes so that it stays one write to a pipe with
/// all its other fields. A sweep reads every process; more often than every ten seconds it would
/// be noticed.
pub const BOUNDS: [Bounds; 8] = [
    Bounds::new("guard.hold.deadline_ms", 10, 60_000, "milliseconds"),
    Bounds::new("guard.response.suppress_secs", 0, 86_400, "seconds"),
    Bounds::new("guard.sweep.interval_secs", 10, 86_400, "seconds").or_zero(),
    Bounds::new("guard.log.cmdline_bytes", 64, 8_192, "bytes"),
    Bounds::new("guard.log.events_per_second", 1, 100_000, "lines a second"),
    Bounds::new("guard.log.burst", 1, 1_000_000, "lines"),
    Bounds::new(
        "guard.flows.unique_destinations_threshold",
        0,
        65_536,
        "destinations",
    ),
    Bounds::new(
        "guard.flows.lookback_duration_seconds",
        1,
        86_400,
        "seconds",
    ),
];

/// A node's name may have this many bytes: what DNS, and so Kubernetes, allows.
const MAX_NAME_BYTES: usize = 253;

/// What a text, or one text of a list, must be; the error says what to write instead.
pub(super) fn text(key: &str, text: &str) -> Result<(), &'static str> {
    if text.contains('\0') {
        return Err("a NUL cannot stand in it");
    }
    match key {
        "guard.blocklists" if text.is_empty() => Err("name a file or directory"),
        "guard.blocklists" if text == "-" => {
            Err("lists are read again on each reload, so they must be files, not standard input")
        }
        "guard.pin_dir"
        | "guard.protect.executables"
        | "guard.protect.cgroups"
        | "guard.containers.cri_sockets"
        | "guard.containers.docker_sockets"
        | "guard.wire.cgroup"
            if !text.starts_with('/') =>
        {
            Err("write the whole path, from `/`")
        }
        "guard.flows.banned_ipv4_file" if !text.is_empty() && !text.starts_with('/') => {
            Err("write the whole path, from `/`")
        }
        "guard.protect.cgroups" if text == "/" => Err(
            "the root holds every process, so this would switch the guard off; name the \
                 cgroups below it",
        ),
        "guard.node" if text.len() > MAX_NAME_BYTES || text.contains(char::is_whitespace) => {
            Err("a name has no blanks and at most 253 bytes")
        }
        "guard.log.env" if text.is_empty() || text.contains(['=', ' ']) => {
            Err("write the name of a variable alone, such as `JUPYTERHUB_USER`")
        }
        "guard.protect.namespaces" if !is_label(text) => {
            Err("a namespace is lower-case letters, digits and dashes; patterns are not read here")
        }
        _ => Ok(()),
    }
}

/// Whether a text is an RFC 1123 label, as names of namespaces are.
fn is_label(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

/// What must hold between keys.
pub(super) fn whole(guard: &Value) -> Vec<(&'static str, Trouble)> {
    let Ok(config) = super::Config::deserialize(guard.clone()) else {
        return Vec::new();
    };
    let is_remote = config
        .metrics
        .listen
        .is_some_and(|address| !address.ip().is_loopback());
    if !is_remote || config.metrics.allow_remote {
        return Vec::new();
    }
    let trouble = Trouble::Whole {
        message: "`metrics.listen` is an address that other machines reach".to_owned(),
        help: "listen on 127.0.0.1 or [::1], or set `guard.metrics.allow_remote = true` where a \
               firewall or network policy decides who may connect"
            .to_owned(),
    };
    vec![("guard.metrics.listen", trouble)]
}
