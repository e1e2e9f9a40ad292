//! Closing an account's public doors at once.
//!
//! `before`: for VPCs `{"mode": text}`; for buckets `{"block": null}` or the four settings; for an
//! EKS endpoint `{"public": bool, "private": bool, "networks": [cidr]}`.

use aws_sdk_ec2::types::{
    InternetGatewayBlockMode, VpcBlockPublicAccessOptions, VpcBlockPublicAccessState,
};
use aws_sdk_eks::types::{Cluster, ClusterStatus, VpcConfigRequest};
use aws_sdk_s3control::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_s3control::types::PublicAccessBlockConfiguration;
use davylamp_model::ids::{AccountId, ClusterName};
use davylamp_plan::action::Action;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{At, already, done, failure, impossible, needed, not_ours, pending, recorded};
use crate::actuator::{ActError, Checked, Verified};

#[derive(Debug, Deserialize)]
struct Vpcs {
    mode: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Buckets {
    block: Option<Block>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Block {
    block_acls: bool,
    ignore_acls: bool,
    block_policy: bool,
    restrict: bool,
}

impl Block {
    const ALL: Self = Self {
        block_acls: true,
        ignore_acls: true,
        block_policy: true,
        restrict: true,
    };
}

#[derive(Debug, Serialize, Deserialize)]
struct Access {
    public: bool,
    private: bool,
    networks: Vec<String>,
}

pub(super) async fn check(at: &At<'_>, action: &Action) -> Result<Checked, ActError> {
    match action {
        Action::BlockVpcPublicAccess { mode } => {
            let options = vpcs(at).await?;
            if blocks(&options, mode) {
                already(vpcs_note(at, &options))
            } else {
                needed(json!({ "mode": mode_of(&options).as_str() }))
            }
        }
        Action::BlockBucketPublicAccess { account } => match buckets(at, account).await? {
            Some(Block::ALL) => already(buckets_note(account)),
            block => needed(json!(Buckets { block })),
        },
        Action::CloseEksEndpoint { cluster } => match eks(at, cluster).await? {
            None => impossible(format!("the cluster {cluster} no longer exists")),
            Some(found) => {
                let access = access(&found);
                if access.public {
                    needed(json!(access))
                } else {
                    already(eks_note(cluster))
                }
            }
        },
        _ => Err(not_ours(action)),
    }
}

pub(super) async fn act(at: &At<'_>, action: &Action) -> Result<(), ActError> {
    match action {
        Action::BlockVpcPublicAccess { mode } => {
            if blocks(&vpcs(at).await?, mode) {
                return Ok(());
            }
            set_vpcs(at, mode).await
        }
        Action::BlockBucketPublicAccess { account } => {
            set_buckets(at, account, Some(Block::ALL)).await
        }
        Action::CloseEksEndpoint { cluster } => {
            let closed = Access {
                public: false,
                private: true,
                networks: Vec::new(),
            };
            set_eks(at, cluster, &closed).await
        }
        _ => Err(not_ours(action)),
    }
}

pub(super) async fn verify(at: &At<'_>, action: &Action) -> Result<Verified, ActError> {
    match action {
        Action::BlockVpcPublicAccess { mode } => {
            let options = vpcs(at).await?;
            let changing = options.state() == Some(&VpcBlockPublicAccessState::UpdateInProgress);
            if blocks(&options, mode) && !changing {
                done(vpcs_note(at, &options))
            } else {
                pending("VPC Block Public Access to be in force")
            }
        }
        Action::BlockBucketPublicAccess { account } => match buckets(at, account).await? {
            Some(Block::ALL) => done(buckets_note(account)),
            _ => pending("the account's public access block to be in force"),
        },
        Action::CloseEksEndpoint { cluster } => match eks(at, cluster).await? {
            None => done(format!("the cluster {cluster} no longer exists")),
            Some(found)
                if !access(&found).public && found.status() == Some(&ClusterStatus::Active) =>
            {
                done(eks_note(cluster))
            }
            Some(_) => pending(format!("the endpoint of {cluster} to be closed")),
        },
        _ => Err(not_ours(action)),
    }
}

pub(super) async fn undo(at: &At<'_>, action: &Action, before: &Value) -> Result<(), ActError> {
    match action {
        Action::BlockVpcPublicAccess { .. } => {
            let before: Vpcs = recorded(action, before)?;
            if mode_of(&vpcs(at).await?).as_str() == before.mode {
                return Ok(());
            }
            set_vpcs(at, &before.mode).await
        }
        Action::BlockBucketPublicAccess { account } => {
            let before: Buckets = recorded(action, before)?;
            set_buckets(at, account, before.block).await
        }
        Action::CloseEksEndpoint { cluster } => {
            let before: Access = recorded(action, before)?;
            set_eks(at, cluster, &before).await
        }
        _ => Err(not_ours(action)),
    }
}

async fn vpcs(at: &At<'_>) -> Result<VpcBlockPublicAccessOptions, ActError> {
    at.ec2()
        .describe_vpc_block_public_access_options()
        .send()
        .await
        .map_err(|error| failure::of("ec2:DescribeVpcBlockPublicAccessOptions", &error))?
        .vpc_block_public_access_options
        .ok_or_else(|| {
            failure::transient(
                "ec2:DescribeVpcBlockPublicAccessOptions",
                "the answer has no options",
            )
        })
}

fn mode_of(options: &VpcBlockPublicAccessOptions) -> InternetGatewayBlockMode {
    options
        .internet_gateway_block_mode()
        .cloned()
        .unwrap_or(InternetGatewayBlockMode::Off)
}

/// Whether at least that mode is set: who blocks both ways blocks what comes in as well.
fn blocks(options: &VpcBlockPublicAccessOptions, mode: &str) -> bool {
    let now = mode_of(options);
    now.as_str() == mode || now == InternetGatewayBlockMode::BlockBidirectional
}

async fn set_vpcs(at: &At<'_>, mode: &str) -> Result<(), ActError> {
    at.ec2()
        .modify_vpc_block_public_access_options()
        .internet_gateway_block_mode(InternetGatewayBlockMode::from(mode))
        .send()
        .await
        .map(drop)
        .map_err(|error| failure::of("ec2:ModifyVpcBlockPublicAccessOptions", &error))
}

fn vpcs_note(at: &At<'_>, options: &VpcBlockPublicAccessOptions) -> String {
    let mode = mode_of(options);
    format!("VPC Block Public Access in {} is {mode}", at.place.region)
}

/// Another endpoint as it is. The SDK would put the account before its host, which a test server on
/// an address or a private gateway does not have.
#[derive(Debug)]
struct AsGiven(String);

impl ResolveEndpoint for AsGiven {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.0.clone()).build()))
    }
}

