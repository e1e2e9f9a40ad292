//! The Docker client against a double that speaks HTTP on a unix socket, with answers in the
//! shapes of the Engine API's reference (v1.43) and of podman's compatible service.

use davylamp_model::container::{LABEL_NAMESPACE, LABEL_POD};

use super::super::docker_double::{Double, chunked, plain};
use super::*;

const ID: &str = "9e9192d35808d67079f075531628e7c903f4eafc7b1e495592c80951fe9e037d";
const UID: &str = "7eed019f-1bfb-404f-8e0a-5687726fade6";

fn client(double: &Double) -> DockerClient {
    DockerClient::new(double.path(), LabelTrust::Machine)
}

fn inspection(labels: &str, parent: &str) -> String {
    format!(
        r#"{{"Id":"{ID}","Created":"2023-12-26T21:54:39Z","Args":["-c"],"Image":"sha256:04",
            "State":{{"Running":true,"Pid":5}},"ExecIDs":null,
            "HostConfig":{{"CgroupParent":"{parent}","Binds":null}},
            "Config":{{"Image":"quay.io/x/y:1","Labels":{labels},"Env":["A=b"]}}}}"#
    )
}

async fn described(labels: &str, parent: &str, trust: LabelTrust) -> Container {
    let body = inspection(labels, parent);
    let double = Double::start(move |_| chunked(&body, 7));
    let client = DockerClient::new(double.path(), trust);
    client
        .describe(&ContainerId::from(ID))
        .await
        .unwrap()
        .unwrap()
        .container
}

