//! What a container was, written down before it is ended.
//!
//! Names of environment variables and never their values; command lines masked as in the log; bounded
//! in processes, bytes and time. What the bounds left out is said.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::processes_in;
use crate::{cmdline, process::Process};

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Processes that are described.
    pub processes: usize,
    /// Bytes of a command line.
    pub cmdline_bytes: usize,
    /// Bytes of one executable that are hashed; a larger one is named without a hash.
    pub executable_bytes: u64,
    /// Sockets that are listed.
    pub sockets: usize,
    /// Names of variables of a process.
    pub variables: usize,
    /// How long all of it may take.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            processes: 64,
            cmdline_bytes: 1024,
            executable_bytes: 64 << 20,
            sockets: 64,
            variables: 256,
            time: Duration::from_millis(500),
        }
    }
}

/// What was written down.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence(pub Map<String, Value>);

impl Evidence {
    /// Describes what runs in a cgroup.
    pub fn of_cgroup(directory: &Path, limits: &Limits) -> Self {
        Self::of(&processes_in(directory), limits)
    }

    /// Describes these processes.
    pub fn of(pids: &[u32], limits: &Limits) -> Self {
        let began = Instant::now();
        let mut hashes: BTreeMap<(u64, u64), Value> = BTreeMap::new();
        let (mut processes, mut sockets) = (Vec::new(), Vec::new());
        let mut tables: HashMap<u64, HashMap<u64, Value>> = HashMap::new();
        let mut unread = 0;
        let mut is_late = false;
        for pid in pids.iter().take(limits.processes) {
            if began.elapsed() > limits.time {
                is_late = true;
                break;
            }
            let Ok(Some(process)) = Process::open(*pid, None) else {
                unread += 1;
                continue;
            };
            processes.push(described(&process, limits, &mut hashes));
            for socket in sockets_of(*pid, &mut tables) {
                if !sockets.contains(&socket) {
                    sockets.push(socket);
                }
            }
        }
        let sockets_left_out = sockets.len().saturating_sub(limits.sockets);
        sockets.truncate(limits.sockets);
        let left_out = pids.len() - processes.len();
        let mut found = Map::new();
        found.insert("processes".into(), Value::Array(processes));
        found.insert("sockets".into(), Value::Array(sockets));
        if sockets_left_out > 0 {
            found.insert("sockets_left_out".into(), json!(sockets_left_out));
        }
        if left_out > 0 {
            found.insert("left_out".into(), json!(left_out));
            found.insert("gone".into(), json!(unread));
            found.insert("out_of_time".into(), json!(is_late));
        }
        Self(found)
    }
}

fn described(
    process: &Process,
    limits: &Limits,
    hashes: &mut BTreeMap<(u64, u64), Value>,
) -> Value {
    let arguments = process.arguments().unwrap_or_default();
    let environment = process.environment().unwrap_or_default();
    let mut names: BTreeSet<String> = environment
        .split(|byte| *byte == 0)
        .filter_map(|pair| pair.split(|byte| *byte == b'=').next())
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(&name[..name.len().min(128)]).into_owned())
        .collect();
    let names_left_out = names.len().saturating_sub(limits.variables);
    while names.len() > limits.variables {
        names.pop_last();
    }
    json!({
        "pid": process.pid(),
        "cmdline": cmdline::render(&arguments, limits.cmdline_bytes, &[]).text,
        "exe": process.executable().map(|path| path.to_string_lossy().into_owned()).ok(),
        "exe_sha256": hash(&process.executable_file(), limits, hashes),
        "env_names": names,
        "env_names_left_out": names_left_out,
    })
}

/// The hash of a file, each file once.
fn hash(path: &Path, limits: &Limits, hashes: &mut BTreeMap<(u64, u64), Value>) -> Value {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(file) = fs::File::open(path) else {
        return Value::Null;
    };
    let Ok(facts) = file.metadata() else {
        return Value::Null;
    };
    let key = (facts.dev(), facts.ino());
    if let Some(known) = hashes.get(&key) {
        return known.clone();
    }
    let mut hasher = Sha256::new();
    let mut bytes = Vec::new();
    let mut left = limits.executable_bytes;
    let mut input = file.take(limits.executable_bytes + 1);
    let found = loop {
        bytes.clear();
        match input.by_ref().take(1 << 20).read_to_end(&mut bytes) {
            Ok(0) => break json!(hex::encode(hasher.finalize())),
            Ok(read) if read as u64 > left => break json!("too large"),
            Ok(read) => {
                left -= read as u64;
                hasher.update(&bytes);
            }
            Err(_) => break Value::Null,
        }
    };
    hashes.insert(key, found.clone());
    found
}

