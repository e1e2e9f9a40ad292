//! A real containerd of its own, with pods run through the container runtime interface.
//!
//! Everything lives in a temporary directory: configuration, state, images, socket. containerd
//! gets a mount namespace of its own, so that its mounts end with its processes. Dropping
//! [`Containerd`] removes the pods, ends the daemon and its shims by their pids, and removes the
//! pods' cgroups; a later start clears up after a test that was killed outright.
//!
//! The image is made from this machine's own `dash` and coreutils, because nothing can be pulled
//! where the tests run. Pods use the host's network, which needs no CNI plugin.
//!
//! Needs root, and Debian's packages `containerd` and `runc`. What is missing is an error that
//! names it, never a silent pass.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;

mod cleanup;
mod image;
mod spec;
mod wire;

pub use spec::{ContainerdError, ExecOutput, PodSpec, RunningContainer};

use wire::{
    ContainerConfig, ContainerMetadata, ContainerSecurity, ContainerStatusRequest,
    ContainerStatusResponse, CreateContainerRequest, Created, ExecSyncRequest, ExecSyncResponse,
    Id, ImageSpec, ImageStatusRequest, ImageStatusResponse, LinuxContainerConfig,
    LinuxPodSandboxConfig, NamespaceOption, Nothing, PodSandboxConfig, RunPodSandboxRequest,
    SandboxMetadata, SandboxSecurity, StopContainerRequest,
};

/// How long containerd may take to begin serving, and each call to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at while waiting for it.
const GLANCE: Duration = Duration::from_millis(20);

/// The label, set by the kubelet on every container, that names the container within its pod.
const LABEL_CONTAINER: &str = "io.kubernetes.container.name";
const LABEL_POD: &str = "io.kubernetes.pod.name";
const LABEL_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const LABEL_UID: &str = "io.kubernetes.pod.uid";

/// A running containerd.
#[derive(Debug)]
pub struct Containerd {
    dir: TempDir,
    daemon: Mutex<Child>,
    pods: Mutex<Vec<(String, String)>>,
}

impl Containerd {
    /// The image that is always there: `dash` as `/bin/sh`, and some of coreutils.
    pub const IMAGE: &str = "davylamp.test/tools:1";

    /// Starts a containerd and gives it [`Self::IMAGE`].
    pub fn start() -> Result<Self, ContainerdError> {
        if !rustix::process::geteuid().is_root() {
            return Err(ContainerdError::NotRoot);
        }
        for (program, package) in [
            ("containerd", "containerd"),
            ("ctr", "containerd"),
            ("runc", "runc"),
            ("unshare", "util-linux"),
        ] {
            if !is_on_path(program) {
                return Err(ContainerdError::Missing { program, package });
            }
        }
        cleanup::sweep_leftovers();
        let dir = tempfile::Builder::new()
            .prefix(&cleanup::dir_prefix(std::process::id()))
            .tempdir()
            .map_err(|source| io("making a directory", source))?;
        write(&dir.path().join("config.toml"), configuration(dir.path()))?;
        let daemon = spawn(dir.path())?;
        // From here on, dropping clears up.
        let this = Self {
            dir,
            daemon: Mutex::new(daemon),
            pods: Mutex::new(Vec::new()),
        };
        this.wait_until_serving()?;
        this.import_image(Self::IMAGE, &[])?;
        Ok(this)
    }

