//! What a value must be beyond its kind: bounds of numbers, forms of texts.

use davylamp_content::settings::{Bounds, Trouble};
use serde::Deserialize;
use toml::Value;

/// The bounds of every key that takes a number.
///
/// A hold below ten milliseconds would decide before the agent can, and one above a minute looks
/// like a hung command. A log line is cut at 8192 bytes so that it stays one write to a pipe with
/// all its other fields. A sweep reads every process; more often than every ten seconds it would
/// be noticed. A file of more than a gibibyte would be held in memory for as long as it is looked into. A
/// file of the spool holds at least one line, whatever a line may have. A threshold below 10 would act on the weakest of signs; one sign is worth 100 at most,
/// and there are ten kinds. Looks at what runs that come faster than every 5 seconds would cost more
/// than they tell, and slower than 300 the half hour of `steady-use` has too few.
pub const BOUNDS: [Bounds; 26] = [
    Bounds::new("guard.policy.alert", 10, 1_000, "points").or_zero(),
    Bounds::new("guard.policy.freeze", 10, 1_000, "points").or_zero(),
    Bounds::new("guard.policy.kill_process", 10, 1_000, "points").or_zero(),
    Bounds::new("guard.policy.kill_container", 10, 1_000, "points").or_zero(),
    Bounds::new("guard.policy.evict_pod", 10, 1_000, "points").or_zero(),
    Bounds::new("guard.policy.half_life_minutes", 1, 43_200, "minutes"),
    Bounds::new("guard.policy.independent_kinds", 2, 10, "kinds").or_zero(),
    Bounds::new("guard.policy.repeat_minutes", 1, 10_080, "minutes"),
    Bounds::new("guard.behaviour.sample_secs", 5, 300, "seconds").or_zero(),
    Bounds::new("guard.hold.deadline_ms", 10, 60_000, "milliseconds"),
    Bounds::new("guard.response.suppress_secs", 0, 86_400, "seconds"),
    Bounds::new("guard.response.freeze_secs", 10, 604_800, "seconds").or_zero(),
    Bounds::new("guard.breaker.per_rule", 1, 128, "victims").or_zero(),
    Bounds::new("guard.breaker.per_node", 1, 128, "victims").or_zero(),
    Bounds::new("guard.breaker.window_secs", 60, 86_400, "seconds"),
    Bounds::new("guard.files.max_bytes", 4096, 1 << 30, "bytes"),
    Bounds::new("guard.files.max_ms", 10, 30_000, "milliseconds"),
    Bounds::new("guard.files.workers", 1, 16, "processes"),
    Bounds::new("guard.sweep.interval_secs", 10, 86_400, "seconds").or_zero(),
    Bounds::new("guard.log.cmdline_bytes", 64, 8_192, "bytes"),
    Bounds::new("guard.log.events_per_second", 1, 100_000, "lines a second"),
    Bounds::new("guard.log.burst", 1, 1_000_000, "lines"),
    Bounds::new("guard.spool.max_bytes", 1 << 20, 1 << 40, "bytes"),
    Bounds::new("guard.spool.segment_bytes", 1 << 18, 1 << 30, "bytes"),
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
        "guard.blocklists" | "guard.detections.paths" | "guard.indicators" if text.is_empty() => {
            Err("name a file or directory")
        }
        "guard.blocklists" | "guard.detections.paths" | "guard.indicators" if text == "-" => {
            Err("lists are read again on each reload, so they must be files, not standard input")
        }
        "guard.pin_dir"
        | "guard.files.trust"
        | "guard.protect.executables"
        | "guard.protect.cgroups"
        | "guard.containers.cri_sockets"
        | "guard.containers.docker_sockets"
        | "guard.wire.cgroup"
            if !text.starts_with('/') =>
        {
            Err("write the whole path, from `/`")
        }
        "guard.spool.dir" if !text.is_empty() && !text.starts_with('/') => {
            Err("write the whole path, from `/`, or nothing for no spool")
        }
        "guard.files.rules" if text.is_empty() => Err("name a file or directory"),
        "guard.files.trust" if text == "/" => {
            Err("every file lies below it; write `scan = \"off\"` to look into none")
        }
        "guard.files.allow"
            if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            Err("write the SHA-256 of the file in 64 hexadecimal digits")
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
        "guard.breaker.rules" if !is_ceiling(text) => Err(
            "write `rule=victims`, such as `xmrig=50`, with at most 128 victims, or 0 for no ceiling",
        ),
        "guard.policy.detections" => super::policy::read(text).map(drop),
        "guard.protect.namespaces" if !is_label(text) => {
            Err("a namespace is lower-case letters, digits and dashes; patterns are not read here")
        }
        _ => Ok(()),
    }
}

/// Whether a text is a rule and how many victims it may have.
fn is_ceiling(text: &str) -> bool {
    text.rsplit_once('=').is_some_and(|(rule, most)| {
        let most = most.parse::<u32>();
        !rule.is_empty() && most.is_ok_and(|most| most <= davylamp_detect::breaker::MOST_VICTIMS)
    })
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