#[tokio::test]
async fn an_inspection_in_chunks_is_read() {
    let found = described(r#"{"maintainer":"x"}"#, "", LabelTrust::Machine).await;
    assert_eq!(found.id.as_str(), ID);
    assert_eq!(found.image.as_deref(), Some("quay.io/x/y:1"));
    assert_eq!(found.labels["maintainer"], "x");
    assert_eq!(found.container_type, ContainerType::Docker);
    assert_eq!(
        described("null", "", LabelTrust::Machine)
            .await
            .labels
            .len(),
        0
    );
}

#[tokio::test]
async fn an_image_cannot_name_its_own_pod() {
    let labels = format!(
        r#"{{"{LABEL_NAMESPACE}":"kube-system","{LABEL_POD}":"jupyter-bob","{LABEL_POD_UID}":"{UID}",
            "hub.jupyter.org/username":"bob","repo2docker.ref":"main"}}"#
    );
    for parent in [
        "",
        "/docker",
        "/kubepods/burstable/pod00000000-0000-0000-0000-000000000000",
    ] {
        let found = described(&labels, parent, LabelTrust::Machine).await;
        assert_eq!(found.namespace(), None, "{parent}");
        assert_eq!(found.hub_user, None, "{parent}");
        assert_eq!(
            found.labels.keys().collect::<Vec<_>>(),
            ["repo2docker.ref"],
            "{parent}"
        );
    }
    // The kubelet, through cri-dockerd, places the container below the pod it names.
    let slice = format!("kubepods-burstable-pod{}.slice", UID.replace('-', "_"));
    for parent in [format!("/kubepods/burstable/pod{UID}"), slice] {
        let found = described(&labels, &parent, LabelTrust::Machine).await;
        assert_eq!(
            found.namespace().unwrap().as_str(),
            "kube-system",
            "{parent}"
        );
        assert_eq!(found.hub_user.unwrap().as_str(), "bob", "{parent}");
        // An engine inside a pod may claim any parent.
        let claimed = described(&labels, &parent, LabelTrust::InPod).await;
        assert_eq!(claimed.namespace(), None, "{parent}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_none() {
    let missing = Double::start(|_| plain("404 Not Found", r#"{"message":"No such container"}"#));
    let id = ContainerId::from(ID);
    assert!(client(&missing).describe(&id).await.unwrap().is_none());
    // Asked by a name or a prefix the engine answers with another container.
    let other = inspection("{}", "").replace(ID, &ID.replace('9', "8"));
    let other = Double::start(move |_| plain("200 OK", &other));
    assert!(client(&other).describe(&id).await.unwrap().is_none());
}

#[tokio::test]
async fn an_id_never_reaches_the_request_line_unchecked() {
    let double = Double::start(|_| plain("200 OK", "{}"));
    for id in ["", "../images/json", "a b", "a\r\nX: y"] {
        let answer = client(&double).describe(&ContainerId::from(id)).await;
        assert!(matches!(answer, Err(AskError::BadAnswer { .. })), "{id}");
    }
    assert!(double.asked().is_empty());
}

#[tokio::test]
async fn bad_answers_are_errors_of_their_own() {
    let id = ContainerId::from(ID);
    let garbage = Double::start(|_| Some(b"\x16\x03\x01 not http at all\r\n\r\n".to_vec()));
    assert!(matches!(
        client(&garbage).describe(&id).await,
        Err(AskError::BadAnswer { .. })
    ));

    let broken = Double::start(|_| plain("200 OK", "{\"Id\":"));
    let error = client(&broken).describe(&id).await.unwrap_err();
    assert!(error.to_string().contains("invalid JSON"), "{error}");

    let cut = Double::start(|_| Some(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec()));
    assert!(matches!(
        client(&cut).describe(&id).await,
        Err(AskError::BadAnswer { .. })
    ));

    let refusing = Double::start(|_| plain("500 Internal Server Error", "{}"));
    let error = client(&refusing).describe(&id).await.unwrap_err();
    assert!(error.to_string().contains("500"), "{error}");

    let flood = Double::start(|_| chunked(&" ".repeat(MAX_ANSWER_BYTES + 1), 64 * 1024));
    assert!(matches!(
        client(&flood).describe(&id).await,
        Err(AskError::TooLarge { .. })
    ));

    let nobody = DockerClient::new(Path::new("/nonexistent/docker.sock"), LabelTrust::Machine);
    let error = nobody.describe(&id).await.unwrap_err();
    assert!(matches!(&error, AskError::Unreachable { .. }), "{error}");
    assert!(
        error.to_string().contains("/nonexistent/docker.sock"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hung_engine_meets_the_deadline() {
    let hung = Double::start(|_| None);
    let answer = client(&hung).describe(&ContainerId::from(ID)).await;
    assert_eq!(answer.unwrap_err(), AskError::Deadline { call: "inspect" });
}

#[tokio::test]
async fn a_list_inspects_only_what_is_new() {
    let known = ID.replace('9', "8");
    let list = format!(r#"[{{"Id":"{ID}","Names":["/x"],"Labels":null}},{{"Id":"{known}"}}]"#);
    let body = inspection("{}", "");
    let double = Double::start(move |target| {
        if target.starts_with("/containers/json") {
            plain("200 OK", &list)
        } else {
            chunked(&body, 99)
        }
    });
    let held = Container {
        id: ContainerId(known.clone()),
        container_type: ContainerType::Docker,
        labels: std::collections::BTreeMap::new(),
        image: Some("held".into()),
        hub_user: None,
        outer: None,
    };
    let lookup = |id: &str| (id == known).then(|| held.clone());
    let all = client(&double).list(&lookup).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].container.image.as_deref(), Some("held"));
    let asked = double.asked();
    assert_eq!(asked, [LIST.to_owned(), format!("/containers/{ID}/json")]);
}

#[tokio::test]
async fn events_come_line_by_line_across_chunks() {
    let line = |action: &str| {
        format!(
            r#"{{"status":"{action}","Type":"container","Action":"{action}","Actor":{{"ID":"{ID}","Attributes":{{"image":"x"}}}},"time":1}}"#
        )
    };
    let body = format!(
        "{}\n{}\r\n\n{}\n",
        line("start"),
        line("exec_start: sh"),
        line("destroy")
    );
    let double = Double::start(move |_| chunked(&body, 11));
    let mut events = client(&double).events().await.unwrap();
    let id = || ContainerId::from(ID);
    assert_eq!(events.next().await.unwrap(), Some(Change::Appeared(id())));
    assert_eq!(events.next().await.unwrap(), Some(Change::Removed(id())));
    assert_eq!(events.next().await.unwrap(), None);
}

#[tokio::test]
async fn bad_events_end_the_stream_with_an_error() {
    let double = Double::start(|_| chunked("garbage\n", 3));
    let mut events = client(&double).events().await.unwrap();
    assert!(matches!(
        events.next().await,
        Err(AskError::BadAnswer { .. })
    ));

    let endless = Double::start(|_| chunked(&"x".repeat(2 * MAX_EVENT_BYTES), 4096));
    let mut events = client(&endless).events().await.unwrap();
    assert!(matches!(
        events.next().await,
        Err(AskError::TooLarge { .. })
    ));

    let old = Double::start(|_| plain("404 Not Found", "{}"));
    assert!(matches!(
        client(&old).events().await,
        Err(AskError::Unserved { .. })
    ));
}
