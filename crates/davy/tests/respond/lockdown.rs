//! Closing every door of an account, and opening exactly those again.

use davylamp_testkit::faults::{Fault, Rule, Schedule};
use serde_json::json;

use crate::finding::mining;
use crate::ground::{Ground, REGION};
use crate::machine::{all, first};

impl Ground {
    fn rules(&self, group: &str) -> Vec<String> {
        let form = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group)];
        let about = self.ec2("DescribeSecurityGroupRules", &form);
        // Asked for one by one: members of a rule may stand before its id.
        let one = |id: &String| {
            let rule = self.ec2(
                "DescribeSecurityGroupRules",
                &[("SecurityGroupRuleId.1", id)],
            );
            let part = |name: &str| all(&rule, name).first().cloned().unwrap_or_default();
            [
                "isEgress",
                "ipProtocol",
                "fromPort",
                "toPort",
                "cidrIpv4",
                "description",
            ]
            .map(part)
            .join(" ")
        };
        let mut rules: Vec<_> = all(&about, "securityGroupRuleId").iter().map(one).collect();
        rules.sort();
        rules
    }

    fn endpoint_of(&self, cluster: &str) -> serde_json::Value {
        let path = format!("/clusters/{cluster}");
        let text = self.account.rest(REGION, "eks", "GET", &path, "");
        let about: serde_json::Value =
            serde_json::from_str(&text.expect("a cluster")).expect("JSON");
        about["cluster"]["resourcesVpcConfig"]["endpointPublicAccess"].clone()
    }
}

#[test]
fn a_named_lockdown_closes_every_door_and_undo_opens_exactly_those() {
    let ground = Ground::new();
    let vpcs = ground.ec2("DescribeVpcs", &[]);
    let made = ground.ec2(
        "CreateSecurityGroup",
        &[
            ("GroupName", "open"),
            ("GroupDescription", "open"),
            ("VpcId", &first(&vpcs, "vpcId")),
        ],
    );
    let group = first(&made, "groupId");
    ground.ec2(
        "AuthorizeSecurityGroupIngress",
        &[
            ("GroupId", &group),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "22"),
            ("IpPermissions.1.ToPort", "22"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
            ("IpPermissions.1.IpRanges.1.Description", "the way in"),
        ],
    );
    let body = json!({
        "name": "shop",
        "roleArn": format!("arn:aws:iam::{}:role/eks", ground.account.id),
        "resourcesVpcConfig": {"endpointPublicAccess": true, "endpointPrivateAccess": true},
    });
    let created = ground
        .account
        .rest(REGION, "eks", "POST", "/clusters", &body.to_string());
    created.expect("a cluster");
    let machine = ground.machine_in(REGION);
    let groups = ground.groups(&machine.interface);
    let rules = ground.rules(&group);
    assert!(
        rules.iter().any(|it| it.contains("0.0.0.0/0 the way in")),
        "{rules:?}"
    );

    let finding = ground.save("f.json", &mining(&ground.account.id, "one", &machine.id));
    // The test server does not have this call, which the actuator's own tests answer.
    let missing = Fault::Error {
        status: 403,
        code: "UnauthorizedOperation".to_owned(),
        message: "not here".to_owned(),
    };
    let rule = Rule::new("ec2", "*VpcBlockPublicAccess*", missing);
    ground.proxy.set_schedule(Schedule::rules([rule]));
    // Nobody chooses it but an operator.
    let plan = ground.davy(&["plan", "--finding", &finding]);
    assert!(!plan.out.contains("account-lockdown"), "{}", plan.out);
    let ran = ground.davy(&[
        "--finding",
        &finding,
        "--playbook",
        "account-lockdown",
        "--region",
        REGION,
    ]);
    let ran = ran.says(&[
        "playbook account-lockdown",
        "close-eks-endpoint",
        "revoke-rule",
    ]);
    assert_eq!(ground.endpoint_of("shop"), json!(false), "{ran:#?}");
    let closed = ground.rules(&group);
    assert!(
        !closed.iter().any(|it| it.contains("the way in")),
        "{closed:?}"
    );

    let listed = ground.davy(&["status", "--output", "json"]).json();
    let here = format!("{}/{REGION}/account", ground.account.id);
    let incident = listed
        .as_array()
        .and_then(|all| all.iter().find(|it| it["resource"] == json!(here)))
        .and_then(|it| it["incident"].as_str())
        .unwrap_or_else(|| panic!("{listed:#}"));
    // What is the account's as a whole belongs to one incident: taking back another's region opens
    // nothing of it.
    let buckets = format!(
        "block-bucket-public-access:bucket-public-access/{}",
        ground.account.id
    );
    let closing: Vec<_> = listed
        .as_array()
        .expect("incidents")
        .iter()
        .filter_map(|it| it["incident"].as_str())
        .filter(|it| {
            let status = ground.davy(&["status", it, "--output", "json"]).json();
            !status["steps"][&buckets].is_null()
        })
        .collect();
    assert_eq!(closing, [incident]);

    let rehearsed = ground.davy(&["undo", incident, "--dry-run"]);
    rehearsed.says(&[
        "this is a dry run",
        "taken back close-eks-endpoint:eks/shop",
    ]);
    assert_eq!(ground.endpoint_of("shop"), json!(false));
    let undone = ground.davy(&["undo", incident, "--by", "carol"]);
    undone.says(&["taken back close-eks-endpoint:eks/shop"]);
    assert_eq!(ground.endpoint_of("shop"), json!(true));
    assert_eq!(ground.rules(&group), rules);
    assert_eq!(ground.groups(&machine.interface), groups);

    // Once more changes nothing.
    ground.proxy.clear_calls();
    ground.davy(&["undo", incident, "--by", "carol"]);
    assert_eq!(ground.rules(&group), rules);
    assert_eq!(ground.endpoint_of("shop"), json!(true));
}
