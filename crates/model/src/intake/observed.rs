//! What GuardDuty observed: addresses, domains, processes, files, as it gave them.

use std::net::IpAddr;

use crate::finding::Observed;

use super::members::Members;

/// More observations than this tell nobody more.
const MAX_OBSERVED: usize = 256;

/// Observations in the order in which they were met, each once.
#[derive(Debug, Default)]
pub(super) struct Observations(Vec<Observed>);

impl Observations {
    /// Adds an observation.
    pub(super) fn add(&mut self, what: &str, value: Option<&str>) {
        let Some(value) = value.filter(|value| !value.trim().is_empty()) else {
            return;
        };
        let observed = Observed {
            what: what.to_owned(),
            value: value.to_owned(),
        };
        if !self.0.contains(&observed) && self.0.len() <= MAX_OBSERVED {
            self.0.push(observed);
        }
    }

    /// Adds the addresses of a `remoteIpDetails`.
    fn add_remote(&mut self, parent: Members<'_>) {
        for name in ["ipAddressV4", "ipAddressV6"] {
            let address = parent.text_at(&["remoteIpDetails", name]);
            match address.map(str::parse::<IpAddr>) {
                Some(Ok(_)) => self.add("remote-address", address),
                Some(Err(_)) => parent.note(format!("`{name}` is not an address.")),
                None => {}
            }
        }
    }

    /// The observations; a gap says that there were more than are kept.
    pub(super) fn finish(mut self, members: Members<'_>) -> Vec<Observed> {
        if self.0.len() > MAX_OBSERVED {
            self.0.truncate(MAX_OBSERVED);
            members.note(format!(
                "More was observed than the first {MAX_OBSERVED} things listed."
            ));
        }
        self.0
    }
}

/// What `service` and `resource` of a GuardDuty finding say.
pub(super) fn guardduty(
    seen: &mut Observations,
    service: Option<Members<'_>>,
    resource: Option<Members<'_>>,
) {
    if let Some(service) = service {
        if let Some(action) = service.get("action") {
            actions(seen, action);
        }
        if let Some(runtime) = service.get("runtimeDetails") {
            runtime_details(seen, runtime);
        }
        scans(seen, service);
        for intelligence in service
            .get("evidence")
            .map(|evidence| evidence.items("threatIntelligenceDetails"))
            .unwrap_or_default()
        {
            for threat in intelligence.texts("threatNames") {
                seen.add("threat", Some(threat));
            }
            seen.add("sha256", intelligence.text("threatFileSha256"));
        }
    }
    if let Some(resource) = resource {
        workloads(seen, resource);
    }
}

fn actions(seen: &mut Observations, action: Members<'_>) {
    if let Some(connection) = action.get("networkConnectionAction") {
        seen.add_remote(connection);
        let port = connection
            .at(&["remotePortDetails"])
            .and_then(|details| details.count("port"))
            .map(|port| port.to_string());
        seen.add("remote-port", port.as_deref());
    }
    if let Some(request) = action.get("dnsRequestAction") {
        seen.add("domain", request.text("domain"));
    }
    if let Some(call) = action.get("awsApiCallAction") {
        seen.add("api-call", call.text("api"));
        seen.add_remote(call);
        seen.add("user-agent", call.text("userAgent"));
        seen.add("domain", call.text_at(&["domainDetails", "domain"]));
    }
    if let Some(call) = action.get("kubernetesApiCallAction") {
        seen.add("api-call", call.text("requestUri"));
        seen.add_remote(call);
    }
    if let Some(probe) = action.get("portProbeAction") {
        for details in probe.items("portProbeDetails") {
            seen.add_remote(details);
        }
    }
}

fn runtime_details(seen: &mut Observations, runtime: Members<'_>) {
    if let Some(process) = runtime.get("process") {
        processes(seen, process);
        seen.add("process-user", process.text("user"));
    }
    let Some(context) = runtime.get("context") else {
        return;
    };
    for name in ["modifyingProcess", "targetProcess"] {
        if let Some(process) = context.get(name) {
            processes(seen, process);
        }
    }
    seen.add("command-line", context.text("commandLineExample"));
    for name in ["threatFilePath", "filePath", "scriptPath", "libraryPath"] {
        seen.add("file", context.text(name));
    }
}

fn processes(seen: &mut Observations, process: Members<'_>) {
    seen.add(
        "process",
        process
            .text("executablePath")
            .or_else(|| process.text("name")),
    );
    seen.add("sha256", process.text("executableSha256"));
}

fn scans(seen: &mut Observations, service: Members<'_>) {
    let by_name = service
        .at(&[
            "ebsVolumeScanDetails",
            "scanDetections",
            "threatDetectedByName",
        ])
        .map(|detected| detected.items("threatNames"))
        .unwrap_or_default();
    for threat in by_name {
        seen.add("threat", threat.text("name"));
        for file in threat.items("filePaths") {
            seen.add("file", file.text("filePath"));
            seen.add("sha256", file.text("hash"));
        }
    }
    let threats = service
        .get("malwareScanDetails")
        .map(|details| details.items("threats"))
        .unwrap_or_default();
    for threat in threats {
        seen.add("threat", threat.text("name"));
        for item in threat.items("itemPaths") {
            seen.add("file", item.text("nestedItemPath"));
            seen.add("sha256", item.text("hash"));
        }
        for item in threat.items("itemDetails") {
            seen.add("file", item.text("itemPath"));
            seen.add("sha256", item.text("hash"));
        }
    }
}

fn workloads(seen: &mut Observations, resource: Members<'_>) {
    let workload = resource.at(&["kubernetesDetails", "kubernetesWorkloadDetails"]);
    if let Some(workload) = workload {
        if let (Some(namespace), Some(name)) = (workload.text("namespace"), workload.text("name"))
            && workload
                .text("type")
                .is_some_and(|kind| kind.eq_ignore_ascii_case("pods"))
        {
            seen.add("pod", Some(&format!("{namespace}/{name}")));
            seen.add("pod-uid", workload.text("uid"));
        }
        seen.add("service-account", workload.text("serviceAccountName"));
        for container in workload.items("containers") {
            seen.add("image", container.text("image"));
        }
    }
    let user = resource.at(&["kubernetesDetails", "kubernetesUserDetails"]);
    seen.add(
        "kubernetes-user",
        user.and_then(|user| user.text("username")),
    );
    let task = resource.at(&["ecsClusterDetails", "taskDetails"]);
    for container in task
        .map(|task| task.items("containers"))
        .unwrap_or_default()
    {
        seen.add("image", container.text("image"));
    }
    if let Some(container) = resource.get("containerDetails") {
        seen.add("container", container.text("id"));
        seen.add("image", container.text("image"));
    }
}
