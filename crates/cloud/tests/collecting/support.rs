//! What these tests share: a session in an account of the AWS test server.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use davylamp_cloud::aws::session::{Retries, SessionOptions, Sessions};
use davylamp_cloud::collect::{Collector, Purpose, Wanted};
use davylamp_cloud::kubernetes::Clusters;
use davylamp_model::inventory::Inventory;
use davylamp_model::resource::{Place, Resource};
use davylamp_testkit::faults::{FaultProxy, Schedule};
use davylamp_testkit::moto::{Moto, MotoAccount};

/// An instance that is nowhere.
pub const GONE: &str = "i-0123456789abcdef0";
pub const REGION: &str = "eu-central-1";

/// An account, the proxy before it, and a session through that.
pub struct Ground {
    pub account: MotoAccount,
    pub proxy: FaultProxy,
    pub sessions: Arc<Sessions>,
}

impl Ground {
    pub async fn new() -> Self {
        Self::with(SessionOptions::default()).await
    }

    pub async fn with(options: SessionOptions) -> Self {
        let moto = Moto::shared();
        let account = moto.account();
        let proxy = FaultProxy::start(&moto.endpoint(), Schedule::clean());
        let sessions = session(&account, &proxy.endpoint(), options).await;
        Self {
            account,
            proxy,
            sessions,
        }
    }

    pub fn place(&self) -> Place {
        self.place_in(REGION)
    }

    pub fn place_in(&self, region: &str) -> Place {
        Place {
            account: self.account.id.as_str().into(),
            region: region.into(),
        }
    }

    pub fn collector(&self) -> Collector {
        let clusters = Clusters::new(self.sessions.clone(), Vec::new());
        Collector::new(self.sessions.clone(), clusters, None)
    }

    pub async fn collect(&self, resource: Resource) -> Inventory {
        self.collector()
            .collect(&self.place(), &[], &resource, Purpose::Incident)
            .await
    }

    /// A client that prepares what is read, past the proxy's faults only because none are set yet.
    pub async fn ec2(&self, region: &str) -> aws_sdk_ec2::Client {
        let config = self.sessions.writing(&self.place_in(region)).await.unwrap();
        aws_sdk_ec2::Client::new(&config)
    }

    pub async fn run_instance(&self, region: &str) -> String {
        let ran = self
            .ec2(region)
            .await
            .run_instances()
            .image_id("ami-12c6146b")
            .min_count(1)
            .max_count(1)
            .send()
            .await
            .unwrap();
        ran.instances()[0].instance_id().unwrap().to_owned()
    }
}

pub async fn session(
    account: &MotoAccount,
    endpoint: &str,
    options: SessionOptions,
) -> Arc<Sessions> {
    let (key, secret, token) = account.credentials();
    let credentials = Credentials::new(key, secret, Some(token.to_owned()), None, "test");
    let options = SessionOptions {
        region: Some(REGION.to_owned()),
        endpoint_url: Some(endpoint.to_owned()),
        retries: Retries {
            attempts: 3,
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_millis(20),
            ..Retries::default()
        },
        ..options
    };
    Arc::new(
        Sessions::with_credentials(options, credentials)
            .await
            .unwrap(),
    )
}

pub fn instance(id: &str) -> Resource {
    Resource::Instance { id: id.into() }
}

pub fn wanted(place: Place, resource: Resource) -> Wanted {
    Wanted {
        place,
        findings: Vec::new(),
        resource,
        purpose: Purpose::Incident,
    }
}
