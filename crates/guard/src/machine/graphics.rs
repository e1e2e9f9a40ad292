//! Graphics cards that compute: whether it can be known who keeps them busy.
//!
//! The library is not loaded here, only looked for: the guard loads it in a process of its own, and its
//! ready line says what came of that.

use std::path::Path;

use super::question::Question;
use super::survey::{Group, Need, Row};

const LOAD: Question = Question {
    id: "graphics.load",
    group: Group::Kernel,
    item: "load of graphics cards",
    need: Need::Improves,
    lost: "how busy a process keeps a graphics card is unknown: that it has one open counts",
};

/// Where drivers and NVIDIA's container toolkit put the library.
const LIBRARY_FOLDERS: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/nvidia/lib64",
    "/usr/local/cuda/compat",
];

/// A row where a card is here.
pub(super) fn rows() -> Vec<Row> {
    let exists = |path: &str| Path::new(path).exists();
    let library = LIBRARY_FOLDERS
        .iter()
        .map(|folder| format!("{folder}/libnvidia-ml.so.1"))
        .find(|library| exists(library));
    rows_from(exists("/dev/nvidiactl"), exists("/dev/kfd"), library)
}

fn rows_from(is_nvidia: bool, is_amd: bool, library: Option<String>) -> Vec<Row> {
    match (is_nvidia, library) {
        _ if is_amd => vec![LOAD.unknown(
            "a card of AMD's (/dev/kfd)",
            "nothing asks such cards yet; tell what is open by the log's evidence",
        )],
        (true, Some(library)) => vec![LOAD.pass(library)],
        (true, None) => vec![LOAD.unknown(
            "a card of NVIDIA's, and no libnvidia-ml.so.1 in the usual places",
            "install the driver's library, and run a davy that is linked dynamically",
        )],
        (false, _) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Verdict;

    #[test]
    fn a_card_without_its_library_is_unknown() {
        let verdict = |is_nvidia, is_amd, library: Option<&str>| {
            let rows = rows_from(is_nvidia, is_amd, library.map(str::to_owned));
            rows.first().map(|row| row.verdict)
        };
        assert_eq!(verdict(false, false, None), None);
        assert_eq!(verdict(true, false, None), Some(Verdict::Unknown));
        assert_eq!(verdict(true, false, Some("/x")), Some(Verdict::Pass));
        assert_eq!(verdict(true, true, Some("/x")), Some(Verdict::Unknown));
    }
}
