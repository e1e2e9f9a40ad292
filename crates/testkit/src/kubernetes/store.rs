//! The objects, and what each verb does to them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::answer::{Call, Target, Trouble};
use super::kinds::{Kinds, group_of};
use super::{patch, selector};

/// Group, plural, namespace (empty where it has none) and name.
type Key = (String, String, String, String);

/// When everything here was created: the double has no clock.
const CREATED_AT: &str = "2026-01-01T00:00:00Z";

/// The objects.
#[derive(Debug)]
pub struct Store {
    kinds: Kinds,
    objects: BTreeMap<Key, Value>,
    version: u64,
    unevictable: BTreeSet<(String, String)>,
    /// Whether a deleted pod is only marked.
    pub hold_deletions: bool,
}

impl Store {
    /// With nothing but the namespace `default`.
    pub fn new() -> Self {
        let mut store = Self {
            kinds: Kinds::built_in(),
            objects: BTreeMap::new(),
            version: 0,
            unevictable: BTreeSet::new(),
            hold_deletions: false,
        };
        store.put(
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "default" } }),
        );
        store
    }

    /// Puts an object there, whatever was there before.
    pub fn put(&mut self, mut object: Value) -> Value {
        let word = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let namespace = word("/metadata/namespace");
        let (group, plural) =
            self.kinds
                .learn(&word("/apiVersion"), &word("/kind"), !namespace.is_empty());
        let key = (group, plural, namespace, word("/metadata/name"));
        self.version += 1;
        if object.pointer("/metadata/uid").is_none() {
            object["metadata"]["uid"] =
                json!(format!("00000000-0000-4000-8000-{:012x}", self.version));
        }
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object.pointer("/metadata/creationTimestamp").is_none() {
            object["metadata"]["creationTimestamp"] = json!(CREATED_AT);
        }
        self.objects.insert(key, object.clone());
        object
    }

    /// The object of `plural` or `plural.group`.
    pub fn named(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.objects.get(&key(resource, namespace, name)).cloned()
    }

    /// Removes it.
    pub fn take(&mut self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.objects.remove(&key(resource, namespace, name))
    }

    /// Whether a pod's disruption budget allows no eviction.
    pub fn refuse_eviction(&mut self, namespace: &str, pod: &str, refuse: bool) {
        let key = (namespace.to_owned(), pod.to_owned());
        if refuse {
            self.unevictable.insert(key);
        } else {
            self.unevictable.remove(&key);
        }
    }

    /// Removes what is marked and has no finalizer.
    pub fn finish_deletions(&mut self) {
        self.objects.retain(|_, object| {
            object.pointer("/metadata/deletionTimestamp").is_none() || has_finalizers(object)
        });
    }

    /// The discovery documents.
    pub fn discovery(&self, path: &str) -> Option<Value> {
        self.kinds.discovery(path)
    }

    /// Does what is asked.
    pub fn answer(&mut self, call: &Call<'_>, target: &Target) -> Result<(u16, Value), Trouble> {
        let kind = self
            .kinds
            .find(&target.group, &target.plural)
            .ok_or_else(|| {
                Trouble::new(
                    404,
                    "NotFound",
                    "the server could not find the requested resource",
                )
            })?
            .clone();
        let Some(name) = &target.name else {
            return match call.method {
                "GET" => self.list(call, target, &kind.api_version, &kind.kind),
                "POST" => self.create(call, target, &kind.api_version, &kind.kind),
                other => Err(not_allowed(other)),
            };
        };
        let key = (
            target.group.clone(),
            target.plural.clone(),
            target.namespace.clone().unwrap_or_default(),
            name.clone(),
        );
        match (call.method, target.sub.as_deref()) {
            ("PATCH", None)
                if !self.objects.contains_key(&key)
                    && call.content_type.starts_with("application/apply-patch") =>
            {
                self.create(call, target, &kind.api_version, &kind.kind)
            }
            _ if !self.objects.contains_key(&key) => Err(Trouble::not_found(&target.plural, name)),
            ("GET", None | Some("status")) => Ok((200, self.objects[&key].clone())),
            ("PUT" | "PATCH", None | Some("status")) => self.change(call, &key),
            ("DELETE", None) => self.delete(call.body.as_ref(), &key),
            ("POST", Some("eviction")) => self.evict(call, &key),
            (_, Some("scale")) => self.scale(call, &key),
            (other, _) => Err(not_allowed(other)),
        }
    }

    fn list(
        &self,
        call: &Call<'_>,
        target: &Target,
        api_version: &str,
        kind: &str,
    ) -> Result<(u16, Value), Trouble> {
        if call
            .parameter("watch")
            .is_some_and(|watch| watch != "false" && watch != "0")
        {
            return Err(Trouble::new(
                400,
                "BadRequest",
                "this double watches nothing",
            ));
        }
        let labels = call.parameter("labelSelector").unwrap_or_default();
        let fields = call.parameter("fieldSelector").unwrap_or_default();
        let after = match call.parameter("continue") {
            Some(token) => Some(
                hex::decode(&token)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .and_then(|text| {
                        text.split_once('/')
                            .map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
                    })
                    .ok_or_else(|| {
                        Trouble::new(410, "Expired", "the provided continue parameter is too old")
                    })?,
            ),
            None => None,
        };
        let mut found = Vec::new();
        for ((group, plural, namespace, name), object) in &self.objects {
            let wanted = *group == target.group
                && *plural == target.plural
                && target
                    .namespace
                    .as_ref()
                    .is_none_or(|wanted| wanted == namespace)
                && after
                    .as_ref()
                    .is_none_or(|after| (namespace, name) > (&after.0, &after.1));
            if wanted
                && selector::labels_match(&labels, object)?
                && selector::fields_match(&fields, object)?
            {
                found.push((namespace, name, object));
            }
        }
        let limit = call
            .parameter("limit")
            .and_then(|limit| limit.parse::<usize>().ok())
            .filter(|limit| *limit > 0)
            .unwrap_or(usize::MAX);
        let mut metadata = json!({ "resourceVersion": self.version.to_string() });
        if found.len() > limit {
            let (namespace, name, _) = found[limit - 1];
            metadata["continue"] = json!(hex::encode(format!("{namespace}/{name}")));
            metadata["remainingItemCount"] = json!(found.len() - limit);
        }
        let items: Vec<&Value> = found
            .into_iter()
            .take(limit)
            .map(|(_, _, object)| object)
            .collect();
        Ok((
            200,
            json!({
                "apiVersion": api_version, "kind": format!("{kind}List"),
                "metadata": metadata, "items": items,
            }),
        ))
    }

    fn create(
        &mut self,
        call: &Call<'_>,
        target: &Target,
        api_version: &str,
        kind: &str,
    ) -> Result<(u16, Value), Trouble> {
        let mut object = body(call)?;
        object["apiVersion"] = json!(api_version);
        object["kind"] = json!(kind);
        if let Some(namespace) = &target.namespace {
            object["metadata"]["namespace"] = json!(namespace);
            if self.named("namespaces", "", namespace).is_none() {
                return Err(Trouble::not_found("namespaces", namespace));
            }
        }
        let name = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .ok_or_else(|| Trouble::new(422, "Invalid", "name or generateName is required"))?
            .to_owned();
        let key = (
            group_of(api_version).to_owned(),
            target.plural.clone(),
            target.namespace.clone().unwrap_or_default(),
            name.clone(),
        );
        if self.objects.contains_key(&key) {
            return Err(Trouble::new(
                409,
                "AlreadyExists",
                format!("{} \"{name}\" already exists", target.plural),
            ));
        }
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for given_by_the_server in ["uid", "resourceVersion", "creationTimestamp"] {
                metadata.remove(given_by_the_server);
            }
        }
        Ok((201, self.put(object)))
    }

    fn change(&mut self, call: &Call<'_>, key: &Key) -> Result<(u16, Value), Trouble> {
        let change = body(call)?;
        let before = self.objects[key].clone();
        for field in ["resourceVersion", "uid"] {
            let stated = change.pointer(&format!("/metadata/{field}"));
            if stated.is_some_and(|stated| *stated != before["metadata"][field]) {
                return Err(Trouble::new(
                    409,
                    "Conflict",
                    format!("the object has been modified: its {field} is another"),
                ));
            }
        }
        let mut after = before.clone();
        if call.method == "PUT" {
            after = change;
            for field in ["uid", "creationTimestamp", "resourceVersion"] {
                after["metadata"][field] = before["metadata"][field].clone();
            }
        } else if [
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
        ]
        .contains(&call.content_type)
        {
            patch::merge(&mut after, &change);
        } else {
            return Err(Trouble::new(
                415,
                "UnsupportedMediaType",
                format!("this double knows no patch of type {:?}", call.content_type),
            ));
        }
        if after == before {
            return Ok((200, before));
        }
        after["apiVersion"] = before["apiVersion"].clone();
        after["kind"] = before["kind"].clone();
        let after = self.put(after);
        if after.pointer("/metadata/deletionTimestamp").is_some() && !has_finalizers(&after) {
            self.objects.remove(key);
        }
        Ok((200, after))
    }

    fn delete(&mut self, options: Option<&Value>, key: &Key) -> Result<(u16, Value), Trouble> {
        let mut object = self.objects[key].clone();
        let wanted = options.and_then(|options| options.pointer("/preconditions/uid"));
        if let Some(wanted) = wanted
            && *wanted != object["metadata"]["uid"]
        {
            return Err(Trouble::new(
                409,
                "Conflict",
                format!(
                    "Precondition failed: UID in precondition: {wanted}, UID in object meta: {}",
                    object["metadata"]["uid"]
                ),
            ));
        }
        let held = self.hold_deletions && key.1 == "pods";
        if held || has_finalizers(&object) {
            if object.pointer("/metadata/deletionTimestamp").is_none() {
                object["metadata"]["deletionTimestamp"] = json!(CREATED_AT);
                object = self.put(object);
            }
            return Ok((200, object));
        }
        self.objects.remove(key);
        Ok((
            200,
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }),
        ))
    }

    fn evict(&mut self, call: &Call<'_>, key: &Key) -> Result<(u16, Value), Trouble> {
        let eviction = body(call)?;
        let pod = (key.2.clone(), key.3.clone());
        if self.unevictable.contains(&pod) {
            return Err(Trouble::new(
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
            )
            .with_details(json!({ "causes": [{
                "reason": "DisruptionBudget",
                "message": "The disruption budget needs 1 healthy pods and has 1 currently",
            }] })));
        }
        self.delete(eviction.get("deleteOptions"), key)?;
        Ok((
            201,
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }),
        ))
    }

    fn scale(&mut self, call: &Call<'_>, key: &Key) -> Result<(u16, Value), Trouble> {
        if call.method != "GET" {
            let change = body(call)?;
            let mut object = self.objects[key].clone();
            let replicas = change
                .pointer("/spec/replicas")
                .and_then(Value::as_u64)
                .ok_or_else(|| Trouble::new(422, "Invalid", "spec.replicas is not a number"))?;
            if object["spec"]["replicas"] != json!(replicas) {
                object["spec"]["replicas"] = json!(replicas);
                self.put(object);
            }
        }
        let object = &self.objects[key];
        Ok((
            200,
            json!({
                "kind": "Scale", "apiVersion": "autoscaling/v1",
                "metadata": object["metadata"],
                "spec": { "replicas": object["spec"]["replicas"] },
                "status": { "replicas": object["status"]["replicas"].as_u64().unwrap_or(0) },
            }),
        ))
    }
}

fn key(resource: &str, namespace: &str, name: &str) -> Key {
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    // The group of a built-in kind may be left out.
    let group = match (plural, group) {
        ("deployments" | "replicasets" | "statefulsets" | "daemonsets", "") => "apps",
        ("jobs" | "cronjobs", "") => "batch",
        ("networkpolicies", "") => "networking.k8s.io",
        (_, group) => group,
    };
    (
        group.to_owned(),
        plural.to_owned(),
        namespace.to_owned(),
        name.to_owned(),
    )
}

fn body(call: &Call<'_>) -> Result<Value, Trouble> {
    call.body
        .clone()
        .filter(Value::is_object)
        .or_else(|| (call.method == "POST").then(|| Value::Object(Map::new())))
        .ok_or_else(|| Trouble::new(400, "BadRequest", "the body is no object"))
}

fn has_finalizers(object: &Value) -> bool {
    object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .is_some_and(|finalizers| !finalizers.is_empty())
}

fn not_allowed(method: &str) -> Trouble {
    Trouble::new(
        405,
        "MethodNotAllowed",
        format!("the server does not allow {method} on the requested resource"),
    )
}
