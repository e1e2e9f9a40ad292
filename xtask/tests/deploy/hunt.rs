//! The chart of a cluster for hunts.

use serde_json::{Value, json};

use crate::render::{Rendered, Request, render};

const IMAGE: &str = "image: {repository: registry.test/davy-cluster}";

fn request(values: &str) -> Request<'_> {
    Request {
        chart: "davylamp-hunt",
        values: vec![IMAGE, values],
        release: "lamp",
        ..Request::new(values)
    }
}

fn rendered(values: &str) -> Rendered {
    render(&request(values)).unwrap_or_else(|error| panic!("{error}\nwith {values}"))
}

fn pod<'r>(rendered: &'r Rendered, part: &str) -> &'r Value {
    let workload = rendered.find("Deployment", part).expect("a deployment");
    let template = &workload["spec"]["template"];
    assert_eq!(
        workload["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"],
        template["metadata"]["labels"]["app.kubernetes.io/component"]
    );
    &template["spec"]
}

fn args(pod: &Value) -> Vec<&str> {
    let args = pod["containers"][0]["args"].as_array().expect("arguments");
    args.iter().filter_map(Value::as_str).collect()
}

#[test]
fn executors_reach_the_scheduler_by_its_service() {
    let rendered = rendered("executor: {threads: 3, memoryMiB: 512, replicas: 5}");
    let service = rendered.find("Service", "-scheduler").expect("a service");
    let name = service["metadata"]["name"].as_str().expect("a name");
    let port = &service["spec"]["ports"][0]["port"];
    let executor = pod(&rendered, "-executor");
    let scheduler = format!("--scheduler={name}:{port}");
    let expected = [
        "executor",
        &scheduler,
        "--listen=0.0.0.0:50051",
        "--advertise=$(POD_IP)",
        "--threads=3",
        "--memory-mib=512",
    ];
    assert_eq!(args(executor), expected);
    let scheduler = pod(&rendered, "-scheduler");
    let expected = [
        "scheduler",
        "--listen=0.0.0.0:50050",
        &format!("--advertise={name}"),
    ];
    assert_eq!(args(scheduler), expected);
    let replicas = |part| {
        rendered
            .find("Deployment", part)
            .map(|it| &it["spec"]["replicas"])
    };
    assert_eq!(replicas("-executor"), Some(&json!(5)));
    assert_eq!(replicas("-scheduler"), Some(&json!(1)));
    assert!(
        rendered.notes.contains("port-forward"),
        "{}",
        rendered.notes
    );
}

#[test]
fn nobody_else_reaches_it_unless_named() {
    let from = |values: &str, part: &str| {
        let rendered = rendered(values);
        let policy = rendered.find("NetworkPolicy", part).expect("a policy");
        policy["spec"]["ingress"][0]["from"].clone()
    };
    let closed = from("{}", "-scheduler");
    assert_eq!(closed.as_array().map(Vec::len), Some(1));
    let selector = &closed[0]["podSelector"]["matchLabels"];
    assert_eq!(selector["app.kubernetes.io/component"], "executor");
    let opened = "scheduler: {from: [{podSelector: {matchLabels: {app: davy}}}]}";
    let opened = from(opened, "-scheduler");
    assert_eq!(opened[1]["podSelector"]["matchLabels"]["app"], "davy");
    let parts = from("{}", "-executor");
    assert_eq!(parts.as_array().map(Vec::len), Some(1));
    let without = rendered("networkPolicy: {enabled: false}");
    assert!(without.find("NetworkPolicy", "").is_none());
    assert!(without.notes.contains("WARNING"), "{}", without.notes);
}

#[test]
fn a_lake_is_a_volume_or_a_bucket() {
    let volume = rendered("lake: {existingClaim: lake, mountPath: /data/lake}");
    for part in ["-scheduler", "-executor"] {
        let pod = pod(&volume, part);
        let claim = &pod["volumes"][1]["persistentVolumeClaim"];
        assert_eq!(claim, &json!({"claimName": "lake", "readOnly": true}));
        let mount = &pod["containers"][0]["volumeMounts"][1];
        assert_eq!(mount["mountPath"], "/data/lake");
        assert_eq!(mount["readOnly"], true);
    }
    let bucket = rendered(
        "{env: [{name: AWS_REGION, value: eu-west-1}], \
         serviceAccount: {annotations: {eks.amazonaws.com/role-arn: arn}}}",
    );
    for part in ["-scheduler", "-executor"] {
        let pod = pod(&bucket, part);
        assert_eq!(pod["volumes"].as_array().map(Vec::len), Some(1));
        assert_eq!(pod["automountServiceAccountToken"], false);
        let env = pod["containers"][0]["env"].as_array().expect("variables");
        assert!(env.contains(&json!({"name": "AWS_REGION", "value": "eu-west-1"})));
        let security = &pod["containers"][0]["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true);
    }
    let account = bucket.find("ServiceAccount", "").expect("an account");
    assert_eq!(
        account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"],
        "arn"
    );
}

#[test]
fn what_cannot_work_is_refused() {
    for (values, said) in [
        ("image: {repository: ''}", "image.repository is empty"),
        ("executor: {replicas: 0}", "replicas"),
        ("lake: {mountPath: lake}", "mountPath"),
        ("executer: {replicas: 2}", "executer"),
    ] {
        let error = render(&request(values)).expect_err(values);
        assert!(error.contains(said), "{values}: {error}");
    }
}
