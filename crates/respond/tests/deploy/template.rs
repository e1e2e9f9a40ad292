//! The template: checked by cfn-lint, made into a stack by moto, and compared with what reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;

use davylamp_content::settings::{self, Override};
use davylamp_model::ids::IncidentId;
use davylamp_respond::config::{self, Config, Store};
use davylamp_respond::deploy::{cloudformation, lambda_purposes};
use davylamp_respond::journal::dynamodb::DynamoJournal;
use davylamp_respond::journal::{Claim, ClaimRequest, Journal};
use davylamp_respond::permissions::Purpose;
use davylamp_testkit::moto::{Moto, MotoAccount, cache_dir};
use serde_json::{Value, json};

use crate::field::{REGION, home_of};
use crate::reference::ROLE_POLICY_CHARS;

const STACK: &str = "davylamp";
/// What a reference to the topic gives.
const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:davylamp-notices";

#[track_caller]
fn lint(template: &Value) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("davylamp.json");
    std::fs::write(&file, template.to_string()).unwrap();
    let output = Command::new(cache_dir().join("python/bin/cfn-lint"))
        .args(["--regions", REGION, "--format", "parseable"])
        .arg(&file)
        .output()
        .expect("cfn-lint; `scripts/setup test` installs it");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_linter_finds_nothing() {
    lint(&cloudformation(&lambda_purposes()));
    lint(&cloudformation(&[Purpose::Read, Purpose::Journal]));
}

fn parameters(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let template = cloudformation(&lambda_purposes());
    let declared = template["Parameters"].as_object().expect("parameters");
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut all: BTreeMap<String, String> = declared
        .iter()
        .filter_map(|(name, one)| Some((name.clone(), text(one.get("Default")?))))
        .collect();
    for (name, value) in [("CodeBucket", "code")].iter().chain(more) {
        assert!(declared.contains_key(*name), "{name}");
        all.insert((*name).to_owned(), (*value).to_owned());
    }
    all
}

