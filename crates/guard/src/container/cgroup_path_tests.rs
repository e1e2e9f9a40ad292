//! Layouts met in the field, and the shapes an attacker could add to them.

use proptest::prelude::*;

use super::*;

const A: &str = "4afca7c3013258aa1b81ac99fea8b68d9262f253ccb5f4ba2dd549d092afa6c3";
const B: &str = "9e9192d35808d67079f075531628e7c903f4eafc7b1e495592c80951fe9e037d";
const UID: &str = "7eed019f-1bfb-404f-8e0a-5687726fade6";
const SLICE: &str = "kubepods.slice/kubepods-burstable.slice/\
                     kubepods-burstable-pod7eed019f_1bfb_404f_8e0a_5687726fade6.slice";

/// One line per place: `runtime id@pod`, innermost first, ids as the letters of the constants.
fn show(path: &str) -> String {
    let place = parse(
        path.replace("{A}", A)
            .replace("{B}", B)
            .replace("{S}", SLICE)
            .as_bytes(),
    );
    let level = |level: &ContainerRef| {
        let id = level.id.as_str().replace(A, "A").replace(B, "B");
        let pod = match level.pod_uid.as_deref() {
            None => String::new(),
            Some(UID) => "@pod".to_owned(),
            Some(other) => format!("@{other}"),
        };
        format!("{:?} {id}{pod}", level.runtime)
    };
    match place {
        Place::Host => "host".to_owned(),
        Place::Garbled => "garbled".to_owned(),
        Place::Pod { uid } => format!("pod {}", uid.replace(UID, "pod")),
        Place::Container(inner) => match &inner.outer {
            None => level(&inner),
            Some(outer) => format!("{} in {}", level(&inner), level(outer)),
        },
    }
}

fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<_> = cases
        .iter()
        .filter(|(path, want)| show(path) != *want)
        .map(|(path, want)| format!("{path}\n  want {want}\n  got  {}", show(path)))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn layouts_of_the_field() {
    check(&[
        // containerd
        ("/{S}/cri-containerd-{A}.scope", "Containerd A@pod"),
        (
            "/kubepods/burstable/pod7eed019f-1bfb-404f-8e0a-5687726fade6/{A}",
            "Kubernetes A@pod",
        ),
        (
            "/kubepods/besteffort/pod7eed019f-1bfb-404f-8e0a-5687726fade6/{A}",
            "Kubernetes A@pod",
        ),
        (
            "/kubepods/pod7eed019f-1bfb-404f-8e0a-5687726fade6/{A}",
            "Kubernetes A@pod",
        ),
        (
            "/kubepods.slice/kubepods-pod7eed019f_1bfb_404f_8e0a_5687726fade6.slice/cri-containerd-{A}.scope",
            "Containerd A@pod",
        ),
        (
            "/system.slice/containerd.service/system.slice:cri-containerd:{A}",
            "Containerd A",
        ),
        (
            "/system.slice/containerd.service/kubepods-burstable-pod7eed019f_1bfb_404f_8e0a_5687726fade6.slice:cri-containerd:{A}",
            "Containerd A",
        ),
        ("/k8s.io/{A}", "Containerd A"),
        // static pods are named by a hash
        (
            "/kubepods/burstable/pod0123456789abcdef0123456789abcdef/{A}",
            "Kubernetes A@0123456789abcdef0123456789abcdef",
        ),
        // CRI-O
        ("/{S}/crio-{A}.scope", "Crio A@pod"),
        ("/{S}/crio-{A}.scope/container", "Crio A@pod"),
        (
            "/kubepods/burstable/pod7eed019f-1bfb-404f-8e0a-5687726fade6/crio-{A}",
            "Crio A@pod",
        ),
        ("/{S}/crio-conmon-{A}.scope", "host"),
        (
            "/kubepods/burstable/pod7eed019f-1bfb-404f-8e0a-5687726fade6/crio-conmon-{A}",
            "host",
        ),
        // Docker
        ("/system.slice/docker-{A}.scope", "Docker A"),
        ("/docker/{A}", "Docker A"),
        ("/{S}/docker-{A}.scope", "Docker A@pod"),
        (
            "/system.slice/docker.service/system.slice:docker:{A}",
            "Docker A",
        ),
        ("/docker/buildkit/x9k2mfj3", "BuildKit x9k2mfj3"),
        // podman
        ("/machine.slice/libpod-{A}.scope", "Podman A"),
        ("/machine.slice/libpod-{A}.scope/container", "Podman A"),
        ("/machine.slice/libpod-conmon-{A}.scope", "host"),
        ("/libpod_parent/libpod-{A}", "Podman A"),
        // ctr and nerdctl
        ("/default/my-box.1", "ContainerdNative my-box.1"),
        ("/default/{A}", "ContainerdNative A"),
        ("/buildns/{A}", "ContainerdNative A"),
        // kind and k3s
        (
            "/docker/{B}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod7eed019f_1bfb_404f_8e0a_5687726fade6.slice/cri-containerd-{A}.scope",
            "Containerd A@pod in Docker B",
        ),
        (
            "/docker/{B}/kubelet/kubepods/burstable/pod7eed019f-1bfb-404f-8e0a-5687726fade6/{A}",
            "Kubernetes A@pod in Docker B",
        ),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod7eed019f_1bfb_404f_8e0a_5687726fade6.slice/cri-containerd-{A}.scope",
            "Containerd A@pod",
        ),
        // nested below the container
        ("/{S}/cri-containerd-{A}.scope/init", "Containerd A@pod"),
        (
            "/{S}/cri-containerd-{A}.scope/system.slice/sshd.service",
            "Containerd A@pod",
        ),
        // seen from within a cgroup namespace
        ("/../cri-containerd-{A}.scope", "Containerd A"),
        ("/../../../{S}/cri-containerd-{A}.scope", "Containerd A@pod"),
        // removed under the process
        (
            "/{S}/cri-containerd-{A}.scope (deleted)",
            "Containerd A@pod",
        ),
        ("/{S}/cri-containerd-{A}.scope\n", "Containerd A@pod"),
        // a build of Docker in a pod
        (
            "/{S}/cri-containerd-{A}.scope/docker/{B}",
            "Docker B in Containerd A@pod",
        ),
        (
            "/{S}/cri-containerd-{A}.scope/docker/{B}/docker/{A}",
            "Docker B in Containerd A@pod",
        ),
        (
            "/{S}/cri-containerd-{A}.scope/docker/buildkit/abc",
            "BuildKit abc in Containerd A@pod",
        ),
        (
            "/{S}/cri-containerd-{A}.scope/libpod_parent/libpod-{B}",
            "Podman B in Containerd A@pod",
        ),
        ("/docker/{A}/docker/{B}", "Docker B in Docker A"),
        // the host
        ("/", "host"),
        ("/init.scope", "host"),
        ("/system.slice/ssh.service", "host"),
        ("/default/ssh.service", "host"),
        ("/user.slice/user-1000.slice/session-1.scope", "host"),
        ("/system.slice/docker.service", "host"),
        ("/kubepods.slice/kubepods-burstable.slice", "host"),
        // a pod's own cgroup
        ("/{S}", "pod pod"),
        ("/{S}/kata_overhead", "pod pod"),
        (
            "/kubepods/burstable/pod7eed019f-1bfb-404f-8e0a-5687726fade6/not-an-id",
            "pod pod",
        ),
    ]);
}

#[test]
fn look_alikes_do_not_win() {
    check(&[
        // A container's own sub-cgroup named as a neighbour, in every CRI shape.
        (
            "/{S}/cri-containerd-{A}.scope/cri-containerd-{B}.scope",
            "Containerd A@pod",
        ),
        (
            "/{S}/cri-containerd-{A}.scope/crio-{B}.scope",
            "Containerd A@pod",
        ),
        (
            "/{S}/cri-containerd-{A}.scope/x:cri-containerd:{B}",
            "Containerd A@pod",
        ),
        (
            "/{S}/cri-containerd-{A}.scope/kubepods/burstable/pod00000000-0000-0000-0000-000000000000/{B}",
            "Containerd A@pod",
        ),
        (
            "/{S}/cri-containerd-{A}.scope/k8s.io/{B}",
            "Containerd A@pod",
        ),
        (
            "/{S}/cri-containerd-{A}.scope/crio-conmon-{B}.scope",
            "Containerd A@pod",
        ),
        // A claim below Docker in a pod stays a claim: the pod's container is still there.
        (
            "/{S}/cri-containerd-{A}.scope/docker/{B}/kubepods/pod00000000-0000-0000-0000-000000000000/{B}",
            "Docker B in Containerd A@pod",
        ),
        // A user's own subtree.
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{A}.scope",
            "Delegated A",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{A}.scope/container",
            "Delegated A",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/{S}/cri-containerd-{A}.scope",
            "Delegated A@pod",
        ),
        ("/user.slice/user-1000.slice/user@1000.service/{S}", "host"),
        (
            "/user.slice/user-1000.slice/user@1000.service/x.slice/crio-conmon-{A}.scope",
            "host",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/docker/{A}/docker/{B}",
            "Delegated A",
        ),
        (
            "/machine.slice/machine-sid.scope/payload/docker/{A}",
            "Delegated A",
        ),
        ("/lxc.payload.sid/docker/{A}", "Delegated A"),
        // Not the shapes they resemble.
        ("/{S}/cri-containerd-short.scope", "pod pod"),
        ("/system.slice/docker-{A}.service", "host"),
        ("/x/kubepods-podnotauid.slice/{A}", "host"),
        ("/a/b/default/box", "host"),
        ("docker/{A}", "garbled"),
        ("/docker/../docker/{A}", "garbled"),
        ("", "garbled"),
    ]);
}