/// The Internet sockets that a process holds open. Each network namespace is read once.
fn sockets_of(pid: u32, tables: &mut HashMap<u64, HashMap<u64, Value>>) -> Vec<Value> {
    use std::os::unix::fs::MetadataExt as _;
    let proc = Path::new("/proc").join(pid.to_string());
    let Ok(namespace) = fs::metadata(proc.join("ns/net")) else {
        return Vec::new();
    };
    let table = tables
        .entry(namespace.ino())
        .or_insert_with(|| table_of(&proc));
    let held = fs::read_dir(proc.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    held.filter_map(|entry| {
        let link = fs::read_link(entry.path()).ok()?;
        let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        table.get(&inode.parse().ok()?).cloned()
    })
    .collect()
}

/// Sockets of a network namespace by inode (proc_pid_net(5)).
fn table_of(proc: &Path) -> HashMap<u64, Value> {
    let mut found = HashMap::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        let Ok(text) = fs::read_to_string(proc.join("net").join(protocol)) else {
            continue;
        };
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (Some(local), Some(remote), Some(inode)) =
                (fields.get(1), fields.get(2), fields.get(9))
            else {
                continue;
            };
            let (Some(local), Some(remote), Ok(inode)) =
                (address(local), address(remote), inode.parse())
            else {
                continue;
            };
            found.insert(
                inode,
                json!({ "protocol": protocol, "local": local, "remote": remote }),
            );
        }
    }
    found
}

/// `0100007F:1F90` as `127.0.0.1:8080`: words of an address in the machine's order.
fn address(text: &str) -> Option<String> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let bytes = hex::decode(address).ok()?;
    let words: Vec<u8> = bytes
        .chunks_exact(4)
        .flat_map(|word| {
            let word = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
            word.to_ne_bytes()
        })
        .collect();
    let address = match <[u8; 4]>::try_from(words.as_slice()) {
        Ok(four) => std::net::IpAddr::from(four),
        Err(_) => std::net::IpAddr::from(<[u8; 16]>::try_from(words.as_slice()).ok()?),
    };
    Some(std::net::SocketAddr::new(address, port).to_string())
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    #[test]
    fn addresses_are_read_in_the_machines_order() {
        let four = u32::from_be_bytes([127, 0, 0, 1]).to_be().to_ne_bytes();
        let text = format!("{:08X}:1F90", u32::from_ne_bytes(four));
        assert_eq!(address(&text).as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(address("nonsense"), None);
        assert_eq!(address("00:00"), None);
    }

    /// A process with these variables, which ends when its input does.
    fn with_variables(variables: &[(&str, &str)]) -> Child {
        let mut command = Command::new("cat");
        command.env_clear().envs(variables.iter().copied());
        command.stdin(Stdio::piped()).spawn().expect("it starts")
    }

    fn end(mut child: Child) {
        drop(child.stdin.take());
        child.wait().expect("it ends");
    }

    #[test]
    fn what_runs_is_described_without_the_values_of_its_variables() {
        let child = with_variables(&[("POOL", "of-this-test.example"), ("EMPTY", "")]);
        let found = Evidence::of(&[child.id()], &Limits::default()).0;
        let process = &found["processes"][0];
        assert_eq!(process["pid"], child.id());
        assert_eq!(process["env_names"], json!(["EMPTY", "POOL"]));
        assert_eq!(process["env_names_left_out"], 0);
        let digest = process["exe_sha256"].as_str().expect("a hash");
        assert_eq!(digest.len(), 64);
        let text = Value::from(found).to_string();
        assert!(!text.contains("of-this-test"), "{text}");
        end(child);
    }

    #[test]
    fn sockets_are_listed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let found = Evidence::of(&[std::process::id()], &Limits::default()).0;
        let wanted = format!("127.0.0.1:{port}");
        let sockets = found["sockets"].as_array().expect("sockets");
        assert!(
            sockets
                .iter()
                .any(|socket| socket["local"] == wanted.as_str()),
            "{sockets:?}"
        );
    }

    #[test]
    fn bounds_are_kept_and_what_they_left_out_is_said() {
        let me = std::process::id();
        let limits = Limits {
            processes: 1,
            executable_bytes: 10,
            sockets: 1,
            variables: 2,
            ..Limits::default()
        };
        let bind = || std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let _listeners = [bind(), bind()];
        let found = Evidence::of(&[me, me, 0x7fff_fff0], &limits).0;
        assert_eq!(found["processes"].as_array().expect("processes").len(), 1);
        assert_eq!(found["processes"][0]["exe_sha256"], "too large");
        assert_eq!(found["left_out"], 2);
        assert_eq!(found["sockets"].as_array().expect("sockets").len(), 1);
        assert!(found["sockets_left_out"].as_u64().expect("a number") >= 1);

        let child = with_variables(&[("A", "1"), ("B", "2"), ("C", "3")]);
        let found = Evidence::of(&[child.id()], &limits).0;
        assert_eq!(found["processes"][0]["env_names"], json!(["A", "B"]));
        assert_eq!(found["processes"][0]["env_names_left_out"], 1);
        end(child);
    }
}