    /// The socket it serves.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("containerd.sock")
    }

    /// Ends the daemon and starts it again, as an upgrade does. Containers go on running.
    pub fn restart(&self) -> Result<(), ContainerdError> {
        self.stop_daemon();
        *lock(&self.daemon) = spawn(self.dir.path())?;
        self.wait_until_serving()
    }

    /// Ends the daemon and leaves it so, until [`Self::restart`].
    pub fn stop_daemon(&self) {
        cleanup::end(&mut lock(&self.daemon));
    }

    /// Makes an image of the usual programs and these files, given as path here and path inside.
    /// Libraries that the files need are added.
    pub fn import_image(
        &self,
        name: &str,
        files: &[(PathBuf, &str)],
    ) -> Result<(), ContainerdError> {
        let archive = image::build(self.dir.path(), name, files)?;
        run(Command::new("ctr")
            .arg("--address")
            .arg(self.socket())
            .args([
                "--namespace",
                "k8s.io",
                "images",
                "import",
                "--snapshotter",
                "native",
            ])
            .arg(archive))?;
        // CRI hears of the image by an event of containerd's.
        self.wait_for(&format!("the image {name}"), || {
            self.image_id(name).is_ok_and(|id| id.is_some())
        })
    }

    /// Runs a pod, placed and labelled as the kubelet would with the cgroupfs driver.
    pub fn run_pod(&self, pod: &PodSpec) -> Result<RunningContainer, ContainerdError> {
        let own = [
            (LABEL_POD, &pod.name),
            (LABEL_NAMESPACE, &pod.namespace),
            (LABEL_UID, &pod.uid),
        ]
        .map(|(key, value)| (key.to_owned(), value.clone()));
        let parent = format!("/kubepods/burstable/pod{}", pod.uid);
        let namespaces = || Some(NamespaceOption::host_network());
        let sandbox = PodSandboxConfig {
            metadata: Some(SandboxMetadata {
                name: pod.name.clone(),
                uid: pod.uid.clone(),
                namespace: pod.namespace.clone(),
                attempt: 0,
            }),
            labels: pod.labels.iter().cloned().chain(own.clone()).collect(),
            annotations: pod.annotations.iter().cloned().collect(),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: parent,
                security: Some(SandboxSecurity {
                    namespaces: namespaces(),
                }),
            }),
        };
        lock(&self.pods).push((String::new(), pod.uid.clone()));
        let request = RunPodSandboxRequest {
            config: Some(sandbox.clone()),
        };
        let made: Created = self.call("RunPodSandbox", wire::RUN_SANDBOX, request)?;
        let sandbox_id = made.id;
        if let Some(last) = lock(&self.pods)
            .iter_mut()
            .rfind(|(_, uid)| *uid == pod.uid)
        {
            last.0.clone_from(&sandbox_id);
        }

        // The kubelet asks by the image's id once the image is here.
        let image = self
            .image_id(&pod.image)?
            .unwrap_or_else(|| pod.image.clone());
        let name = [(LABEL_CONTAINER.to_owned(), pod.container.clone())];
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata {
                name: pod.container.clone(),
                attempt: 0,
            }),
            image: Some(ImageSpec { image }),
            command: pod.command.clone(),
            labels: own.into_iter().chain(name).collect(),
            linux: Some(LinuxContainerConfig {
                security: Some(ContainerSecurity {
                    namespaces: namespaces(),
                }),
            }),
        };
        let request = CreateContainerRequest {
            sandbox_id: sandbox_id.clone(),
            config: Some(config),
            sandbox: Some(sandbox),
        };
        let made: Created = self.call("CreateContainer", wire::CREATE_CONTAINER, request)?;
        let _: Nothing = self.call(
            "StartContainer",
            wire::START_CONTAINER,
            Id {
                id: made.id.clone(),
            },
        )?;
        let pid = self.pid_of(&made.id)?;
        Ok(RunningContainer {
            id: made.id,
            sandbox_id,
            pid,
        })
    }

    /// Runs a command inside a container and waits for its end.
    pub fn exec<S: AsRef<str>>(
        &self,
        container_id: &str,
        argv: &[S],
    ) -> Result<ExecOutput, ContainerdError> {
        let request = ExecSyncRequest {
            container_id: container_id.to_owned(),
            cmd: argv
                .iter()
                .map(|argument| argument.as_ref().to_owned())
                .collect(),
            timeout_secs: i64::try_from(PATIENCE.as_secs()).unwrap_or(i64::MAX),
        };
        let answer: ExecSyncResponse = self.call("ExecSync", wire::EXEC_SYNC, request)?;
        Ok(ExecOutput {
            exit_code: answer.exit_code,
            stdout: answer.stdout,
            stderr: answer.stderr,
        })
    }

    /// Stops and removes a container, and its pod.
    pub fn remove_pod(&self, container: &RunningContainer) -> Result<(), ContainerdError> {
        let stop = StopContainerRequest {
            container_id: container.id.clone(),
            timeout_secs: 0,
        };
        let _: Nothing = self.call("StopContainer", wire::STOP_CONTAINER, stop)?;
        let id = || Id {
            id: container.id.clone(),
        };
        let _: Nothing = self.call("RemoveContainer", wire::REMOVE_CONTAINER, id())?;
        self.remove_sandbox(&container.sandbox_id)
    }

    fn remove_sandbox(&self, id: &str) -> Result<(), ContainerdError> {
        let id = || Id { id: id.to_owned() };
        let _: Nothing = self.call("StopPodSandbox", wire::STOP_SANDBOX, id())?;
        let _: Nothing = self.call("RemovePodSandbox", wire::REMOVE_SANDBOX, id())?;
        Ok(())
    }

    fn pid_of(&self, id: &str) -> Result<u32, ContainerdError> {
        let request = ContainerStatusRequest {
            container_id: id.to_owned(),
            verbose: true,
        };
        let answer: ContainerStatusResponse =
            self.call("ContainerStatus", wire::CONTAINER_STATUS, request)?;
        answer
            .info
            .get("info")
            .and_then(|info| serde_json::from_str::<serde_json::Value>(info).ok())
            .and_then(|info| u32::try_from(info.get("pid")?.as_u64()?).ok())
            .ok_or_else(|| ContainerdError::Call {
                call: "ContainerStatus",
                said: "no pid in its information".to_owned(),
            })
    }

    fn image_id(&self, name: &str) -> Result<Option<String>, ContainerdError> {
        let request = ImageStatusRequest {
            image: Some(ImageSpec {
                image: name.to_owned(),
            }),
        };
        let answer: ImageStatusResponse = self.call("ImageStatus", wire::IMAGE_STATUS, request)?;
        Ok(answer.image.map(|image| image.id))
    }

    fn wait_until_serving(&self) -> Result<(), ContainerdError> {
        self.wait_for("containerd's first answer", || {
            self.call::<_, wire::Version>("Version", wire::VERSION, Nothing {})
                .is_ok()
        })
    }

    fn wait_for(
        &self,
        what: &str,
        mut condition: impl FnMut() -> bool,
    ) -> Result<(), ContainerdError> {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            if Instant::now() > deadline {
                return Err(ContainerdError::Late {
                    what: what.to_owned(),
                    log: self.log_tail(),
                });
            }
            cleanup::pause(GLANCE);
        }
        Ok(())
    }

    fn log_tail(&self) -> String {
        let mut text = String::new();
        if let Ok(mut log) = std::fs::File::open(self.dir.path().join("log")) {
            let _ = log.read_to_string(&mut text);
        }
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn call<Q, A>(
        &self,
        call: &'static str,
        path: &'static str,
        request: Q,
    ) -> Result<A, ContainerdError>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        wire::call(&self.socket(), path, request, PATIENCE)
            .map_err(|said| ContainerdError::Call { call, said })
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let pods = std::mem::take(&mut *lock(&self.pods));
        for (sandbox, _) in &pods {
            if !sandbox.is_empty() {
                // What cannot be removed politely is killed below.
                let _ = self.remove_sandbox(sandbox);
            }
        }
        self.stop_daemon();
        cleanup::kill_shims(self.dir.path());
        for (_, uid) in &pods {
            cleanup::remove_cgroups(uid);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn spawn(dir: &Path) -> Result<Child, ContainerdError> {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .map_err(|source| io("opening the log", source))?;
    // `unshare` replaces itself, so the child's pid is containerd's.
    Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "slave",
            "containerd",
            "--config",
        ])
        .arg(dir.join("config.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(|source| io("starting containerd", source))
}

/// containerd's configuration: everything below `dir`, and only what a pod needs.
fn configuration(dir: &Path) -> String {
    let dir = dir.display();
    let image = Containerd::IMAGE;
    format!(
        r#"version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs"]
[grpc]
address = "{dir}/containerd.sock"
[ttrpc]
address = "{dir}/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{image}"
# Where this process may not lower an out-of-memory score, asking for it fails the container.
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{dir}/cni/bin"
conf_dir = "{dir}/cni/conf"
[plugins."io.containerd.grpc.v1.cri".containerd]
# Works on every file system, where overlays do not.
snapshotter = "native"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#
    )
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn run(command: &mut Command) -> Result<Vec<u8>, ContainerdError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| io(&format!("running {program}"), source))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = format!(
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Err(ContainerdError::Program { program, said })
}

fn io(doing: &str, source: std::io::Error) -> ContainerdError {
    ContainerdError::Io {
        doing: doing.to_owned(),
        source,
    }
}

fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), ContainerdError> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or("a file");
    std::fs::write(path, content).map_err(|source| io(&format!("writing {name}"), source))
}
