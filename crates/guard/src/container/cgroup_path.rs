//! From a cgroup path to the container it belongs to.
//!
//! The path is what the kernel captured at exec, or a line of `/proc/<pid>/cgroup`. It is read
//! from the root downwards, and that direction is the defence. Directories above a container are
//! made by root on the node; directories *below* it can be made by whoever holds cgroup delegation
//! inside the container (a privileged pod, a user namespace with a delegated subtree, Docker in a
//! pod), under any name they like, including another container's id. So:
//!
//! - The outermost container found is the one whose word counts ([`ContainerRef::outermost`]).
//!   Scope decisions use that one alone.
//! - A container found below it is only a *claim*. It is kept, because builds of Docker in a pod
//!   should be named in the log, and because a Kubernetes node can itself be a Docker container
//!   (kind). [`ContainerRef::outer`] says that it is a claim, and the index decides whether to
//!   believe it.
//! - Below a Kubernetes container only Docker, podman and `BuildKit` shapes are claims. Another CRI
//!   shape there is never made by a runtime and is ignored.
//! - A subtree that the host hands to a user (`user.slice`, `user@1000.service`, nspawn and LXC
//!   payloads) may imitate every shape. What is found there is marked
//!   [`Runtime::Delegated`] and is never looked up at the system's runtimes.
//!
//! What must stay true: any bytes give an answer, none panics, and a path inside any kind of
//! container is never called [`Place::Host`] when its shape is one named here.

use davylamp_model::ids::ContainerId;

/// Which runtime's naming a container was found under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// containerd, made over the container runtime interface.
    Containerd,
    /// CRI-O.
    Crio,
    /// A Kubernetes pod's container whose path does not say which runtime made it (the cgroupfs
    /// driver).
    Kubernetes,
    /// Docker Engine.
    Docker,
    /// podman's libpod.
    Podman,
    /// A build step of `BuildKit`, which no runtime can describe.
    BuildKit,
    /// containerd without Kubernetes (`ctr`, nerdctl), in one of its own namespaces.
    ContainerdNative,
    /// Something inside a subtree that a user, or another system's root, controls.
    Delegated,
}

impl Runtime {
    /// Whether a CRI socket could describe it.
    pub fn is_cri(self) -> bool {
        matches!(self, Self::Containerd | Self::Crio | Self::Kubernetes)
    }

    /// Whether a Docker Engine socket could describe it. Kubernetes pods are included because
    /// cri-dockerd names its containers like everyone else under the cgroupfs driver.
    pub fn is_docker(self) -> bool {
        matches!(self, Self::Docker | Self::Podman)
    }
}

/// A container named by a cgroup path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRef {
    /// The id in the path.
    pub id: ContainerId,
    /// The naming it was found under.
    pub runtime: Runtime,
    /// The uid of the pod in whose cgroup it lies, with dashes, as Kubernetes writes it.
    pub pod_uid: Option<String>,
    /// The container around this one. Where there is one, this one is a claim made below it.
    pub outer: Option<Box<ContainerRef>>,
}

impl ContainerRef {
    /// The container that no process inside it could have named: the outermost.
    pub fn outermost(&self) -> &Self {
        self.outer.as_deref().map_or(self, Self::outermost)
    }
}

/// Where a cgroup path lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the machine itself.
    Host,
    /// In a container.
    Container(ContainerRef),
    /// In a pod's cgroup, but in no container whose shape is known.
    Pod {
        /// The pod's uid with dashes.
        uid: String,
    },
    /// Not a path the kernel writes. It says nothing, and never counts as the host.
    Garbled,
}

/// The most components of a path that are read. The kernel bounds a path to 4,096 bytes, which
/// could be 2,048 components; runtimes use fewer than ten.
const MAX_COMPONENTS: usize = 2_048;

/// Characters of an id that Docker, containerd's CRI, CRI-O and podman make: 32 random bytes.
const HEX_ID_LEN: usize = 64;

/// The longest identifier containerd accepts from its own clients
/// (containerd `identifiers/validate.go`).
const MAX_CONTAINERD_ID_LEN: usize = 76;

/// Reads a cgroup path.
pub fn parse(path: &[u8]) -> Place {
    let path = path.strip_suffix(b"\n").unwrap_or(path);
    // The kernel appends this to the path of a cgroup that was removed under a process.
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    let Some(relative) = path.strip_prefix(b"/") else {
        return Place::Garbled;
    };
    if path.contains(&0) {
        return Place::Garbled;
    }
    let mut components = Vec::new();
    for component in relative.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            // A reader in a cgroup namespace sees leading `..` for what lies above its own root.
            // No directory can bear that name, so elsewhere it is not the kernel's writing.
            b".." if components.is_empty() => {}
            b".." => return Place::Garbled,
            // A runtime's names are ASCII; other names are kept as an empty word that matches
            // nothing, so that depth and neighbourhood stay true.
            name => components.push(std::str::from_utf8(name).unwrap_or("")),
        }
        if components.len() > MAX_COMPONENTS {
            return Place::Garbled;
        }
    }
    walk(&components)
}