/// All that can be asked for.
const EVERYTHING: &[(&str, &str)] = &[
    ("DryRun", "false"),
    ("NoticeEmail", "admins@example.org"),
    ("MailSender", "davylamp@example.org"),
    ("HubUrl", "https://hub.example.org"),
    ("HubNamespaces", r#"["jupyter", "hub"]"#),
    ("PortalUrl", "https://portal.example.org/deauthorize"),
    ("ForeignRole", "davylamp-responder"),
    ("CognitoPool", "eu-central-1_AbCdEfGhI"),
    ("MemoryDocument", "davylamp-memory"),
    ("ForensicAccount", "210987654321"),
    ("SecurityHub", "true"),
    (
        "ForensicKey",
        "arn:aws:kms:eu-central-1:210987654321:key/0a1b2c3d-0000-4000-8000-000000000000",
    ),
];

/// The stack as moto makes it.
struct Made {
    account: MotoAccount,
}

impl Made {
    async fn new(more: &[(&str, &str)]) -> Self {
        let account = Moto::shared().account();
        account
            .rest(REGION, "s3", "PUT", &format!("/code-{}", account.id), &format!("<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"))
            .expect("a bucket");
        account
            .rest(
                REGION,
                "s3",
                "PUT",
                &format!("/code-{}/davy-lambda.zip", account.id),
                "PK",
            )
            .expect("a zip");
        let template = cloudformation(&lambda_purposes()).to_string();
        let mut all = parameters(more);
        all.insert("CodeBucket".to_owned(), format!("code-{}", account.id));
        let mut form = vec![
            ("Action".to_owned(), "CreateStack".to_owned()),
            ("Version".to_owned(), "2010-05-15".to_owned()),
            ("StackName".to_owned(), STACK.to_owned()),
            ("TemplateBody".to_owned(), template),
        ];
        for (number, (name, value)) in all.into_iter().enumerate() {
            let at = format!("Parameters.member.{}", number + 1);
            form.push((format!("{at}.ParameterKey"), name));
            form.push((format!("{at}.ParameterValue"), value));
        }
        let form: Vec<(&str, &str)> = form
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        account
            .query(REGION, "cloudformation", &form)
            .expect("a stack");
        Self { account }
    }

    fn describe(
        &self,
        action: &str,
        version: &str,
        service: &str,
        more: &[(&str, &str)],
    ) -> String {
        let mut form = vec![("Action", action), ("Version", version)];
        form.extend(more);
        self.account.query(REGION, service, &form).expect(action)
    }
}

#[tokio::test]
async fn the_stack_has_what_notices_that_the_function_fails() {
    let made = Made::new(EVERYTHING).await;
    let stacks = made.describe(
        "DescribeStacks",
        "2010-05-15",
        "cloudformation",
        &[("StackName", STACK)],
    );
    assert!(stacks.contains("<StackStatus>CREATE_COMPLETE<"), "{stacks}");
    let resources = made.describe(
        "DescribeStackResources",
        "2010-05-15",
        "cloudformation",
        &[("StackName", STACK)],
    );
    let template = cloudformation(&lambda_purposes());
    let missing: Vec<_> = template["Resources"]
        .as_object()
        .expect("resources")
        .keys()
        .filter(|name| !resources.contains(&format!("<LogicalResourceId>{name}<")))
        .collect();
    // moto passes over the types it does not know; of these there is the template alone.
    let unknown = [
        "AWS::CloudWatch::Alarm",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::SecretsManager::Secret",
    ];
    for name in missing {
        let kind = &template["Resources"][name]["Type"];
        assert!(unknown.iter().any(|one| kind == one), "{name}: {kind}");
    }
    let rules = made
        .account
        .json(REGION, "events", "AWSEvents.ListRules", &json!({}))
        .expect("rules");
    let rules = rules["Rules"].as_array().expect("rules");
    assert_eq!(rules.len(), 6);
    for rule in rules {
        let name = &rule["Name"];
        let targets = made
            .account
            .json(
                REGION,
                "events",
                "AWSEvents.ListTargetsByRule",
                &json!({"Rule": name}),
            )
            .expect("targets");
        let target = &targets["Targets"][0];
        assert!(
            target["Arn"]
                .as_str()
                .is_some_and(|arn| arn.ends_with(":function:davylamp-responder")),
            "{target}"
        );
        assert!(target["DeadLetterConfig"]["Arn"].is_string(), "{target}");
    }
    let function = made
        .account
        .rest(
            REGION,
            "lambda",
            "GET",
            "/2015-03-31/functions/davylamp-responder",
            "",
        )
        .expect("the function");
    let function: Value = serde_json::from_str(&function).unwrap();
    assert_eq!(function["Configuration"]["Runtime"], "provided.al2023");
    assert_eq!(function["Concurrency"]["ReservedConcurrentExecutions"], 5);

    let iam =
        |action: &str, more: &[(&str, &str)]| made.describe(action, "2010-05-08", "iam", more);
    let roles = iam("ListRoles", &[]);
    let role = between(&roles, "<RoleName>")[0].to_owned();
    let policies = iam("ListRolePolicies", &[("RoleName", &role)]);
    let names = between(&policies, "<member>");
    assert_eq!(
        names.iter().collect::<BTreeSet<_>>(),
        [
            "cognito",
            "forensic",
            "log-and-fail",
            "mail",
            "memory",
            "other-accounts",
            "respond",
        ]
        .iter()
        .collect()
    );
    let length: usize = names
        .iter()
        .map(|name| {
            let one = iam(
                "GetRolePolicy",
                &[("RoleName", &role), ("PolicyName", name)],
            );
            let text = between(&one, "<PolicyDocument>")[0];
            text.split_whitespace().collect::<String>().len()
        })
        .sum();
    assert!(length > 5_000 && length <= ROLE_POLICY_CHARS, "{length}");
}

/// Findings of Security Hub are for those who ask for them.
#[tokio::test]
async fn security_hub_starts_the_function_only_where_that_is_asked_for() {
    for (asked, rules) in [("false", 5), ("true", 6)] {
        let parameters = [EVERYTHING, &[("SecurityHub", asked)]].concat();
        let made = Made::new(&parameters).await;
        let held = made
            .account
            .json(REGION, "events", "AWSEvents.ListRules", &json!({}))
            .expect("rules");
        let held = held["Rules"].as_array().expect("rules");
        assert_eq!(held.len(), rules, "{asked}: {held:?}");
    }
    let template = cloudformation(&lambda_purposes());
    for name in ["SecurityHubFindings", "SecurityHubFindingsPermission"] {
        assert_eq!(template["Resources"][name]["Condition"], "HasSecurityHub");
    }
    assert_eq!(template["Parameters"]["SecurityHub"]["Default"], "false");
}

/// What stands after each of these tags.
fn between<'a>(xml: &'a str, tag: &str) -> Vec<&'a str> {
    xml.split(tag)
        .skip(1)
        .filter_map(|part| part.split('<').next())
        .collect()
}

/// Whatever ends in nothing is seen: by a queue, a destination, and alarms on both and on silence.
#[test]
fn every_way_to_fail_is_watched() {
    let template = cloudformation(&lambda_purposes());
    let resources = template["Resources"].as_object().expect("resources");
    let of_type = |kind: &str| -> Vec<&Value> {
        resources
            .values()
            .filter(|one| one["Type"] == kind)
            .map(|one| &one["Properties"])
            .collect()
    };
    let dead_letters = json!({"Fn::GetAtt": ["DeadLetters", "Arn"]});
    for rule in of_type("AWS::Events::Rule") {
        assert_eq!(rule["Targets"][0]["DeadLetterConfig"]["Arn"], dead_letters);
    }
    let config = of_type("AWS::Lambda::EventInvokeConfig");
    assert_eq!(
        config[0]["DestinationConfig"]["OnFailure"]["Destination"],
        dead_letters
    );
    let mut metrics: Vec<_> = of_type("AWS::CloudWatch::Alarm")
        .iter()
        .map(|alarm| {
            assert_eq!(alarm["AlarmActions"], json!([{"Ref": "Notices"}]));
            let silence = alarm["MetricName"] == "Invocations";
            let missing = if silence { "breaching" } else { "notBreaching" };
            assert_eq!(alarm["TreatMissingData"], missing);
            alarm["MetricName"].as_str().expect("a metric")
        })
        .collect();
    metrics.sort_unstable();
    assert_eq!(
        metrics,
        [
            "ApproximateNumberOfMessagesVisible",
            "Errors",
            "Invocations",
            "Throttles"
        ]
    );
    for (name, one) in resources {
        if ["AWS::DynamoDB::Table", "AWS::SecretsManager::Secret"]
            .iter()
            .any(|kind| one["Type"] == *kind)
        {
            assert_eq!(one["DeletionPolicy"], "Retain", "{name}");
        }
    }
}

