//! Reading and changing objects of any kind as JSON, and what the API server's answers mean.

use davylamp_cloud::aws::session::describe;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
    Preconditions,
};
use kube::{Client, Error};
use serde_json::Value;

use crate::actuator::ActError;

/// No name of an object is longer (RFC 1123 subdomain).
const LONGEST_NAME: usize = 253;

/// A page of a list.
const PAGE: u32 = 250;

/// A kind: group, version, plural and kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind(
    pub &'static str,
    pub &'static str,
    pub &'static str,
    pub &'static str,
);

impl Kind {
    pub(super) const NODE: Self = Self("", "v1", "nodes", "Node");
    pub(super) const POD: Self = Self("", "v1", "pods", "Pod");
    pub(super) const POLICY: Self = Self(
        "networking.k8s.io",
        "v1",
        "networkpolicies",
        "NetworkPolicy",
    );
    pub(super) const DEPLOYMENT: Self = Self("apps", "v1", "deployments", "Deployment");
    pub(super) const STATEFUL_SET: Self = Self("apps", "v1", "statefulsets", "StatefulSet");
    pub(super) const REPLICA_SET: Self = Self("apps", "v1", "replicasets", "ReplicaSet");
    pub(super) const JOB: Self = Self("batch", "v1", "jobs", "Job");
    pub(super) const CRON_JOB: Self = Self("batch", "v1", "cronjobs", "CronJob");
    pub(super) const NODE_POOL: Self = Self("karpenter.sh", "v1", "nodepools", "NodePool");

    fn resource(self) -> ApiResource {
        let Self(group, version, plural, kind) = self;
        ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: if group.is_empty() {
                version.to_owned()
            } else {
                format!("{group}/{version}")
            },
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }
}

/// The objects of one cluster.
pub(super) struct Objects {
    client: Client,
}

impl Objects {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    fn api(&self, kind: Kind, namespace: &str) -> Result<Api<DynamicObject>, ActError> {
        let client = self.client.clone();
        if namespace.is_empty() {
            return Ok(Api::all_with(client, &kind.resource()));
        }
        named(kind, namespace)?;
        Ok(Api::namespaced_with(client, namespace, &kind.resource()))
    }