/// Picks, from the text of a `/proc/<pid>/cgroup`, the path that says most about the container.
///
/// With cgroup version 1 a process has a path in every hierarchy. The unified one is asked first,
/// then memory, pids and cpu (which every runtime sets), then the rest. On the machine itself the root
/// of a hierarchy says nothing, so that it comes last.
pub fn best_line(proc_cgroup: &[u8]) -> Option<&[u8]> {
    const ORDER: [&[u8]; 5] = [b"", b"memory", b"pids", b"cpu", b"name=systemd"];
    let mut best: Option<(usize, &[u8])> = None;
    let mut on_host: Option<(usize, &[u8])> = None;
    let mut first = None;
    for line in proc_cgroup.split(|byte| *byte == b'\n') {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        first.get_or_insert(path);
        let is_host = parse(path) == Place::Host;
        if is_host && path == b"/" {
            continue;
        }
        let rank = ORDER
            .iter()
            .position(|wanted| {
                controllers
                    .split(|byte| *byte == b',')
                    .any(|c| c == *wanted)
            })
            .unwrap_or(ORDER.len());
        let best = if is_host { &mut on_host } else { &mut best };
        if best.is_none_or(|(held, _)| rank < held) {
            *best = Some((rank, path));
        }
    }
    best.or(on_host).map(|(_, path)| path).or(first)
}

fn walk(components: &[&str]) -> Place {
    let mut pod_uid: Option<String> = None;
    let mut found: Option<ContainerRef> = None;
    // The claim below `found` that lies deepest, together with the pod it claims to be in.
    let mut claim: Option<ContainerRef> = None;
    let mut delegated = false;

    for (depth, name) in components.iter().enumerate() {
        let above = depth.checked_sub(1).map_or("", |at| components[at]);
        if found.is_none() && is_handed_over(depth, name, above) {
            delegated = true;
        }
        if let Some(uid) = pod_uid_of(name, above) {
            // Below a Kubernetes container this would be an imitation; below a Docker container
            // it is a kind node's own tree.
            if found.as_ref().is_none_or(|outer| outer.runtime.is_docker()) {
                pod_uid = Some(uid);
            }
            continue;
        }
        if found.is_none() && is_monitor(name) {
            // conmon belongs to the runtime on the host, even inside a pod's cgroup.
            return if delegated {
                walk_end(found, claim, pod_uid, delegated)
            } else {
                Place::Host
            };
        }
        let Some((id, runtime)) = container_of(components, depth, pod_uid.is_some()) else {
            continue;
        };
        match &found {
            None => {
                let runtime = if delegated {
                    Runtime::Delegated
                } else {
                    runtime
                };
                found = Some(ContainerRef {
                    id,
                    runtime,
                    pod_uid: pod_uid.take(),
                    outer: None,
                });
            }
            Some(outer) if outer.runtime == Runtime::Delegated || outer.id == id => {}
            Some(outer) => {
                let is_claim = runtime.is_docker()
                    || runtime == Runtime::BuildKit
                    || (outer.runtime.is_docker() && runtime.is_cri());
                if is_claim {
                    let pod_uid = if runtime.is_cri() {
                        pod_uid.clone()
                    } else {
                        None
                    };
                    claim = Some(ContainerRef {
                        id,
                        runtime,
                        pod_uid,
                        outer: None,
                    });
                }
            }
        }
    }
    walk_end(found, claim, pod_uid, delegated)
}

fn walk_end(
    found: Option<ContainerRef>,
    claim: Option<ContainerRef>,
    pod_uid: Option<String>,
    delegated: bool,
) -> Place {
    match (found, claim) {
        (Some(outer), Some(mut inner)) => {
            inner.outer = Some(Box::new(outer));
            Place::Container(inner)
        }
        (Some(only), None) => Place::Container(only),
        // A pod's slice imitated inside a user's subtree is the user's business.
        (None, _) => match pod_uid {
            Some(uid) if !delegated => Place::Pod { uid },
            _ => Place::Host,
        },
    }
}

/// Whether the host hands everything below this component to someone else.
fn is_handed_over(depth: usize, name: &str, above: &str) -> bool {
    (depth == 0 && name == "user.slice")
        || (name.starts_with("user@") && name.ends_with(".service"))
        || (name.starts_with("systemd-nspawn@") && name.ends_with(".service"))
        || (above == "machine.slice" && name.starts_with("machine-") && name.ends_with(".scope"))
        || name.starts_with("lxc.payload.")
        || above == "lxc"
}

