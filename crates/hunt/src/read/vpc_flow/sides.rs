//! Which end of a flow is ours.

/// From here on, systems choose the ports of their connections at random (Linux,
/// `ip_local_port_range`).
const FIRST_RANDOM_PORT: u16 = 32_768;

/// One end of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

/// What is known of the ends of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sides {
    /// Which way the traffic went.
    pub direction: &'static str,
    /// The end that lies outside, if one does.
    pub remote: Option<End>,
}

/// By whether the source and the destination are public, and by their ports. A direction that is
/// logged settles only which of two public ends is ours.
pub(super) fn of(
    logged: Option<&str>,
    publics: (bool, bool),
    ports: (Option<u16>, Option<u16>),
) -> Sides {
    let egress = Sides {
        direction: "egress",
        remote: Some(End::Destination),
    };
    let ingress = Sides {
        direction: "ingress",
        remote: Some(End::Source),
    };
    match (publics, logged) {
        ((false, true), _) => egress,
        ((true, false), _) => ingress,
        ((false, false), _) => Sides {
            direction: "internal",
            remote: None,
        },
        ((true, true), Some("egress")) => egress,
        ((true, true), Some("ingress")) => ingress,
        ((true, true), _) => match ports {
            (Some(src), Some(dst)) if src >= FIRST_RANDOM_PORT && dst < FIRST_RANDOM_PORT => egress,
            (Some(src), Some(dst)) if src < FIRST_RANDOM_PORT && dst >= FIRST_RANDOM_PORT => {
                ingress
            }
            _ => Sides {
                direction: "through",
                remote: Some(End::Destination),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(logged: Option<&str>, publics: (bool, bool), ports: (u16, u16), expected: &str) {
        let found = of(logged, publics, (Some(ports.0), Some(ports.1)));
        let remote = match found.remote {
            Some(End::Source) => "source",
            Some(End::Destination) => "destination",
            None => "none",
        };
        let shown = format!("{} {remote}", found.direction);
        assert_eq!(shown, expected, "{logged:?} {publics:?} {ports:?}");
    }

    #[test]
    fn the_outer_end_is_found_whichever_way_the_traffic_went() {
        check(None, (false, true), (40000, 443), "egress destination");
        check(None, (true, false), (443, 40000), "ingress source");
        check(
            Some("ingress"),
            (false, true),
            (40000, 443),
            "egress destination",
        );
        check(None, (false, false), (40000, 443), "internal none");
        check(None, (true, true), (40000, 443), "egress destination");
        check(None, (true, true), (443, 40000), "ingress source");
        check(
            Some("ingress"),
            (true, true),
            (40000, 443),
            "ingress source",
        );
        check(None, (true, true), (123, 123), "through destination");
    }
}
