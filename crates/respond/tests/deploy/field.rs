//! An account full of things to respond to, and a responder that has only what a policy gives it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use davylamp_cloud::aws::session::{Retries, SessionOptions, Sessions};
use davylamp_cloud::kubernetes::Clusters;
use davylamp_content::playbook::Playbook;
use davylamp_model::finding::{Behaviour, Finding, FindingSource, Severity};
use davylamp_model::ids::{AccountId, Region};
use davylamp_model::resource::{Place, Resource};
use davylamp_notice::{Notice, Notifier, Sending};
use davylamp_plan::policy::Policy;
use davylamp_respond::aws::{Ec2Actuator, ServicesActuator};
use davylamp_respond::clock::SystemClock;
use davylamp_respond::collecting::Collecting;
use davylamp_respond::executor::{Executor, ExecutorOptions};
use davylamp_respond::journal::dynamodb::DynamoJournal;
use davylamp_respond::library;
use davylamp_respond::notice::Sns;
use davylamp_respond::planning::Playbooks;
use davylamp_respond::responder::{Parts, Responder, ResponderOptions};
use davylamp_respond::tell::Teller;
use davylamp_testkit::faults::{FaultProxy, Schedule};
use davylamp_testkit::moto::{Moto, MotoAccount};
use serde_json::{Value, json};

pub const REGION: &str = "eu-central-1";
const ROLE: &str = "davylamp-responder";
const STS: &str = "2011-06-15";
pub const TABLE: &str = "davylamp-journal";

/// A moto of its own, because enforcement is global to a server.
pub struct Field {
    _moto: Moto,
    pub admin: MotoAccount,
    pub config: SdkConfig,
    pub proxy: FaultProxy,
    topic: String,
}

/// Every notice that went out.
#[derive(Default)]
pub struct Kept(Mutex<Vec<Notice>>);

