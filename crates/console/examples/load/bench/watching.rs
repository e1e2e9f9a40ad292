//! People who watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

use super::asking::Visitor;

pub struct Watching {
    tasks: JoinSet<()>,
    bytes: Arc<Vec<AtomicU64>>,
}

/// So many people begin to watch; each tenth is somebody who may see little.
pub fn begin(all: &Visitor, few: &Visitor, viewers: usize) -> Watching {
    let bytes: Arc<Vec<AtomicU64>> = Arc::new((0..viewers).map(|_| AtomicU64::new(0)).collect());
    let mut tasks = JoinSet::new();
    for viewer in 0..viewers {
        let visitor = if viewer % 10 == 0 { few } else { all };
        let (visitor, bytes) = (visitor.clone(), Arc::clone(&bytes));
        tasks.spawn(async move {
            let mut stream = visitor.ask("/live/stream").send().await.expect("a stream");
            while let Ok(Some(chunk)) = stream.chunk().await {
                bytes[viewer].fetch_add(chunk.len() as u64, Ordering::Relaxed);
            }
        });
    }
    Watching { tasks, bytes }
}

impl Watching {
    /// Ends it, and says what they were sent.
    pub fn end(mut self) -> String {
        self.tasks.abort_all();
        let kib = |least: &AtomicU64| least.load(Ordering::Relaxed) >> 10;
        let all: Vec<u64> = self.bytes.iter().map(kib).collect();
        let (least, most) = (
            all.iter().min().unwrap_or(&0),
            all.iter().max().unwrap_or(&0),
        );
        format!("each was sent {least} to {most} KiB")
    }
}
