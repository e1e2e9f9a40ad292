//! `/healthz` and `/readyz`.

use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use crate::world::World;
use crate::{config, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_console_without_its_database_lives_and_is_not_ready() {
    let world = world().await;
    let metrics = format!("http://{}", world.metrics.expect("an address"));
    let ask = |base: &str, path: &str| {
        let asked = reqwest::get(format!("{base}{path}"));
        async move {
            let answer = asked.await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("text"))
        }
    };
    for base in [&world.base(), &metrics] {
        assert_eq!(ask(base, "/healthz").await, (200, "alive\n".to_owned()));
        assert_eq!(ask(base, "/readyz").await, (200, "ready\n".to_owned()));
    }
    world.ledger.close().await;
    crate::until("it says that it is not ready", || async {
        let wanted = (503, "the database does not answer\n".to_owned());
        ask(&world.base(), "/readyz").await == wanted
    })
    .await;
    assert_eq!(ask(&world.base(), "/healthz").await.0, 200);
    world.end().await;
}

/// A disk of its own, until this goes.
struct Disk(TempDir);

impl Disk {
    /// One of so many MiB.
    fn new(mib: u32) -> Self {
        let folder = TempDir::new().expect("a folder");
        let size = std::ffi::CString::new(format!("size={mib}m")).expect("text");
        mount(
            "tmpfs",
            folder.path(),
            "tmpfs",
            MountFlags::empty(),
            size.as_c_str(),
        )
        .expect("it is mounted, which needs root as other tests do");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_is_told() {
    let disk = Disk::new(80);
    let world = World::of(config(disk.path()), TempDir::new().expect("a folder")).await;
    let stranger = world.stranger();
    assert_eq!(stranger.page("/readyz").await.body, "ready\n");
    std::fs::write(disk.path().join("other"), vec![1; 30 << 20]).expect("written");
    crate::until("it says that it is not ready", || async {
        let answer = stranger.get("/readyz").await;
        (answer.status.as_u16(), answer.body.as_str()) == (503, "the disk is full\n")
    })
    .await;
    let metrics = crate::metrics(&world).await;
    let mut free = metrics.lines().filter_map(|line| {
        let free = line.strip_prefix("davylamp_console_disk_free_bytes ")?;
        free.parse::<u64>().ok()
    });
    assert!(free.next().is_some_and(|free| free < 64 << 20), "{metrics}");
    world.end().await;
}
