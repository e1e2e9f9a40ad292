//! Interfaces that are cut off, addresses and rules.

use aws_sdk_ec2::types::{
    Filter, IpPermission, IpRange, NetworkInterface, ResourceType, SecurityGroup, Tag,
    TagSpecification,
};
use davylamp_model::ids::{GroupId, InterfaceId, VpcId};
use davylamp_plan::action::Action;
use davylamp_respond::actuator::Checked;
use serde_json::{Value, json};

use super::stage::{Stage, act_twice, assert_impossible, undo_twice};
use crate::drive::{Drive, assert_already, assert_done};

struct Network {
    stage: Stage,
    interface: InterfaceId,
    vpc: VpcId,
    groups: Vec<GroupId>,
}

impl Network {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let instance = stage.instance().await;
        let found = stage.describe(&instance).await;
        let id = found.network_interfaces()[0].network_interface_id();
        let interface = InterfaceId::from(id.unwrap_or_default());
        let described = describe(&stage, &interface).await;
        Self {
            vpc: VpcId::from(described.vpc_id().unwrap_or_default()),
            groups: groups(&described),
            interface,
            stage,
        }
    }

    fn isolate(&self) -> Drive<'_> {
        self.stage.drive(Action::IsolateInterface {
            interface: self.interface.clone(),
            vpc: self.vpc.clone(),
            groups: self.groups.clone(),
        })
    }

    async fn groups_now(&self) -> Vec<GroupId> {
        groups(&describe(&self.stage, &self.interface).await)
    }

    async fn named(&self, name: &str) -> Vec<SecurityGroup> {
        let ec2 = self.stage.ec2().await;
        let filter = Filter::builder().name("group-name").values(name).build();
        let answer = ec2.describe_security_groups().filters(filter).send().await;
        answer.expect("groups").security_groups().to_vec()
    }

    async fn put(&self, group: &str) {
        let ec2 = self.stage.ec2().await;
        ec2.modify_network_interface_attribute()
            .network_interface_id(self.interface.as_str())
            .groups(group)
            .send()
            .await
            .expect("the group is set");
    }
}

async fn describe(stage: &Stage, id: &InterfaceId) -> NetworkInterface {
    let ec2 = stage.ec2().await;
    let call = ec2.describe_network_interfaces();
    let answer = call.network_interface_ids(id.as_str()).send().await;
    answer.expect("an interface").network_interfaces()[0].clone()
}

fn groups(interface: &NetworkInterface) -> Vec<GroupId> {
    let ids = interface.groups().iter();
    ids.map(|group| GroupId::from(group.group_id().unwrap_or_default()))
        .collect()
}

#[tokio::test]
async fn an_interface_is_cut_off_and_given_back() {
    let network = Network::new().await;
    let isolate = network.isolate();
    let before = act_twice(&isolate).await;
    assert_eq!(before, json!({ "groups": network.groups }));

    let (empty, open) = (
        network.named("davylamp-isolation").await,
        network.named("davylamp-isolation-allow").await,
    );
    assert_eq!((empty.len(), open.len()), (1, 1));
    assert!(empty[0].ip_permissions().is_empty() && empty[0].ip_permissions_egress().is_empty());
    assert!(!open[0].ip_permissions().is_empty() && !open[0].ip_permissions_egress().is_empty());
    let empty = GroupId::from(empty[0].group_id().unwrap_or_default());
    assert_eq!(network.groups_now().await, [empty]);

    undo_twice(&isolate, &before).await;
    assert_eq!(network.groups_now().await, network.groups);
    let tags = describe(&network.stage, &network.interface).await;
    assert!(tags.tag_set().is_empty(), "{:?}", tags.tag_set());
}

#[tokio::test]
async fn a_run_that_broke_off_between_the_groups_is_finished() {
    let network = Network::new().await;
    let isolate = network.isolate();
    let before = isolate.needed().await;
    isolate.act(&before).await.expect("the act");
    let open = network.named("davylamp-isolation-allow").await;
    network.put(open[0].group_id().unwrap_or_default()).await;

    // Another run, that knows nothing of the first.
    let again = isolate.needed().await;
    assert_eq!(
        again, before,
        "our own group is never what was there before"
    );
    isolate.act(&again).await.expect("the act again");
    assert_done(&isolate.settled(&again).await);
    undo_twice(&isolate, &again).await;
    assert_eq!(network.groups_now().await, network.groups);
}

#[tokio::test]
async fn undo_needs_no_journal() {
    let network = Network::new().await;
    let isolate = network.isolate();
    act_twice(&isolate).await;
    isolate.undo(&Value::Null).await.expect("by the tags");
    assert_eq!(network.groups_now().await, network.groups);
}

#[tokio::test]
async fn undo_leaves_alone_what_a_person_decided_since() {
    let network = Network::new().await;
    let isolate = network.isolate();
    let before = act_twice(&isolate).await;
    let ec2 = network.stage.ec2().await;
    let made = ec2
        .create_security_group()
        .group_name("forensics")
        .description("a person's")
        .vpc_id(network.vpc.as_str())
        .send()
        .await
        .expect("a group");
    let chosen = made.group_id().unwrap_or_default();
    network.put(chosen).await;
    isolate.undo(&before).await.expect("the undo");
    assert_eq!(network.groups_now().await, [GroupId::from(chosen)]);
}

