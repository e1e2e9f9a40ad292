//! What a value must be beyond its kind: bounds of numbers, forms of texts.

use std::fmt;

/// The numbers a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The key, from the top of the file.
    pub key: &'static str,
    /// The least.
    pub least: i64,
    /// The most.
    pub most: i64,
    /// Whether 0, which switches it off, is taken as well.
    pub or_zero: bool,
    /// What is counted.
    pub unit: &'static str,
}

impl Bounds {
    /// Whether the key takes this number.
    pub fn contains(&self, number: i64) -> bool {
        (self.least..=self.most).contains(&number) || (self.or_zero && number == 0)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} {}", self.least, self.most, self.unit)?;
        if self.or_zero {
            f.write_str(", or 0 for never")
        } else {
            Ok(())
        }
    }
}

const fn bounds(key: &'static str, least: i64, most: i64, unit: &'static str) -> Bounds {
    Bounds {
        key,
        least,
        most,
        or_zero: false,
        unit,
    }
}

/// The bounds of every key that takes a number.
///
/// A hold below ten milliseconds would decide before the agent can, and one above a minute looks
/// like a hung command. A log line is cut at 8192 bytes so that it stays one write to a pipe with
/// all its other fields. A sweep reads every process; more often than every ten seconds it would
/// be noticed.
pub const BOUNDS: [Bounds; 6] = [
    bounds("guard.hold.deadline_ms", 10, 60_000, "milliseconds"),
    bounds("guard.response.suppress_secs", 0, 86_400, "seconds"),
    Bounds {
        or_zero: true,
        ..bounds("guard.sweep.interval_secs", 10, 86_400, "seconds")
    },
    bounds("guard.log.cmdline_bytes", 64, 8_192, "bytes"),
    bounds("guard.log.events_per_second", 1, 100_000, "lines a second"),
    bounds("guard.log.burst", 1, 1_000_000, "lines"),
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
            if !text.starts_with('/') =>
        {
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
