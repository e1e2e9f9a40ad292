//! What is asked of a containerd, what it gives, and how it can fail.

use super::{Containerd, PATIENCE};

/// Why there is no containerd to test with, or why it did not do as told.
#[derive(Debug, thiserror::Error)]
pub enum ContainerdError {
    /// A program is not installed.
    #[error("{program} is not installed; install Debian's package {package}")]
    Missing {
        /// The program looked for.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// Only root can start containers.
    #[error("starting containers needs root")]
    NotRoot,
    /// A file or process could not be handled.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {said}")]
    Program {
        /// The program.
        program: String,
        /// What it wrote.
        said: String,
    },
    /// containerd refused a call.
    #[error("{call}: {said}")]
    Call {
        /// The call.
        call: &'static str,
        /// Its status.
        said: String,
    },
    /// It did not happen in time.
    #[error("{what} did not happen within {} s; containerd's log ends with:\n{log}", PATIENCE.as_secs())]
    Late {
        /// What was awaited.
        what: String,
        /// The end of the log.
        log: String,
    },
}

/// A pod with one container.
#[derive(Debug, Clone)]
pub struct PodSpec {
    /// The Kubernetes namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's uid, with dashes. Must be unique among everything running: its cgroup is named
    /// after it.
    pub uid: String,
    /// The container's name within the pod.
    pub container: String,
    /// The pod's labels, beside those that the kubelet sets.
    pub labels: Vec<(String, String)>,
    /// The pod's annotations.
    pub annotations: Vec<(String, String)>,
    /// The image: [`Containerd::IMAGE`], or one given to [`Containerd::import_image`].
    pub image: String,
    /// Program and arguments.
    pub command: Vec<String>,
}

impl PodSpec {
    /// A pod that sleeps.
    pub fn sleeping(namespace: &str, name: &str, uid: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            container: "notebook".to_owned(),
            labels: Vec::new(),
            annotations: Vec::new(),
            image: Containerd::IMAGE.to_owned(),
            command: ["/bin/sleep", "600"].map(str::to_owned).to_vec(),
        }
    }
}

/// A container that was started.
#[derive(Debug, Clone)]
pub struct RunningContainer {
    /// Its id.
    pub id: String,
    /// The id of its pod's sandbox.
    pub sandbox_id: String,
    /// Its first process, as the host counts.
    pub pid: u32,
}

/// What a command inside a container did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its exit code; 128 and the signal's number for a killed one.
    pub exit_code: i32,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: Vec<u8>,
}