#[tokio::test]
async fn rules_that_somebody_gave_our_group_are_removed() {
    let network = Network::new().await;
    let ec2 = network.stage.ec2().await;
    let made = ec2
        .create_security_group()
        .group_name("davylamp-isolation")
        .description("made by a stranger before us, with its default egress rule")
        .vpc_id(network.vpc.as_str())
        .send()
        .await
        .expect("a group");
    ec2.authorize_security_group_ingress()
        .group_id(made.group_id().unwrap_or_default())
        .ip_permissions(world())
        .send()
        .await
        .expect("a rule");
    network.put(made.group_id().unwrap_or_default()).await;
    let isolate = network.isolate();
    // In the group already, and not cut off by it.
    act_twice(&isolate).await;
    let empty = network.named("davylamp-isolation").await;
    assert_eq!(empty.len(), 1);
    assert!(empty[0].ip_permissions().is_empty() && empty[0].ip_permissions_egress().is_empty());
}

#[tokio::test]
async fn two_runs_at_once_make_one_pair_of_groups() {
    let network = Network::new().await;
    let isolate = network.isolate();
    let before = isolate.needed().await;
    let runs = tokio::join!(isolate.act(&before), isolate.act(&before));
    for run in [runs.0, runs.1] {
        assert!(run.as_ref().is_ok_and(|()| true) || run.is_err_and(|error| error.is_transient()));
    }
    isolate.act(&before).await.expect("the act again");
    assert_done(&isolate.settled(&before).await);
    assert_eq!(network.named("davylamp-isolation").await.len(), 1);
    assert_eq!(network.named("davylamp-isolation-allow").await.len(), 1);
}

#[tokio::test]
async fn an_interface_that_is_gone_or_elsewhere_is_not_touched() {
    let network = Network::new().await;
    let action = |interface: &str, vpc: &str| Action::IsolateInterface {
        interface: InterfaceId::from(interface),
        vpc: VpcId::from(vpc),
        groups: Vec::new(),
    };
    let gone = network.stage.drive(action("eni-00000000", "vpc-00000000"));
    assert_impossible(gone.check().await.expect("a look"), "no longer exists");
    let elsewhere = action(network.interface.as_str(), "vpc-00000000");
    let checked = network.stage.drive(elsewhere).check().await;
    assert_impossible(checked.expect("a look"), "is not in vpc-00000000");
}

#[tokio::test]
async fn an_address_is_taken_away_and_given_back() {
    let network = Network::new().await;
    let ec2 = network.stage.ec2().await;
    let address = ec2.allocate_address().send().await.expect("an address");
    let allocation = address.allocation_id().unwrap_or_default().to_owned();
    let associated = ec2
        .associate_address()
        .allocation_id(&allocation)
        .network_interface_id(network.interface.as_str())
        .send()
        .await
        .expect("an association");
    let take = network.stage.drive(Action::DisassociateAddress {
        allocation: allocation.clone(),
        association: associated.association_id().unwrap_or_default().to_owned(),
        interface: network.interface.clone(),
    });
    let before = act_twice(&take).await;
    take.undo(&before).await.expect("the undo");
    take.undo(&before).await.expect("the undo again");
    let now = ec2
        .describe_addresses()
        .allocation_ids(&allocation)
        .send()
        .await;
    let now = now.expect("an address").addresses()[0].clone();
    assert_eq!(now.network_interface_id(), Some(network.interface.as_str()));
    // The association is a new one: the step's own is over for good.
    assert_impossible(take.check().await.expect("a look"), "associated anew");
}

fn world() -> IpPermission {
    IpPermission::builder()
        .ip_protocol("tcp")
        .from_port(22)
        .to_port(22)
        .ip_ranges(
            IpRange::builder()
                .cidr_ip("0.0.0.0/0")
                .description("for the workshop")
                .build(),
        )
        .build()
}

#[tokio::test]
async fn a_rule_is_taken_away_and_given_back_as_it_was() {
    let network = Network::new().await;
    let ec2 = network.stage.ec2().await;
    let made = ec2
        .create_security_group()
        .group_name("open")
        .description("open")
        .vpc_id(network.vpc.as_str())
        .send()
        .await
        .expect("a group");
    let group = GroupId::from(made.group_id().unwrap_or_default());
    let tag = Tag::builder().key("owner").value("alice").build();
    let made = ec2
        .authorize_security_group_ingress()
        .group_id(group.as_str())
        .ip_permissions(world())
        .tag_specifications(
            TagSpecification::builder()
                .resource_type(ResourceType::SecurityGroupRule)
                .tags(tag)
                .build(),
        )
        .send()
        .await
        .expect("a rule");
    let rule = made.security_group_rules()[0].security_group_rule_id();
    let revoke = network.stage.drive(Action::RevokeRule {
        group: group.clone(),
        rule: rule.unwrap_or_default().to_owned(),
        ingress: true,
    });
    let before = act_twice(&revoke).await;
    assert_eq!(before["description"], "for the workshop");
    revoke.undo(&before).await.expect("the undo");
    revoke.undo(&before).await.expect("the undo again");
    // The rule has a new id, and is the same in all else.
    assert_already(revoke.check().await);
    let filter = Filter::builder()
        .name("group-id")
        .values(group.as_str())
        .build();
    let rules = ec2
        .describe_security_group_rules()
        .filters(filter)
        .send()
        .await;
    let rules = rules.expect("rules").security_group_rules().to_vec();
    let back: Vec<_> = rules
        .iter()
        .filter(|rule| rule.is_egress() == Some(false))
        .collect();
    assert_eq!(back.len(), 1);
    let again = network.stage.drive(Action::RevokeRule {
        group,
        rule: back[0]
            .security_group_rule_id()
            .unwrap_or_default()
            .to_owned(),
        ingress: true,
    });
    match again.check().await.expect("a look") {
        Checked::Needed { before: now } => assert_eq!(now, before),
        other => panic!("{other:?}"),
    }
}
