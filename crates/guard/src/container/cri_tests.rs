//! The CRI client: what it makes of answers, and of servers that give none. A real containerd is
//! asked in `tests/containerd.rs`.

use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;

use super::super::cri_wire::{AnyEvent, SandboxMetadata};
use super::*;

#[test]
fn events_become_changes() {
    let id = || ContainerId::from("a");
    let cri = |container_event_type| {
        cri_change(ContainerEventResponse {
            container_id: "a".into(),
            container_event_type,
        })
    };
    assert_eq!(cri(0), Some(Change::Appeared(id())));
    assert_eq!(cri(1), Some(Change::Appeared(id())));
    assert_eq!(cri(2), None);
    assert_eq!(cri(3), Some(Change::Removed(id())));

    let containerd = |namespace: &str, topic: &str, value: Vec<u8>| {
        containerd_change(Envelope {
            namespace: namespace.into(),
            topic: topic.into(),
            event: Some(AnyEvent { value }),
        })
    };
    let value = || IdEvent { id: "a".into() }.encode_to_vec();
    assert_eq!(
        containerd("k8s.io", "/tasks/start", value()),
        Some(Change::Appeared(id()))
    );
    assert_eq!(
        containerd("k8s.io", "/containers/delete", value()),
        Some(Change::Removed(id()))
    );
    assert_eq!(containerd("moby", "/tasks/start", value()), None);
    assert_eq!(containerd("k8s.io", "/tasks/start", vec![0xff]), None);
}

#[test]
fn a_digest_is_not_a_name() {
    let digest = "5787afe93ccd79c25084f24d092a7dcf49c4156bb356258c890e63769e5ed661";
    assert!(is_bare_digest(digest));
    assert!(is_bare_digest(&format!("sha256:{digest}")));
    assert!(!is_bare_digest(&format!("quay.io/x@sha256:{digest}")));
    assert!(!is_bare_digest("quay.io/jupyter/base-notebook:2024"));
}

#[test]
fn a_sandboxes_metadata_outweighs_its_labels() {
    let sandbox = CriSandbox {
        id: "s".into(),
        metadata: Some(SandboxMetadata {
            name: "jupyter-alice".into(),
            uid: "u".into(),
            namespace: "hub".into(),
        }),
        labels: HashMap::from([(LABEL_NAMESPACE.to_owned(), "kube-system".to_owned())]),
        annotations: HashMap::new(),
    };
    let described = describe_sandbox(sandbox).container;
    assert_eq!(described.namespace().unwrap().as_str(), "hub");
    assert_eq!(described.hub_user, Some(HubUser::from("alice")));
}

/// A socket whose server greets every connection with `greeting` and then says nothing more.
fn server(greeting: &'static [u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cri.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(greeting).await;
            open.push(stream);
        }
    });
    (dir, path)
}

#[tokio::test]
async fn nobody_at_the_socket_is_said_with_its_path() {
    let client = CriClient::new(Path::new("/nonexistent/cri.sock"));
    for _ in 0..3 {
        let error = client.describe(&ContainerId::from("a")).await.unwrap_err();
        assert!(matches!(error, AskError::Unreachable { .. }), "{error:?}");
        assert!(
            error.to_string().contains("/nonexistent/cri.sock"),
            "{error}"
        );
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_http2_is_an_error() {
    let (_dir, path) = server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let error = CriClient::new(&path).list(&|_| None).await.unwrap_err();
    assert!(
        matches!(
            error,
            AskError::Unreachable { .. } | AskError::BadAnswer { .. }
        ),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hung_server_meets_the_deadline() {
    let (_dir, path) = server(b"");
    let client = CriClient::new(&path);
    let error = client.describe(&ContainerId::from("a")).await.unwrap_err();
    assert_eq!(
        error,
        AskError::Deadline {
            call: "ListContainers"
        }
    );
    // A stream without its first event looks the same and is waited for.
    tokio::select! {
        ended = client.events() => panic!("{ended:?}"),
        () = tokio::time::sleep(Duration::from_secs(3_600)) => {}
    }
}