#[test]
fn ids_are_lower_case_hexadecimal_of_the_full_length() {
    let upper = A.to_uppercase();
    let long = format!("{A}0");
    for id in [upper.as_str(), long.as_str(), &A[..63], "../../etc"] {
        assert!(
            !matches!(
                parse(format!("/docker/{id}").as_bytes()),
                Place::Container(_)
            ),
            "{id} was taken for a container"
        );
    }
}

#[test]
fn the_line_that_names_the_container_is_picked() {
    let text = format!("12:pids:/docker/{A}\n11:memory:/docker/{B}\n3:cpu,cpuacct:/x\n0::/\n");
    assert_eq!(
        best_line(text.as_bytes()),
        Some(format!("/docker/{B}").as_bytes())
    );
    assert_eq!(
        best_line(b"0::/init.scope\n"),
        Some(b"/init.scope".as_slice())
    );
    assert_eq!(
        best_line(b"8:pids:/\n5:memory:/old\n0::/new\n"),
        Some(b"/new".as_slice())
    );
    assert_eq!(
        best_line(b"9:cpu:/\n5:memory:/old\n0::/\n"),
        Some(b"/old".as_slice())
    );
    assert_eq!(best_line(b"9:cpu:/\n0::/\n"), Some(b"/".as_slice()));
    assert_eq!(best_line(b"nonsense"), None);
}

fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(format!("cri-containerd-{A}.scope")),
        Just(format!("docker-{B}.scope")),
        Just("docker".to_owned()),
        Just("buildkit".to_owned()),
        Just("kubepods".to_owned()),
        Just("user.slice".to_owned()),
        Just("user@0.service".to_owned()),
        Just("..".to_owned()),
        Just(format!("pod{UID}")),
        Just(A.to_owned()),
        "[ -~]{0,12}",
    ]
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        parse(&bytes);
        best_line(&bytes);
    }

    /// Whatever a process builds below its own container, the container that counts is still its
    /// own.
    #[test]
    fn nothing_below_a_container_changes_who_it_is(tail in proptest::collection::vec(component(), 0..8)) {
        let base = format!("/{SLICE}/cri-containerd-{A}.scope");
        let path = format!("{base}/{}", tail.join("/"));
        match parse(path.as_bytes()) {
            Place::Garbled => prop_assert!(tail.iter().any(|name| name == "..")),
            Place::Container(found) => {
                prop_assert_eq!(found.outermost().id.as_str(), A);
                prop_assert_eq!(found.outermost().pod_uid.as_deref(), Some(UID));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// No name below a user's own subtree is ever taken for a system container.
    #[test]
    fn a_users_subtree_never_names_a_system_container(tail in proptest::collection::vec(component(), 0..8)) {
        let path = format!("/user.slice/user-1000.slice/user@1000.service/{}", tail.join("/"));
        match parse(path.as_bytes()) {
            Place::Container(found) => {
                prop_assert_eq!(found.outermost().runtime, Runtime::Delegated);
                prop_assert!(found.outer.is_none());
            }
            Place::Host => {}
            Place::Garbled => prop_assert!(tail.iter().any(|name| name == "..")),
            Place::Pod { uid } => prop_assert!(false, "pod {}", uid),
        }
    }
}
