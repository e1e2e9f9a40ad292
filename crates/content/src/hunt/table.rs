//! The tables a hunt reads, with their columns: what the linter checks a query against.
//!
//! Reading a log into these columns is `hunt`'s; a test there compares what its readers give with
//! what is written here.

/// A log's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// VPC flow logs, versions 2 to 8.
    VpcFlow,
    /// CloudTrail events.
    CloudTrail,
    /// Route 53 Resolver query logs.
    DnsQuery,
    /// GuardDuty findings.
    GuardDuty,
    /// The audit log of a Kubernetes API server, as EKS delivers it.
    EksAudit,
    /// The guard's log.
    Guard,
    /// Snapshots of an account's state.
    Recorder,
    /// AWS Config's items.
    ConfigItem,
}

impl Table {
    /// Every table with its name in SQL.
    pub const ALL: &[(Self, &str)] = &[
        (Self::VpcFlow, "vpc_flow"),
        (Self::CloudTrail, "cloudtrail"),
        (Self::DnsQuery, "dns_query"),
        (Self::GuardDuty, "guardduty"),
        (Self::EksAudit, "eks_audit"),
        (Self::Guard, "guard"),
        (Self::Recorder, "recorder"),
        (Self::ConfigItem, "config_item"),
    ];

    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(table, _)| *table == self)
            .map_or("", |(_, name)| *name)
    }

    /// The table of that name.
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(table, _)| *table)
    }

    /// Its columns, those of every table first.
    pub fn columns(self) -> impl Iterator<Item = &'static str> {
        let own = match self {
            Self::VpcFlow => VPC_FLOW,
            Self::CloudTrail => CLOUDTRAIL,
            Self::DnsQuery => DNS_QUERY,
            Self::GuardDuty => GUARDDUTY,
            Self::EksAudit => EKS_AUDIT,
            Self::Guard => GUARD,
            Self::Recorder => RECORDER,
            Self::ConfigItem => CONFIG_ITEM,
        };
        EVERY.split_whitespace().chain(own.split_whitespace())
    }

    /// The fields of a raw record that hold a time, written without `_` and `-` and in lower case:
    /// those that move when a case repeats a record.
    pub(super) fn time_fields(self) -> &'static [&'static str] {
        match self {
            Self::VpcFlow => &["start", "end"],
            Self::CloudTrail => &["eventtime"],
            Self::DnsQuery => &["querytimestamp"],
            Self::GuardDuty => &["createdat", "updatedat", "eventfirstseen", "eventlastseen"],
            Self::EksAudit => &["requestreceivedtimestamp", "stagetimestamp"],
            Self::Guard => &["timestamp"],
            Self::Recorder => &["takenat"],
            Self::ConfigItem => &["configurationitemcapturetime", "resourcecreationtime"],
        }
    }
}

/// The fields of a flow log, in the order of the versions that brought them (2, 3, 4, 5, 7, 8):
/// <https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html>.
pub const VPC_FLOW_FIELDS: &[&str] = &[
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
    "vpc-id",
    "subnet-id",
    "instance-id",
    "tcp-flags",
    "type",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "region",
    "az-id",
    "sublocation-type",
    "sublocation-id",
    "pkt-src-aws-service",
    "pkt-dst-aws-service",
    "flow-direction",
    "traffic-path",
    "ecs-cluster-arn",
    "ecs-cluster-name",
    "ecs-container-instance-arn",
    "ecs-container-instance-id",
    "ecs-container-id",
    "ecs-second-container-id",
    "ecs-service-name",
    "ecs-task-definition-arn",
    "ecs-task-arn",
    "ecs-task-id",
    "reject-reason",
];

const EVERY: &str = "_source account_id region";

const VPC_FLOW: &str = "version interface_id srcaddr dstaddr srcport dstport protocol packets \
    bytes start end action log_status vpc_id subnet_id instance_id tcp_flags type pkt_srcaddr \
    pkt_dstaddr az_id sublocation_type sublocation_id pkt_src_aws_service pkt_dst_aws_service \
    flow_direction traffic_path ecs_cluster_arn ecs_cluster_name ecs_container_instance_arn \
    ecs_container_instance_id ecs_container_id ecs_second_container_id ecs_service_name \
    ecs_task_definition_arn ecs_task_arn ecs_task_id reject_reason \
    start_epoch end_epoch window_start window_epoch src_is_public dst_is_public direction \
    local_addr local_port remote_addr remote_port remote_indicator_id remote_indicator_kind \
    remote_port_is_pool";

const CLOUDTRAIL: &str = "event_time event_epoch window_start window_epoch event_id event_name \
    event_source event_type event_category aws_region source_ip_address user_agent error_code \
    error_message read_only request_parameters response_elements additional_event_data \
    service_event_details insight_details user_identity resources tls_details \
    recipient_account_id shared_event_id vpc_endpoint_id management_event request_id \
    identity_type principal_id identity_arn identity_account_id access_key_id user_name \
    session_issuer_arn session_issuer_type session_name session_created source_identity \
    invoked_by mfa_authenticated key_kind principal source_is_address source_is_public \
    error_kind instance_ids instance_types instance_count new_key_id target_user target_role \
    policy_arn is_console_session console_mfa opens_public disables_termination gpu vcpus \
    price_per_hour";

const DNS_QUERY: &str = "query_timestamp query_name query_type query_class rcode answers srcaddr \
    srcport transport srcids vpc_id firewall_rule_action firewall_domain_list_id query_epoch \
    window_start window_epoch instance_id name registered cnames addresses indicator_id \
    indicator_domain indicator_via sub_length longest_label sub_entropy";

const GUARDDUTY: &str = "id arn type severity title description created_at updated_at first_seen \
    last_seen count archived sample detector_id resource_type resource service created_epoch \
    updated_epoch first_epoch last_epoch behaviour is_mining instance_id instance_ids cluster \
    workload pod task_arn function access_key_id user_name domains remote_addresses \
    process_path process_sha256";

const EKS_AUDIT: &str = "audit_id stage verb request_uri user groups source_ips user_agent \
    resource subresource namespace name api_group response_code decision request_object \
    response_object received_at stage_at received_epoch cluster is_anonymous is_system command \
    images privileged host_path host_network host_pid";

const GUARD: &str = "timestamp event action pid cmdline matched source exe container_type image \
    level labels epoch pod namespace container hub_user node why";

const RECORDER: &str = "taken_at kind id state hash";

const CONFIG_ITEM: &str = "captured_at status resource_type resource_id resource_name arn \
    availability_zone created_at state_id configuration supplementary_configuration relationships \
    related_events tags is_deleted related_ids captured_epoch created_epoch snapshot_at";
