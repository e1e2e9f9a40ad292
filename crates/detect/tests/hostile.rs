//! What strangers write is judged without a panic and within bounds: the bodies of the fuzz targets, as
//! property tests.

use std::sync::LazyLock;

use davylamp_content::detection::shipped;
use davylamp_content::indicators::shipped_pools;
use davylamp_detect::command::Rules;
use davylamp_detect::indicator::Indicators;
use davylamp_detect::judge::Subject;
use davylamp_detect::launch;
use davylamp_detect::wire::capture::{self, Form};
use davylamp_detect::wire::{Judge, Link};
use proptest::prelude::*;

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let shipped = shipped().expect("what ships is good").into_iter();
    let pools = shipped_pools().expect("what ships is good");
    Rules::new(shipped.map(|parsed| parsed.detection).collect(), &pools).expect("what ships fits")
});

/// What the commands of one line may hold together, however they were made of it.
const MAX_BYTES: usize = 64 << 20;

/// What a line is taken apart into is what the judging of it takes time for.
fn check_is_bounded(line: &str) {
    let launches = launch::of_line(line.as_bytes());
    let bytes: usize = launches
        .commands
        .iter()
        .map(|command| {
            let words = command.words.iter().chain(&command.variables);
            words.map(Vec::len).sum::<usize>() + command.input.len()
        })
        .sum();
    let shown: String = line.chars().take(60).collect();
    assert!(bytes <= MAX_BYTES, "{shown} became {bytes} bytes");
    // And one more, of all that was left, and the texts of the programs of the last.
    assert!(launches.commands.len() <= 4096 + 64, "{shown}");
}

#[test]
fn no_line_becomes_much() {
    for (part, count) in [
        ("echo a | cat | ", 20_000),
        ("cat a > b; cat b > a; ./a; ", 2_000),
        ("echo './a' > a; sh a; ", 500),
        ("cp a b; cp b a; ./a; ./b; ", 500),
        ("A=$A$A; ", 5_000),
        ("{a,{a,{a,", 5_000),
        ("$(echo a | rev) ", 5_000),
        ("`", 50_000),
        ("bash -c 'bash -c \"", 5_000),
        ("python -c \"'xmrig', 'xmrig' system ", 2_000),
        ("find . -name a -exec {} ; ", 2_000),
        ("xargs -I{} {} {} {} | ", 2_000),
        ("kubectl run --image=a '[\"a\",\"a\"]' ", 2_000),
        ("set -- $1 $1; ", 5_000),
        ("export A=1; ", 20_000),
        ("printf %s%s ", 20_000),
        ("tr a-z a-z | ", 5_000),
        ("${A/a/aa}", 20_000),
        ("A=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; A=${A//a/aaaa}; ", 2_000),
    ] {
        check_is_bounded(&part.repeat(count));
        check_is_bounded(&format!("A=a; {}", part.repeat(count)));
    }
}

#[test]
fn a_long_text_goes_through_a_long_pipe_within_bounds() {
    let text = "a".repeat(1 << 20);
    check_is_bounded(&format!("echo {text} {}", "| cat ".repeat(1000)));
    check_is_bounded(&format!("echo {text} > f; {}", "sh f; ".repeat(500)));
    check_is_bounded(&format!(
        "for i in {text}; do {} done",
        "./$i;".repeat(1000)
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..600), cut in 0..600_usize) {
        RULES.judge_line(&bytes);
        let (path, rest) = bytes.split_at(cut.min(bytes.len()));
        let (environment, arguments) = rest.split_at(rest.len() / 2);
        let found = RULES.judge(&Subject { arguments, path, executable: path, environment });
        prop_assert!(found.is_none_or(|found| !found.signs.is_empty()));
    }

    #[test]
    fn any_shell_like_text_is_judged(
        line in r#"([a-z /\\'"$(){}`<>&|;=\n#%*,.:-]|sh -c |echo |printf |base64 -d|xxd -r -p|rev|tr a b|sed s/a/b/| \| |<<E\n|<\(|\$\{A|xargs -I\{\} |find -name x -exec |python -c |parallel |crontab |kubectl apply -f - |docker run |xmrig|stratum\+tcp://x:1 |> f;|sh f;|set -- |alias a=|trap |cp a b;|\./b;){0,60}"#
    ) {
        let found = RULES.judge_line(line.as_bytes());
        prop_assert!(found.is_none_or(|found| !found.signs.is_empty()));
    }

    #[test]
    fn any_packets_are_judged(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let indicators = Indicators::default();
        let mut judge = Judge::new(&indicators);
        let mut signs = Vec::new();
        for (time, packet) in (0..).zip(&packets) {
            for link in [Link::Ethernet, Link::Ip, Link::Loopback, Link::LinuxCooked, Link::LinuxCooked2] {
                judge.packet(time, link, packet, &mut signs);
            }
        }
        judge.finish(&mut signs);
    }

    #[test]
    fn any_bytes_behind_a_captures_start_are_read(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), is_ng: bool) {
        let (form, start): (Form, &[u8]) = match is_ng {
            true => (Form::PcapNg, &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a]),
            false => (Form::Pcap, &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 1, 0, 0, 0]),
        };
        bytes.splice(0..0, start.iter().copied());
        let none = Indicators::default();
        let read = capture::read::<()>(form, bytes.as_slice(), Judge::new(&none), &mut |_| Ok(()));
        prop_assert!(read.is_ok());
    }
}
