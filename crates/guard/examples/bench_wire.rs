//! What the programs of the wire cost: bytes and connections a second over loopback, with them attached
//! and without, in turns.
//!
//! `cargo run --release -p davylamp-guard --example bench_wire` as root prints the medians and their
//! ratios. Both ends of each connection lie in a cgroup of the benchmark's own that is watched, so that
//! each packet is judged twice: between machines it is once. With the argument `whole` the whole machine
//! is watched, as a guard does by default, and what comes in by loopback is judged once; then nothing is
//! dropped and nobody killed. At the end stands what each program takes of one connection.

#![allow(
    clippy::print_stdout,
    reason = "a program of its own, which has nobody else to tell"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use davylamp_content::indicators::shipped_pools;
use davylamp_detect::automaton::Table;
use davylamp_guard::{
    abi::Settings,
    config::{Config, Wire, WirePolicy},
    kernel::{Ceilings, Kernel, Pinning, Start, TestFaults},
    protect::CgroupMounts,
    wire,
};
use libbpf_rs::query::ProgInfoIter;

/// Rounds of each kind. Their medians are compared.
const ROUNDS: usize = 5;
/// How long one measurement takes.
const LASTS: Duration = Duration::from_millis(700);
/// What is written at once when bytes are counted.
const WRITE: usize = 128 << 10;
/// A request and its answer when connections are counted.
const REQUEST: &[u8] = b"GET /api/contents/notebook.ipynb HTTP/1.1\r\nHost: hub.example\r\nAccept: application/json\r\nUser-Agent: curl/8\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{\"name\":\"notebook.ipynb\"}\r\n";

/// The kernel's switch for counting runs and time of programs.
const COUNTING: &str = "/proc/sys/kernel/bpf_stats_enabled";
/// The programs of the wire.
const PROGRAMS: &[&str] = &[
    "on_egress",
    "on_ingress",
    "on_state",
    "on_create",
    "on_send",
    "on_receive",
];

fn main() {
    let mounts = CgroupMounts::read().expect("the mounts can be read");
    let unified = mounts.unified().expect("there is a unified hierarchy");
    let name = format!("davybench-{}", std::process::id());
    let folder = unified.join(&name);
    fs::create_dir(&folder).expect("a cgroup can be made; run this as root");
    fs::write(folder.join("cgroup.procs"), "0").expect("it can be joined");

    let table = Table::build(&[], &[], false, 1).expect("an empty table");
    let start = Start {
        rules: None,
        ceilings: &Ceilings::default(),
        table: &table,
        settings: Settings::default(),
        executables: &[],
        cgroups: &[],
        alive_until_ns: 0,
        can_hold: false,
        faults: TestFaults::default(),
    };
    let kernel = Kernel::start(&Pinning::None, &start).expect("the guard starts");
    let wire = match std::env::args().nth(1).as_deref() {
        Some("whole") => Wire {
            protocols: WirePolicy::Alert,
            names: WirePolicy::Alert,
            ..Wire::default()
        },
        _ => Wire {
            cgroup: format!("/{name}"),
            ..Wire::default()
        },
    };
    let config = Config {
        wire,
        ..Config::default()
    };
    let pools = shipped_pools().expect("what ships is good");
    let watch = || {
        wire::watch(&kernel, &config, &pools, &mounts)
            .expect("the wire can be watched")
            .expect("it is to be")
    };

    let sink = sink();
    let server = server();
    let mut results: [[Vec<f64>; 2]; 2] = Default::default();
    bytes_a_second(&sink);
    connections_a_second(&server);
    for round in 0..ROUNDS * 2 {
        // Which of the two comes first changes, too.
        let is_watched = (round % 2 == 1) ^ (round % 4 >= 2);
        let watched = is_watched.then(watch);
        results[0][usize::from(is_watched)].push(bytes_a_second(&sink));
        results[1][usize::from(is_watched)].push(connections_a_second(&server));
        drop(watched);
    }
    for (what, unit, [without, with]) in [
        ("transfer", "MB/s", results[0].clone()),
        ("connections", "1/s", results[1].clone()),
    ] {
        let (without, with) = (median(without), median(with));
        println!(
            "{what}: {without:.0} {unit} without, {with:.0} {unit} with, ratio {:.3}",
            with / without
        );
    }
    let watched = watch();
    by_program(&server);
    drop(watched);
    fs::write(unified.join("cgroup.procs"), "0").expect("the cgroup can be left");
    fs::remove_dir(&folder).expect("and removed");
}

/// Where the time goes: what each program takes of one connection, as the kernel counts it.
fn by_program(server: &str) {
    let before = fs::read_to_string(COUNTING).expect("the kernel counts");
    fs::write(COUNTING, "1").expect("it can be told to");
    let taken = || -> Vec<(String, u64, u64)> {
        let ours = ProgInfoIter::default().filter(|program| {
            let name = program.name.to_string_lossy();
            PROGRAMS.contains(&name.as_ref())
        });
        ours.map(|program| {
            let name = program.name.to_string_lossy().into_owned();
            (name, program.run_cnt, program.run_time_ns)
        })
        .collect()
    };
    let begun = taken();
    let connections = connections_a_second(server) * LASTS.as_secs_f64();
    for ((name, runs, time), (_, runs_before, time_before)) in taken().into_iter().zip(begun) {
        let runs = (runs - runs_before) as f64;
        let time = (time - time_before) as f64;
        println!(
            "{name}: {:.1} runs and {:.0} ns a connection",
            runs / connections,
            time / connections
        );
    }
    fs::write(COUNTING, before).expect("it can be told to stop");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Reads whatever comes.
fn sink() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = vec![0; WRITE];
            while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
        }
    });
    address
}

fn bytes_a_second(sink: &str) -> f64 {
    let mut stream = TcpStream::connect(sink).expect("it listens");
    let bytes = vec![b'x'; WRITE];
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < LASTS {
        stream.write_all(&bytes).expect("it reads");
        sent += bytes.len();
    }
    sent as f64 / 1e6 / began.elapsed().as_secs_f64()
}

/// Answers one request of each who comes.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = vec![0; REQUEST.len()];
            if stream.read_exact(&mut request).is_ok() {
                let _ = stream.write_all(ANSWER);
            }
        }
    });
    address
}

fn connections_a_second(server: &str) -> f64 {
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < LASTS {
        let mut stream = TcpStream::connect(server).expect("it listens");
        stream.write_all(REQUEST).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        assert_eq!(answer, ANSWER);
        count += 1;
    }
    f64::from(count) / began.elapsed().as_secs_f64()
}