    /// An object, whole; `None` where it is not there. Objects without a namespace have an empty
    /// one.
    pub(super) async fn get(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, ActError> {
        named(kind, name)?;
        match self.api(kind, namespace)?.get(name).await {
            Ok(object) => whole(kind, object).map(Some),
            Err(error) if code(&error) == Some(404) => Ok(None),
            Err(error) => Err(failure("get", kind, &error)),
        }
    }

    /// Every object of a namespace.
    pub(super) async fn list(&self, kind: Kind, namespace: &str) -> Result<Vec<Value>, ActError> {
        let api = self.api(kind, namespace)?;
        let mut params = ListParams::default().limit(PAGE);
        let mut found = Vec::new();
        loop {
            let page = api
                .list(&params)
                .await
                .map_err(|error| failure("list", kind, &error))?;
            for object in page.items {
                found.push(whole(kind, object)?);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    /// Merges `change` into an object; `false` where the object is not there.
    pub(super) async fn merge(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        change: &Value,
    ) -> Result<bool, ActError> {
        named(kind, name)?;
        let outcome = self
            .api(kind, namespace)?
            .patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await;
        match outcome {
            Ok(_) => Ok(true),
            Err(error) if code(&error) == Some(404) => Ok(false),
            Err(error) => Err(failure("patch", kind, &error)),
        }
    }

    /// Creates an object; `false` where one of that name is there.
    pub(super) async fn create(
        &self,
        kind: Kind,
        namespace: &str,
        object: &Value,
    ) -> Result<bool, ActError> {
        let object: DynamicObject =
            serde_json::from_value(object.clone()).map_err(|error| ActError::Refused {
                call: format!("create {}", kind.2),
                why: error.to_string(),
            })?;
        let outcome = self
            .api(kind, namespace)?
            .create(&PostParams::default(), &object)
            .await;
        match outcome {
            Ok(_) => Ok(true),
            Err(Error::Api(status)) if status.reason == "AlreadyExists" => Ok(false),
            Err(error) => Err(failure("create", kind, &error)),
        }
    }

    /// Creates what stands under an object, such as an eviction.
    pub(super) async fn create_under(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        sub: &str,
        body: &Value,
    ) -> Result<Under, ActError> {
        named(kind, name)?;
        let outcome = self
            .api(kind, namespace)?
            .create_subresource::<Value, Value>(sub, name, &PostParams::default(), body)
            .await;
        match outcome {
            Ok(_) => Ok(Under::Created),
            Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(Under::Gone),
            Err(error) if is_over_budget(&error) => {
                Ok(Under::OverBudget(failure(sub, kind, &error)))
            }
            Err(error) => Err(failure(sub, kind, &error)),
        }
    }

    /// Deletes an object. One that is not there, or has another uid, is gone already.
    pub(super) async fn delete(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        params: &DeleteParams,
    ) -> Result<(), ActError> {
        named(kind, name)?;
        match self.api(kind, namespace)?.delete(name, params).await {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == Some(404) => Ok(()),
            Err(error) if code(&error) == Some(409) && params.preconditions.is_some() => Ok(()),
            Err(error) => Err(failure("delete", kind, &error)),
        }
    }
}

/// Deletes only the object with this uid, which has `grace_secs` to end.
pub(super) fn only(uid: &str, grace_secs: u32) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        grace_period_seconds: Some(grace_secs),
        ..DeleteParams::default()
    }
}

/// What came of creating something under an object.
pub(super) enum Under {
    /// It is there.
    Created,
    /// The object is not there, or is another than the one meant.
    Gone,
    /// A disruption budget forbids it for now.
    OverBudget(ActError),
}

/// Whether a disruption budget refuses an eviction. A busy API server answers 429 as well.
fn is_over_budget(error: &Error) -> bool {
    let Error::Api(status) = error else {
        return false;
    };
    let named = status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .any(|cause| cause.reason == "DisruptionBudget");
    status.code == 429 && (named || status.message.contains("disruption budget"))
}

/// The status of the API server's answer, if it answered.
fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// What a failed call means.
fn failure(verb: &str, kind: Kind, error: &Error) -> ActError {
    let call = format!("{verb} {}", kind.2);
    match error {
        Error::Api(status) => {
            let mut why = status.message.clone();
            for cause in status.details.iter().flat_map(|details| &details.causes) {
                why = format!("{why} ({})", cause.message);
            }
            match status.code {
                401 | 403 => ActError::Denied { call, why },
                // A conflict is another's change in between: look and act again.
                408 | 409 | 429 | 500.. => transient(why),
                _ => ActError::Refused { call, why },
            }
        }
        Error::Auth(_) => ActError::Denied {
            call,
            why: describe(error),
        },
        Error::SerdeError(_) | Error::BuildRequest(_) | Error::HttpError(_) => ActError::Refused {
            call,
            why: describe(error),
        },
        _ => transient(describe(error)),
    }
}

fn transient(why: String) -> ActError {
    ActError::Transient {
        service: "the cluster".to_owned(),
        why,
    }
}

/// Refuses a name that no object can have: in a path it could lead to another.
fn named(kind: Kind, name: &str) -> Result<(), ActError> {
    let good = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.starts_with(|char: char| char.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'));
    if good {
        return Ok(());
    }
    Err(ActError::Refused {
        call: format!("naming one of {}", kind.2),
        why: format!("no object can be called {name:?}"),
    })
}

fn whole(kind: Kind, object: DynamicObject) -> Result<Value, ActError> {
    serde_json::to_value(object).map_err(|error| ActError::Refused {
        call: format!("get {}", kind.2),
        why: error.to_string(),
    })
}