/// The function's variables, with the parameters filled in.
fn variables(more: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    let template = cloudformation(&lambda_purposes());
    let parameters = parameters(more);
    let holds = |condition: &str| {
        let parameter = template["Conditions"][condition]["Fn::Not"][0]["Fn::Equals"][0]["Ref"]
            .as_str()
            .unwrap_or_else(|| panic!("{condition}"));
        !parameters[parameter].is_empty()
    };
    fn text(
        value: &Value,
        holds: &dyn Fn(&str) -> bool,
        parameters: &BTreeMap<String, String>,
    ) -> Option<String> {
        if let Some(choice) = value.get("Fn::If") {
            let which = if holds(choice[0].as_str().expect("a name")) {
                1
            } else {
                2
            };
            return text(&choice[which], holds, parameters);
        }
        match value.get("Ref").and_then(Value::as_str) {
            Some("AWS::NoValue") => None,
            Some("Notices") => Some(TOPIC.to_owned()),
            Some(name) => Some(
                parameters
                    .get(name)
                    .cloned()
                    .unwrap_or_else(|| format!("the-{name}")),
            ),
            None => Some(
                value
                    .get("Fn::Sub")
                    .unwrap_or(value)
                    .as_str()
                    .expect("a text")
                    .to_owned(),
            ),
        }
    }
    template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
        .as_object()
        .expect("variables")
        .iter()
        .filter_map(|(name, value)| Some((name.into(), text(value, &holds, &parameters)?.into())))
        .collect()
}

fn configured(more: &[(&str, &str)]) -> Config {
    let sections = [config::section()];
    let overrides = Override::from_environment(&sections, variables(more));
    let tree = settings::load(&sections, None, &overrides)
        .unwrap_or_else(|errors| panic!("{:#?}", errors.all()));
    settings::section(&tree, config::SECTION)
}

#[test]
fn the_functions_variables_are_a_configuration() {
    let bare = configured(&[]);
    assert!(bare.dry_run, "nothing is done until somebody says so");
    assert_eq!(bare.journal.store, Store::Dynamodb);
    assert_eq!(bare.journal.table, "the-Journal");
    assert_eq!(bare.notices.sns_topic, TOPIC);
    assert!(bare.hub.url.is_empty() && bare.role.is_empty() && !bare.notices.ses);

    let full = configured(EVERYTHING);
    assert!(!full.dry_run && full.notices.ses && full.notices.sns_topic.is_empty());
    assert_eq!(full.notices.to, ["admins@example.org"]);
    assert_eq!(full.hub.namespaces, ["jupyter", "hub"]);
    assert_eq!(full.hub.token, "secretsmanager:${HubToken}");
    assert_eq!(full.evidence.forensic_account, "210987654321");
    assert_eq!(full.cognito.pool, "eu-central-1_AbCdEfGhI");
    let variables = variables(EVERYTHING);
    let template = cloudformation(&lambda_purposes());
    let all = template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
        .as_object()
        .expect("variables");
    // All but the topic, which mails stand in for.
    assert_eq!(variables.len(), all.len() - 1);
}

/// The table that the template makes is the one the journal keeps itself in.
#[tokio::test]
async fn the_journal_is_kept_in_the_templates_table() {
    let made = Made::new(EVERYTHING).await;
    let tables = made
        .account
        .json(
            REGION,
            "dynamodb",
            "DynamoDB_20120810.ListTables",
            &json!({}),
        )
        .expect("tables");
    let table = tables["TableNames"][0].as_str().expect("a table");
    let home = home_of(&made.account).await;
    let journal: Arc<dyn Journal> = Arc::new(DynamoJournal::new(
        aws_sdk_dynamodb::Client::new(&home),
        table,
    ));
    let incident = IncidentId::from("inc-0123456789abcdef");
    assert!(journal.read(&incident).await.expect("an answer").is_none());
    let request = ClaimRequest {
        resource: "instance/i-1".to_owned(),
        proposed: incident.clone(),
        run: "run".to_owned(),
        now: "2026-03-01T00:00:00Z".parse().unwrap(),
        window_hours: 24,
        lease_secs: 60,
    };
    let claim = journal.claim(&request).await.expect("a claim");
    assert!(matches!(claim, Claim::Ours { .. }), "{claim:?}");
    assert_eq!(journal.list(10).await.expect("a list"), [incident]);
}
