//! The charts rendered by `tests/helm`, the small Go program that is Helm's engine.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::root;

/// Where Debian keeps the Go libraries the renderer is made of.
const GOPATH: &str = "/usr/share/gocode";

/// Enough values for the chart to render: it refuses to without an image.
pub const IMAGE: &str = "image: {repository: registry.test/davylamp}";

/// What `helm template` would be asked.
#[derive(Clone)]
pub struct Request<'a> {
    pub chart: &'a str,
    pub values: Vec<&'a str>,
    pub release: &'a str,
    pub kube_version: &'a str,
    pub json_numbers: bool,
}

impl<'a> Request<'a> {
    /// A release named as the documentation names it, with an image and these values.
    pub fn new(values: &'a str) -> Self {
        Self {
            chart: "davylamp",
            values: vec![IMAGE, values],
            release: "davylamp",
            kube_version: "v1.31.0",
            json_numbers: false,
        }
    }
}

/// What it would answer.
#[derive(Debug, Deserialize, PartialEq)]
pub struct Rendered {
    #[serde(default)]
    objects: Option<Vec<Object>>,
    pub notes: String,
    #[serde(default)]
    error: Option<String>,
}

/// One object and the template it came from.
#[derive(Debug, Deserialize, PartialEq)]
pub struct Object {
    pub template: String,
    pub body: Value,
}

impl Rendered {
    /// All objects.
    pub fn objects(&self) -> &[Object] {
        self.objects.as_deref().unwrap_or_default()
    }

    /// The only object of that kind whose name ends so; none is `None`, two are a failure.
    pub fn find(&self, kind: &str, name_end: &str) -> Option<&Value> {
        let mut found = self
            .objects()
            .iter()
            .map(|object| &object.body)
            .filter(|body| {
                body["kind"] == kind
                    && body["metadata"]["name"]
                        .as_str()
                        .is_some_and(|name| name.ends_with(name_end))
            });
        let first = found.next();
        assert!(
            found.next().is_none(),
            "two objects of kind {kind} end in {name_end:?}"
        );
        first
    }

    /// The DaemonSet, which each rendering has.
    pub fn daemon_set(&self) -> &Value {
        self.find("DaemonSet", "").expect("a DaemonSet")
    }

    /// The guard's container in it.
    pub fn guard(&self) -> &Value {
        &self.daemon_set()["spec"]["template"]["spec"]["containers"][0]
    }

    /// The davy.toml the guard would read.
    pub fn config(&self) -> toml::Table {
        let map = self
            .find("ConfigMap", "-config")
            .expect("the ConfigMap of davy.toml");
        let text = map["data"]["davy.toml"].as_str().expect("a text");
        text.parse()
            .unwrap_or_else(|error| panic!("davy.toml: {error}\n{text}"))
    }
}

/// Renders, or gives Helm's refusal.
pub fn render(request: &Request<'_>) -> Result<Rendered, String> {
    let question = json!({
        "chart": root().join("deploy/helm").join(request.chart),
        "values": request.values,
        "release": request.release,
        "namespace": "support",
        "kube_version": request.kube_version,
        "json_numbers": request.json_numbers,
    });
    let mut child = Command::new(renderer())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the renderer starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(question.to_string().as_bytes())
        .expect("the renderer reads");
    drop(stdin);
    let output = child.wait_with_output().expect("the renderer ends");
    assert!(
        output.status.success(),
        "the renderer ended with {}",
        output.status
    );
    let answer: Rendered = serde_json::from_slice(&output.stdout).expect("an answer in JSON");
    match answer.error {
        Some(error) => Err(error),
        None => Ok(answer),
    }
}

/// Renders the chart with an image and these values, which must succeed.
pub fn rendered(values: &str) -> Rendered {
    render(&Request::new(values)).unwrap_or_else(|error| panic!("{error}\nwith {values}"))
}

/// The renderer, built where its sources are newer than the last build. Tests run in processes
/// of their own at the same time, so it is put in place by renaming.
fn renderer() -> PathBuf {
    let folder = root().join("tests/helm");
    let mut sources: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("tests/helm")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "go"))
        .collect();
    sources.sort();
    let mut hasher = DefaultHasher::new();
    for source in &sources {
        std::fs::read(source).expect("a source").hash(&mut hasher);
    }
    let temporary = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let built = temporary.join(format!("helm-render-{:016x}", hasher.finish()));
    if built.exists() {
        return built;
    }
    let building = temporary.join(format!("helm-render-{}", std::process::id()));
    let status = Command::new("go")
        .args(["build", "-o"])
        .arg(&building)
        .args(&sources)
        .env("GO111MODULE", "off")
        .env("GOPATH", GOPATH)
        .env("GOPROXY", "off")
        .env("GOFLAGS", "")
        .env("GOCACHE", temporary.join("go-cache"))
        .status();
    assert!(
        status.as_ref().is_ok_and(|status| status.success()),
        "tests/helm does not build ({status:?}): apt-get install golang-go \
         golang-github-masterminds-sprig-dev golang-k8s-sigs-yaml-dev \
         golang-github-xeipuuv-gojsonschema-dev"
    );
    std::fs::rename(&building, &built).expect("renaming within a folder");
    built
}
