//! What the watch over rounding modes costs: context switches a second of processor time between two
//! processes that hand a byte to and fro on one processor, with the kernel program and without, in
//! turns. Processor time is both processes' own, so that what else runs on the machine counts little.
//! Run as root: `cargo bench -p davylamp-guard --bench context_switches`.

#![allow(clippy::print_stdout, reason = "it prints its figures")]

use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::time::{Duration, Instant};

use libbpf_rs::{Link, Object, ObjectBuilder};

#[repr(align(8))]
struct Aligned<Bytes: ?Sized>(Bytes);

static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(
    env!("OUT_DIR"),
    "/behaviour.bpf.o"
)));

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(400);

fn main() {
    assert!(
        rustix::process::geteuid().is_root(),
        "it loads a kernel program: run it as root"
    );
    let (mut plain, mut nearest, mut upward) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(switches_per_second(false));
        let watched = watch();
        nearest.push(switches_per_second(false));
        upward.push(switches_per_second(true));
        drop(watched);
    }
    let without = middle(&mut plain);
    println!("without                      {without:>9.0} context switches a second");
    for (what, rates) in [
        ("with, rounding to the nearest", &mut nearest),
        ("with, rounding upward", &mut upward),
    ] {
        let with = middle(rates);
        let each_ns = 1e9 / with - 1e9 / without;
        println!(
            "{what:<29}{with:>9.0} context switches a second, ratio {:.3}, {each_ns:+.0} ns each",
            with / without
        );
    }
}

/// The program, attached for as long as this lives.
fn watch() -> (Object, Vec<Link>) {
    let open = ObjectBuilder::default()
        .open_memory(&OBJECT.0)
        .expect("the object opens");
    let object = open.load().expect("this kernel takes it");
    let links = object
        .progs_mut()
        .map(|program| program.attach().expect("it attaches"))
        .collect();
    (object, links)
}

fn middle(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn switches_per_second(is_upward: bool) -> f64 {
    let (from_parent, to_child) = std::io::pipe().expect("a pipe");
    let (from_child, to_parent) = std::io::pipe().expect("a pipe");
    // SAFETY: the child runs on a copy of this thread, which is the only one, and leaves by _exit.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        drop((to_child, from_child));
        stay();
        round(is_upward);
        echo(from_parent, to_parent);
        // SAFETY: ends this process and nothing else.
        unsafe { libc::_exit(0) }
    }
    drop((from_parent, to_parent));
    stay();
    round(is_upward);
    let before = used(libc::RUSAGE_SELF) + used(libc::RUSAGE_CHILDREN);
    let count = play(to_child, from_child);
    round(false);
    // SAFETY: the child is ours and not waited for yet.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    let after = used(libc::RUSAGE_SELF) + used(libc::RUSAGE_CHILDREN);
    count as f64 / (after - before)
}

/// Seconds of processor time.
fn used(whose: libc::c_int) -> f64 {
    // SAFETY: the structure is plain data, and the call fills it.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(whose, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn echo(mut from: PipeReader, mut to: PipeWriter) {
    let mut byte = [0];
    while matches!(from.read(&mut byte), Ok(1)) && to.write_all(&byte).is_ok() {}
}

fn play(mut to: PipeWriter, mut from: PipeReader) -> u64 {
    let (mut byte, mut turns, began) = ([0], 0_u64, Instant::now());
    while began.elapsed() < ROUND {
        for _ in 0..64 {
            to.write_all(&byte).expect("the child listens");
            from.read_exact(&mut byte).expect("the child answers");
            turns += 1;
        }
    }
    // There and back are two.
    2 * turns
}

fn stay() {
    // SAFETY: the set is plain data, and the call reads it.
    unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(0, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

/// `FE_UPWARD` and `FE_TONEAREST` of x86 (fenv.h).
fn round(is_upward: bool) {
    unsafe extern "C" {
        fn fesetround(mode: libc::c_int) -> libc::c_int;
    }
    // SAFETY: it changes how this thread rounds, and nothing else.
    unsafe { fesetround(if is_upward { 0x800 } else { 0 }) };
}
