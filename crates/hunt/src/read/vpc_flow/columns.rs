//! The table of flow logs. The first columns are the fields, in the order in which AWS's versions
//! brought them; [`super::fields`] and [`super::line`] go by that.

use crate::table::{Column, Kind, SOURCE, Table, boolean, integer, text, time};

/// How many of the columns are fields of the log.
pub(super) const FIELDS: usize = 40;

const COLUMNS: &[Column] = &[
    // Version 2.
    integer("version", "the version of the record's format"),
    text(
        "account_id",
        "the account of the interface; where the format lacks it, of the object's key",
    ),
    text("interface_id", "the network interface").verbatim(),
    text(
        "srcaddr",
        "the address the traffic came from, as the interface saw it",
    )
    .verbatim(),
    text(
        "dstaddr",
        "the address the traffic went to, as the interface saw it",
    )
    .verbatim(),
    integer("srcport", "the port it came from").verbatim(),
    integer("dstport", "the port it went to").verbatim(),
    integer(
        "protocol",
        "the IANA number of the protocol: 6 is TCP, 17 UDP",
    )
    .verbatim(),
    integer("packets", "packets in the window").verbatim(),
    integer("bytes", "bytes in the window").verbatim(),
    time("start", "when the first packet of the window was seen"),
    time("end", "when the last packet of the window was seen"),
    text("action", "ACCEPT or REJECT").verbatim(),
    text(
        "log_status",
        "OK, NODATA where nothing passed, SKIPDATA where records were lost",
    )
    .verbatim(),
    // Version 3.
    text("vpc_id", "the VPC").verbatim(),
    text("subnet_id", "the subnet").verbatim(),
    text("instance_id", "the instance, where the interface is one's").verbatim(),
    integer("tcp_flags", "the TCP flags seen, or-ed").verbatim(),
    text("type", "IPv4, IPv6 or EFA").verbatim(),
    text(
        "pkt_srcaddr",
        "the packet's own source, behind NAT or in a pod",
    )
    .verbatim(),
    text(
        "pkt_dstaddr",
        "the packet's own destination, behind NAT or in a pod",
    )
    .verbatim(),
    // Version 4.
    text(
        "region",
        "the region; where the format lacks it, of the object's key",
    ),
    text("az_id", "the availability zone").verbatim(),
    text("sublocation_type", "wavelength, outpost or localzone").verbatim(),
    text("sublocation_id", "the sublocation").verbatim(),
    // Version 5.
    text(
        "pkt_src_aws_service",
        "the AWS service that pkt_srcaddr belongs to",
    )
    .verbatim(),
    text(
        "pkt_dst_aws_service",
        "the AWS service that pkt_dstaddr belongs to",
    )
    .verbatim(),
    text(
        "flow_direction",
        "ingress or egress, where the format has it; see direction",
    )
    .verbatim(),
    integer(
        "traffic_path",
        "the number of the way that egress traffic took",
    )
    .verbatim(),
    // Version 7.
    text("ecs_cluster_arn", "the ECS cluster").verbatim(),
    text("ecs_cluster_name", "the name of the ECS cluster").verbatim(),
    text("ecs_container_instance_arn", "the ECS container instance").verbatim(),
    text(
        "ecs_container_instance_id",
        "the id of the ECS container instance",
    )
    .verbatim(),
    text("ecs_container_id", "the first container").verbatim(),
    text("ecs_second_container_id", "the second container").verbatim(),
    text("ecs_service_name", "the ECS service").verbatim(),
    text("ecs_task_definition_arn", "the ECS task definition").verbatim(),
    text("ecs_task_arn", "the ECS task").verbatim(),
    text("ecs_task_id", "the id of the ECS task").verbatim(),
    // Version 8.
    text("reject_reason", "why traffic was refused, such as BPA").verbatim(),
    // Worked out.
    text(
        "real_srcaddr",
        "pkt_srcaddr where it is logged, otherwise srcaddr",
    )
    .computed(),
    text(
        "real_dstaddr",
        "pkt_dstaddr where it is logged, otherwise dstaddr",
    )
    .computed(),
    boolean(
        "src_is_public",
        "whether real_srcaddr is an address of the public Internet",
    )
    .computed(),
    boolean(
        "dst_is_public",
        "whether real_dstaddr is an address of the public Internet",
    )
    .computed(),
    text(
        "direction",
        "flow_direction where it is logged; otherwise egress to and ingress from the public \
         Internet, internal where neither side is public, through where both are and their ports do \
         not tell them apart",
    )
    .computed(),
    text("local_addr", "the inner side of remote_addr").computed(),
    integer("local_port", "the port of local_addr").computed(),
    text(
        "remote_addr",
        "the public side, whichever way the traffic went; NULL where neither is public",
    )
    .computed(),
    integer("remote_port", "the port of remote_addr").computed(),
    text(
        "remote_indicator_id",
        "the known pool at remote_addr and remote_port",
    )
    .computed(),
    text(
        "remote_indicator_kind",
        "whether its address is known or its address_port",
    )
    .computed(),
    boolean(
        "remote_port_is_pool",
        "whether pools are often found at remote_port; NULL without one",
    )
    .computed(),
    integer("start_epoch", "the start in seconds since 1970").computed(),
    integer("end_epoch", "the end in seconds since 1970").computed(),
    time("window_start", "the start, rounded down to five minutes").computed(),
    integer("window_epoch", "window_start in seconds since 1970").computed(),
    integer("duration_secs", "seconds from start to end").computed(),
    text(
        "indicator_id",
        "the known pool at real_dstaddr or real_srcaddr and its port",
    )
    .computed(),
    SOURCE,
];

/// The table of flow logs.
pub static TABLE: Table = Table {
    name: "vpc_flow",
    about: "traffic between two addresses through one interface in one window",
    time: "start",
    account: Some("account_id"),
    region: Some("region"),
    columns: COLUMNS,
};

/// The kinds and numbers of the columns that the reader knows by name.
pub(super) const fn column(name: &str) -> usize {
    let mut at = 0;
    while at < COLUMNS.len() {
        if is_same(COLUMNS[at].name.as_bytes(), name.as_bytes()) {
            return at;
        }
        at += 1;
    }
    panic!("the table has no such column")
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// What the values of a column are.
pub(super) fn kind(column: usize) -> Kind {
    COLUMNS[column].kind
}
