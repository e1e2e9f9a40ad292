//! An image made by hand, as the OCI image layout describes it, from programs of this machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{ContainerdError, io, run, write};

/// Programs that every image has, as path here and path inside.
const PROGRAMS: [(&str, &str); 6] = [
    ("/bin/dash", "/bin/sh"),
    ("/bin/sleep", "/bin/sleep"),
    ("/bin/cat", "/bin/cat"),
    ("/bin/echo", "/bin/echo"),
    ("/bin/true", "/bin/true"),
    ("/usr/bin/env", "/usr/bin/env"),
];

/// Builds the archive and returns its path.
pub(super) fn build(
    dir: &Path,
    name: &str,
    files: &[(PathBuf, &str)],
) -> Result<PathBuf, ContainerdError> {
    let work = dir.join("images").join(name.replace(['/', ':'], "_"));
    let rootfs = work.join("rootfs");
    for empty in ["proc", "sys", "dev", "tmp", "etc"] {
        create_dir(&rootfs.join(empty))?;
    }
    write(&rootfs.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n")?;
    let programs = PROGRAMS
        .iter()
        .map(|(here, inside)| (PathBuf::from(here), *inside));
    let mut libraries = BTreeSet::new();
    for (here, inside) in programs.chain(files.iter().cloned()) {
        copy(&here, &rootfs, Path::new(inside))?;
        libraries.extend(libraries_of(&here)?);
    }
    for library in &libraries {
        copy(library, &rootfs, library)?;
    }

    let layout = work.join("layout");
    create_dir(&layout.join("blobs/sha256"))?;
    let layer_tar = work.join("layer.tar");
    tar(&rootfs, &layer_tar)?;
    let bytes = std::fs::read(&layer_tar).map_err(|source| io("reading the layer", source))?;
    let layer = blob(&layout, &bytes)?;
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        // What a pod's sandbox runs; containers bring their own command.
        "config": {
            "Entrypoint": ["/bin/sleep", "infinity"],
            "Env": ["PATH=/bin:/usr/bin"],
            // An image may claim anything of itself; nobody should believe this.
            "Labels": {"io.kubernetes.pod.namespace": "claimed-by-the-image"},
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    });
    let config = config.to_string();
    let config_id = blob(&layout, config.as_bytes())?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(&config_id),
            "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": digest(&layer),
            "size": bytes.len(),
        }],
    });
    let manifest = manifest.to_string();
    let manifest_id = blob(&layout, manifest.as_bytes())?;
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest(&manifest_id),
            "size": manifest.len(),
            "annotations": {"io.containerd.image.name": name},
        }],
    });
    write(&layout.join("index.json"), index.to_string())?;
    write(
        &layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    let archive = work.join("image.tar");
    tar(&layout, &archive)?;
    Ok(archive)
}

fn blob(layout: &Path, bytes: &[u8]) -> Result<String, ContainerdError> {
    let id = hex::encode(Sha256::digest(bytes));
    write(&layout.join("blobs/sha256").join(&id), bytes)?;
    Ok(id)
}

fn digest(id: &str) -> String {
    format!("sha256:{id}")
}

fn tar(from: &Path, to: &Path) -> Result<(), ContainerdError> {
    let mut tar = Command::new("tar");
    tar.args(["--owner=0", "--group=0", "--numeric-owner", "-C"])
        .arg(from)
        .arg("-cf")
        .arg(to)
        .arg(".");
    run(&mut tar).map(drop)
}

fn create_dir(path: &Path) -> Result<(), ContainerdError> {
    std::fs::create_dir_all(path).map_err(|source| io("making a directory", source))
}

fn copy(here: &Path, rootfs: &Path, inside: &Path) -> Result<(), ContainerdError> {
    let target = rootfs.join(inside.strip_prefix("/").unwrap_or(inside));
    if let Some(parent) = target.parent() {
        create_dir(parent)?;
    }
    std::fs::copy(here, &target)
        .map(drop)
        .map_err(|source| io(&format!("copying {}", here.display()), source))
}

/// The shared libraries and the loader of a program; none for a static one.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>, ContainerdError> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .map_err(|source| io("running ldd", source))?;
    if !output.status.success() {
        // It says so of static programs and scripts.
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect())
}