fn s3control(at: &At<'_>) -> aws_sdk_s3control::Client {
    let config = aws_sdk_s3control::config::Builder::from(&at.config);
    let config = match at.config.endpoint_url() {
        Some(url) => config.endpoint_resolver(AsGiven(url.to_owned())),
        None => config,
    };
    aws_sdk_s3control::Client::from_conf(config.build())
}

async fn buckets(at: &At<'_>, account: &AccountId) -> Result<Option<Block>, ActError> {
    let answer = s3control(at)
        .get_public_access_block()
        .account_id(account.as_str())
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(answer
            .public_access_block_configuration()
            .map(|block| Block {
                block_acls: block.block_public_acls() == Some(true),
                ignore_acls: block.ignore_public_acls() == Some(true),
                block_policy: block.block_public_policy() == Some(true),
                restrict: block.restrict_public_buckets() == Some(true),
            })),
        Err(error) if failure::is_absent(&error) => Ok(None),
        Err(error) => Err(failure::of("s3:GetAccountPublicAccessBlock", &error)),
    }
}

async fn set_buckets(
    at: &At<'_>,
    account: &AccountId,
    wanted: Option<Block>,
) -> Result<(), ActError> {
    if buckets(at, account).await? == wanted {
        return Ok(());
    }
    let client = s3control(at);
    let call = "s3:PutAccountPublicAccessBlock";
    match wanted {
        Some(block) => client
            .put_public_access_block()
            .account_id(account.as_str())
            .public_access_block_configuration(
                PublicAccessBlockConfiguration::builder()
                    .block_public_acls(block.block_acls)
                    .ignore_public_acls(block.ignore_acls)
                    .block_public_policy(block.block_policy)
                    .restrict_public_buckets(block.restrict)
                    .build(),
            )
            .send()
            .await
            .map(drop)
            .map_err(|error| failure::of(call, &error)),
        None => client
            .delete_public_access_block()
            .account_id(account.as_str())
            .send()
            .await
            .map(drop)
            .map_err(|error| failure::of(call, &error)),
    }
}

fn buckets_note(account: &AccountId) -> String {
    format!("account {account} blocks public access to all its buckets")
}

async fn eks(at: &At<'_>, name: &ClusterName) -> Result<Option<Cluster>, ActError> {
    let client = aws_sdk_eks::Client::new(&at.config);
    match client.describe_cluster().name(name.as_str()).send().await {
        Ok(answer) => Ok(answer.cluster),
        Err(error) if failure::is_absent(&error) => Ok(None),
        Err(error) => Err(failure::of("eks:DescribeCluster", &error)),
    }
}

/// The endpoint's access. What the answer leaves out is taken for EKS' default, which is public.
fn access(cluster: &Cluster) -> Access {
    let config = cluster.resources_vpc_config();
    Access {
        public: config.is_none_or(|config| config.endpoint_public_access()),
        private: config.is_some_and(|config| config.endpoint_private_access()),
        networks: config
            .map(|config| config.public_access_cidrs().to_vec())
            .unwrap_or_default(),
    }
}

async fn set_eks(at: &At<'_>, name: &ClusterName, wanted: &Access) -> Result<(), ActError> {
    let Some(found) = eks(at, name).await? else {
        return Ok(());
    };
    let now = access(&found);
    if now.public == wanted.public && now.private == wanted.private {
        return Ok(());
    }
    let mut config = VpcConfigRequest::builder()
        .endpoint_public_access(wanted.public)
        .endpoint_private_access(wanted.private);
    if wanted.public && !wanted.networks.is_empty() {
        config = config.set_public_access_cidrs(Some(wanted.networks.clone()));
    }
    let sent = aws_sdk_eks::Client::new(&at.config)
        .update_cluster_config()
        .name(name.as_str())
        .resources_vpc_config(config.build())
        .send()
        .await;
    match sent {
        Ok(_) => Ok(()),
        // One change at a time: ours of a moment ago, or somebody else's.
        Err(error) if failure::is_code(&error, &["ResourceInUseException"]) => {
            Err(failure::transient(
                "eks:UpdateClusterConfig",
                format!("{name} is being changed"),
            ))
        }
        Err(error) => Err(failure::of("eks:UpdateClusterConfig", &error)),
    }
}

fn eks_note(cluster: &ClusterName) -> String {
    format!("the endpoint of {cluster} is private")
}
