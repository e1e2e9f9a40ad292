//! What links findings, and what never does.

use davylamp_ledger::{Reported, Taken, keys};
use davylamp_model::finding::Observed;
use davylamp_model::ids::{
    AccessKeyId, AccountId, Arn, ClusterName, FunctionName, IamUserName, NodeName, Region,
    RoleName, VolumeId,
};
use davylamp_model::resource::{KeyHolder, Place, Resource};

use crate::make::{of_instance, of_user, reported};

fn keys_of(change: impl FnOnce(&mut Reported)) -> String {
    let mut made = reported("a", 0);
    made.finding.place = Some(Place {
        account: AccountId::from("111122223333"),
        region: Region::from("eu-central-1"),
    });
    change(&mut made);
    keys::keys(&made).join(" ")
}

fn resource(resource: Resource) -> String {
    keys_of(|made| made.finding.resources.push(resource))
}

fn observed(what: &str, value: &str) -> String {
    keys_of(|made| {
        made.finding.observed.push(Observed {
            what: what.to_owned(),
            value: value.to_owned(),
        });
    })
}

#[test]
fn what_an_attacker_holds_is_a_key() {
    let id = "0123456789abcdef".repeat(4);
    let user = IamUserName::from("mallory");
    let key = Some(AccessKeyId::from("AKIAEXAMPLE"));
    for (found, wanted) in [
        (
            keys::keys(&of_user(reported("a", 0), "a/b")).join(" "),
            "hub-user:hub-a/a%2fb pod:hub-a/hub/jupyter-a%2fb".to_owned(),
        ),
        (
            keys::keys(&of_instance(reported("a", 0), "i-1")).join(" "),
            "instance:i-1".to_owned(),
        ),
        (
            resource(Resource::Volume {
                id: VolumeId::from("vol-1"),
            }),
            "volume:vol-1".to_owned(),
        ),
        (
            resource(Resource::Function {
                name: FunctionName::from("f"),
            }),
            "function:111122223333/eu-central-1/f".to_owned(),
        ),
        (
            resource(Resource::EcsTask {
                cluster: Arn::from("c"),
                task: Arn::from("t"),
                fargate: true,
            }),
            "task:t".to_owned(),
        ),
        (
            resource(Resource::AccessKey {
                key,
                holder: KeyHolder::User { user },
            }),
            "access-key:AKIAEXAMPLE iam-user:111122223333/mallory".to_owned(),
        ),
        (
            resource(Resource::AccessKey {
                key: None,
                holder: KeyHolder::RoleSession {
                    role: RoleName::from("r"),
                    session: Some("s".to_owned()),
                },
            }),
            "role-session:111122223333/r/s".to_owned(),
        ),
        (
            observed("container", &format!("containerd://{id}")),
            format!("container:{id}"),
        ),
        (
            observed("process-user", "1000"),
            "process:hub-a/node-1/1000".to_owned(),
        ),
        (observed("pod-uid", "u-1"), "pod-uid:u-1".to_owned()),
    ] {
        assert_eq!(found, wanted);
    }
}

#[test]
fn what_strangers_share_is_none() {
    for none in [
        resource(Resource::Node {
            cluster: None,
            name: NodeName::from("node-1"),
        }),
        resource(Resource::Account),
        resource(Resource::AccountRegion {
            whole_in: Region::from("us-east-1"),
        }),
        resource(Resource::EksCluster {
            name: ClusterName::from("c"),
        }),
        resource(Resource::EcsCluster {
            arn: Arn::from("c"),
        }),
        resource(Resource::Image {
            id: "ami-1".to_owned(),
        }),
        resource(Resource::Bucket {
            name: "b".to_owned(),
        }),
        resource(Resource::AccessKey {
            key: None,
            holder: KeyHolder::Root,
        }),
        resource(Resource::AccessKey {
            key: None,
            holder: KeyHolder::RoleSession {
                role: RoleName::from("r"),
                session: None,
            },
        }),
        observed("domain", "pool.example"),
        observed("image", "quay.io/jupyter/base"),
        observed("container", "notebook"),
        observed("container", ""),
        observed("node", "node-1"),
    ] {
        assert_eq!(none, "");
    }
}

#[test]
fn lines_of_the_guard() {
    let line = |action: &str, more: &str| {
        let text = format!(
            r#"{{"pid":1,"cmdline":"x","matched":"x","action":"{action}","event":"e","uid":1000,
               "timestamp":"2026-11-30T10:00:00.000000Z","node":"n1"{more}}}"#
        );
        Reported::from_guard_line(&text, "hub-a", "guard")
            .map(|made| (made.taken, keys::keys(&made).join(" ")))
    };
    let bare = "process:hub-a/n1/1000".to_owned();
    assert_eq!(line("killed", ""), Some((Taken::Killed, bare.clone())));
    assert_eq!(line("spared", ""), Some((Taken::Spared, bare.clone())));
    assert_eq!(line("held", ""), Some((Taken::Held, bare)));
    let id = "ab".repeat(32);
    let inside = format!(r#","container_id":"{id}","hub_user":"ada""#);
    let wanted = format!("container:{id} hub-user:hub-a/ada");
    assert_eq!(
        line("would-kill", &inside),
        Some((Taken::WouldKill, wanted))
    );
    assert_eq!(line("process-already-exited", ""), None);
    assert_eq!(Reported::from_guard_line("no line", "", ""), None);
}