impl Kept {
    pub fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Notifier for Kept {
    fn name(&self) -> &str {
        "kept"
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> Sending<'a> {
        Box::pin(async move {
            self.0.lock().unwrap().push(notice.clone());
            Ok(())
        })
    }
}

async fn sessions(account: &MotoAccount, endpoint: &str) -> Arc<Sessions> {
    let (key, secret, token) = account.credentials();
    let credentials = Credentials::new(key, secret, Some(token.to_owned()), None, "a test");
    let options = SessionOptions {
        region: Some(REGION.to_owned()),
        endpoint_url: Some(endpoint.to_owned()),
        account: Some(AccountId::from(account.id.as_str())),
        retries: Retries {
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(4),
            ..Retries::default()
        },
        ..SessionOptions::default()
    };
    let sessions = Sessions::with_credentials(options, credentials).await;
    Arc::new(sessions.expect("sessions"))
}

/// What clients in this account are made from.
pub async fn home_of(account: &MotoAccount) -> SdkConfig {
    let sessions = sessions(account, &account.endpoint).await;
    sessions.home_writing().clone()
}

impl Field {
    pub async fn new() -> Self {
        // What moto takes for the signature of a text with blanks or lines is none.
        let moto = Moto::own_with(&[("DAVYLAMP_MOTO_ANY_SIGNATURE", "1")]);
        let admin = moto.account();
        let config = home_of(&admin).await;
        let table = json!({
            "TableName": TABLE,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        });
        admin
            .json(REGION, "dynamodb", "DynamoDB_20120810.CreateTable", &table)
            .expect("a table");
        let topic = aws_sdk_sns::Client::new(&config)
            .create_topic()
            .name("davylamp-notices")
            .send()
            .await
            .expect("a topic");
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
        });
        aws_sdk_iam::Client::new(&config)
            .create_role()
            .role_name(ROLE)
            .assume_role_policy_document(trust.to_string())
            .send()
            .await
            .expect("a role");
        Self {
            proxy: FaultProxy::start(&moto.endpoint(), Schedule::default()),
            topic: topic.topic_arn().expect("its ARN").to_owned(),
            _moto: moto,
            admin,
            config,
        }
    }

    pub fn place(&self) -> Place {
        Place {
            account: AccountId::from(self.admin.id.as_str()),
            region: Region::from(REGION),
        }
    }

    pub fn finding(&self, kind: &str, behaviour: Behaviour, resource: Resource) -> Finding {
        Finding {
            id: kind.into(),
            source: FindingSource::GuardDuty,
            kind: kind.to_owned(),
            behaviour,
            title: kind.to_owned(),
            severity: Severity::High,
            place: Some(self.place()),
            resources: vec![resource],
            first_seen: Some("2026-01-02T03:04:05Z".parse().unwrap()),
            last_seen: Some("2026-01-02T03:14:05Z".parse().unwrap()),
            count: 1,
            sample: false,
            archived: false,
            detector: None,
            observed: Vec::new(),
            gaps: Vec::new(),
        }
    }

    /// From now on a call needs a policy that allows it, or from now on none does.
    pub fn enforce(&self, enforced: bool) {
        let count = if enforced { "0" } else { "inf" };
        self.admin
            .rest(REGION, "moto", "POST", "/moto-api/reset-auth", count)
            .expect("the switch");
    }

    /// A responder that may do what this document says and nothing else.
    pub async fn responder(&self, document: &Value, named: Option<&str>) -> (Responder, Arc<Kept>) {
        self.enforce(false);
        aws_sdk_iam::Client::new(&self.config)
            .put_role_policy()
            .role_name(ROLE)
            .policy_name("respond")
            .policy_document(document.to_string())
            .send()
            .await
            .expect("a policy");
        let arn = format!("arn:aws:iam::{}:role/{ROLE}", self.admin.id);
        let form = [
            ("Action", "AssumeRole"),
            ("Version", STS),
            ("RoleArn", arn.as_str()),
            ("RoleSessionName", "responder"),
        ];
        let session = self.admin.query(REGION, "sts", &form).expect("a session");
        let part = |name: &str| {
            let (_, rest) = session.split_once(&format!("<{name}>")).expect(name);
            rest.split_once('<').expect(name).0.to_owned()
        };
        let who = MotoAccount {
            access_key: part("AccessKeyId"),
            secret: part("SecretAccessKey"),
            session_token: part("SessionToken"),
            ..self.admin.clone()
        };
        self.enforce(true);
        let sessions = sessions(&who, &self.proxy.endpoint()).await;
        let home = sessions.home_writing().clone();
        let policy = Policy {
            allow_irreversible: [
                "delete-login-profile",
                "terminate-instance",
                "unprotect-instance",
            ]
            .map(str::to_owned)
            .into(),
            ..Policy::default()
        };
        let playbooks: Vec<Playbook> = library::read(&[])
            .expect("the shipped playbooks")
            .into_iter()
            .map(|parsed| parsed.playbook)
            .collect();
        let options = ExecutorOptions {
            retry_within: Duration::from_secs(2),
            settle_within: Duration::from_secs(5),
            evidence_within: Duration::from_secs(5),
            backoff_first: Duration::from_millis(20),
            poll_first: Duration::from_millis(20),
            poll_most: Duration::from_millis(20),
            poll_evidence_most: Duration::from_millis(20),
            ..ExecutorOptions::default()
        };
        let kept = Arc::new(Kept::default());
        let clusters = Arc::new(Clusters::new(Arc::clone(&sessions), Vec::new()));
        let channels: Vec<Arc<dyn Notifier>> = vec![
            Arc::clone(&kept) as Arc<dyn Notifier>,
            Arc::new(Sns::new(&home, &self.topic)),
        ];
        let named = named.map(str::to_owned);
        let responder = Responder::new(Parts {
            executor: Executor::new(
                vec![
                    Arc::new(Ec2Actuator::new(Arc::clone(&sessions), 15)),
                    Arc::new(ServicesActuator::new(Arc::clone(&sessions), None)),
                ],
                Arc::new(DynamoJournal::new(
                    aws_sdk_dynamodb::Client::new(&home),
                    TABLE,
                )),
                Arc::new(SystemClock),
                options,
            ),
            collect: Arc::new(Collecting::new(sessions, clusters, None, named.clone())),
            planning: Arc::new(Playbooks::new(playbooks, policy.clone(), named)),
            tell: Arc::new(Teller::new(channels, Vec::new())),
            policy,
            options: ResponderOptions::default(),
            run: format!("run-{}", who.access_key),
        });
        (responder, kept)
    }
}