/// The processes by which CRI-O and podman watch their containers.
fn is_monitor(name: &str) -> bool {
    name.starts_with("crio-conmon-") || name.starts_with("libpod-conmon-")
}

/// The pod uid that a pod's own cgroup names, under either driver.
fn pod_uid_of(name: &str, above: &str) -> Option<String> {
    if let Some(slice) = name.strip_suffix(".slice") {
        // `kubepods-burstable-pod<uid>.slice`, where systemd has no dashes left for the uid
        // because a dash means nesting there; kind puts `kubelet-` before it.
        let (tree, uid) = slice.rsplit_once("-pod")?;
        if !tree.split('-').any(|word| word == "kubepods") {
            return None;
        }
        return valid_pod_uid(&uid.replace('_', "-"));
    }
    let uid = name.strip_prefix("pod")?;
    if !matches!(
        above,
        "kubepods" | "burstable" | "besteffort" | "guaranteed"
    ) {
        return None;
    }
    valid_pod_uid(uid)
}

/// Pod uids are UUIDs, or for static pods the 32 hexadecimal digits of the manifest's hash.
fn valid_pod_uid(uid: &str) -> Option<String> {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_uuid = uid.len() == 36
        && uid.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && uid.split('-').all(hex);
    (is_uuid || (uid.len() == 32 && hex(uid))).then(|| uid.to_ascii_lowercase())
}

/// The container that the component at `depth` names, if it names one.
fn container_of(components: &[&str], depth: usize, in_pod: bool) -> Option<(ContainerId, Runtime)> {
    let name = components[depth];
    let above = depth.checked_sub(1).map_or("", |at| components[at]);

    // systemd driver: `<runtime>-<id>.scope`.
    if let Some(scope) = name.strip_suffix(".scope") {
        let (prefix, id) = scope.rsplit_once('-')?;
        let runtime = match prefix {
            "cri-containerd" => Runtime::Containerd,
            "crio" => Runtime::Crio,
            "docker" => Runtime::Docker,
            "libpod" => Runtime::Podman,
            _ => return None,
        };
        return hex_id(id).map(|id| (id, runtime));
    }
    // runc was given a systemd triple but drives cgroupfs: the triple becomes one directory.
    if let Some((slice_and_kind, id)) = name.rsplit_once(':') {
        let (_, kind) = slice_and_kind.rsplit_once(':')?;
        let runtime = match kind {
            "cri-containerd" => Runtime::Containerd,
            "crio" => Runtime::Crio,
            "docker" => Runtime::Docker,
            "libpod" => Runtime::Podman,
            _ => return None,
        };
        return hex_id(id).map(|id| (id, runtime));
    }
    // cgroupfs driver with a prefix of the runtime's own.
    if let Some(id) = name.strip_prefix("crio-").and_then(hex_id) {
        return Some((id, Runtime::Crio));
    }
    if let Some(id) = name.strip_prefix("libpod-").and_then(hex_id) {
        return Some((id, Runtime::Podman));
    }
    match above {
        "docker" => return hex_id(name).map(|id| (id, Runtime::Docker)),
        "libpod_parent" => return hex_id(name).map(|id| (id, Runtime::Podman)),
        "buildkit" if depth >= 2 && components[depth - 2] == "docker" => {
            return containerd_id(name).map(|id| (id, Runtime::BuildKit));
        }
        _ => {}
    }
    // cgroupfs driver: the id itself, right below the pod.
    if in_pod && pod_uid_of(above, depth.checked_sub(2).map_or("", |at| components[at])).is_some() {
        return hex_id(name).map(|id| (id, Runtime::Kubernetes));
    }
    // containerd's default, `/<namespace>/<id>`: only at the root, where only root can make it.
    if depth == 1 {
        return match above {
            "k8s.io" => hex_id(name).map(|id| (id, Runtime::Containerd)),
            "default" => containerd_id(name).map(|id| (id, Runtime::ContainerdNative)),
            namespace if containerd_id(namespace).is_some() => {
                hex_id(name).map(|id| (id, Runtime::ContainerdNative))
            }
            _ => None,
        };
    }
    None
}

fn hex_id(text: &str) -> Option<ContainerId> {
    let is_id = text.len() == HEX_ID_LEN
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then(|| ContainerId::from(text))
}

/// An identifier as containerd validates it: words of letters and digits, joined by single dots,
/// dashes or underscores.
fn containerd_id(text: &str) -> Option<ContainerId> {
    let is_id = text.len() <= MAX_CONTAINERD_ID_LEN
        && text.split(['.', '-', '_']).all(|word| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
        // systemd's own units can stand at this depth too.
        && ![".service", ".scope", ".slice", ".mount", ".socket"]
            .iter()
            .any(|unit| text.ends_with(unit));
    is_id.then(|| ContainerId::from(text))
}

#[cfg(test)]
#[path = "cgroup_path_tests.rs"]
mod tests;
