//! Lists that somebody brings: each form is read, what is dangerous is refused, nothing is dropped.

use davylamp_content::Source;
use davylamp_content::indicators::change::{Changes, joined, written};
use davylamp_content::indicators::import::{About, Imported, import};
use davylamp_content::indicators::{self, Confidence, value_of};
use proptest::prelude::*;

fn about() -> About {
    About {
        source: "own".to_owned(),
        licence: "CC0-1.0".to_owned(),
        confidence: Confidence::Medium,
        day: "2026-03-01".parse().ok(),
    }
}

fn shown(imported: &Imported) -> Vec<String> {
    let kept = imported.indicators.iter().map(|one| one.value.id());
    let refused = imported
        .refused
        .iter()
        .map(|one| format!("{}: {}: {}", one.place, one.text, one.why));
    kept.chain(refused).collect()
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(shown(&import(text, &about())), expected, "{text}");
}

fn check_value(text: &str, expected: &str) {
    let said = match value_of(text) {
        Ok(value) => value.id(),
        Err(why) => format!("refused: {why}"),
    };
    assert_eq!(said, expected, "{text}");
}

#[test]
fn a_text_is_made_what_it_means() {
    check_value("Pool.Miner.Example.ORG.", "domain:pool.miner.example.org");
    check_value(
        "hxxps://pool[.]miner-site[.]net:443/x?y#z",
        "domain:pool.miner-site.net",
    );
    check_value("pool(.)miner-site{.}net", "domain:pool.miner-site.net");
    check_value(
        "stratum+tcp://w.x@pool.miner-site.net:3333",
        "domain:pool.miner-site.net",
    );
    check_value("*.miner-site.net", "domain:miner-site.net");
    check_value("||miner-site.net^", "domain:miner-site.net");
    check_value("bücher-pool.net", "domain:xn--bcher-pool-9db.net");
    check_value("45[.]9[.]148[.]7", "address:45.9.148.7");
    check_value("45.9.148.7:14444", "address_port:45.9.148.7:14444");
    check_value("[2a01:4f8::7]:3333", "address_port:2a01:4f8::7:3333");
    check_value("2a01:4f8::7", "address:2a01:4f8::7");
    check_value("::ffff:45.9.148.7", "address:45.9.148.7");
    check_value("45.9.148.77/24", "network:45.9.148.0/24");
    check_value("45.9.148.7/32", "address:45.9.148.7");
    check_value("http://45.9.148.7/24", "address:45.9.148.7");
    check_value("monero.github.io", "domain:monero.github.io");
}

#[test]
fn what_would_do_harm_is_refused_with_the_reason() {
    for (text, part) in [
        ("com", "single label"),
        ("co.uk", "publicsuffix.org"),
        ("github.io", "publicsuffix.org"),
        ("duckdns.org", "publicsuffix.org"),
        ("google.com", "everybody uses google.com"),
        ("docs.google.com", "everybody uses google.com"),
        ("0.pool.ntp.org", "everybody uses ntp.org"),
        ("github.com", "name what lies below"),
        ("www.github.com", "name what lies below"),
        ("localhost", "single label"),
        ("pool.local", "RFC 6761"),
        ("10.1.2.3", "RFC 1918"),
        ("192.168.0.1:3333", "RFC 1918"),
        ("172.20.0.0/16", "RFC 1918"),
        ("100.64.0.1", "RFC 6598"),
        ("127.0.0.1", "this machine"),
        ("::1", "this machine"),
        ("169.254.169.254", "metadata"),
        ("fd00::1", "RFC 4193"),
        ("fe80::1", "link-local"),
        ("203.0.113.7", "documentation"),
        ("224.0.0.1", "no host"),
        ("0.0.0.0", "no host"),
        ("8.8.8.8", "resolver"),
        ("8.8.8.0/24", "8.8.8.8"),
        ("0.0.0.0/0", "whole providers"),
        ("45.0.0.0/8", "whole providers"),
        ("2a01::/16", "whole providers"),
        ("45.9.148.7/33", "no network"),
        ("45.9.148.999", "neither"),
        ("pool..net", "neither"),
        ("a pool.net", "neither"),
        ("-", ""),
        ("", "empty"),
        ("pool.net:0", "port"),
        ("pool.net:99999", "port"),
    ] {
        let said = value_of(text).map(|value| value.id());
        let why = said.expect_err(text);
        assert!(why.contains(part), "{text}: {why}");
    }
}

#[test]
fn a_plain_list_and_a_hosts_file_are_read() {
    check(
        "# pools\nminer-site.net\n\nhxxp://x[.]miner-site[.]net/a # bad\n! ad\n45.9.148.7:80\ncom\n",
        &[
            "domain:miner-site.net",
            "domain:x.miner-site.net",
            "address_port:45.9.148.7:80",
            "7: com: a single label would match half of the world",
        ],
    );
    check(
        "127.0.0.1 localhost\n0.0.0.0 a.miner-site.net b.miner-site.net\n",
        &[
            "domain:a.miner-site.net",
            "domain:b.miner-site.net",
            "1: localhost: a single label would match half of the world",
        ],
    );
}

#[test]
fn columns_are_found_by_their_names() {
    let text = "first_seen,ioc_type,ioc,confidence_level,source\n\
                2025-01-02 10:00:00,domain,miner-site.net,90,a b\n\
                2025-01-02,md5_hash,900150983cd24fb0,75,a\n\
                ,ip:port,\"45.9.148.7:3333\",,\n\
                ,domain,b.miner-site.net,certain,\n";
    let imported = import(text, &about());
    assert_eq!(
        shown(&imported),
        [
            "domain:miner-site.net",
            "address_port:45.9.148.7:3333",
            "3: 900150983cd24fb0: `md5_hash` is nothing that is looked up here",
            "5: certain: its confidence is none: low, medium, high, or 0 to 100",
        ]
    );
    let first = &imported.indicators[0];
    assert_eq!(first.confidence, Confidence::High);
    assert_eq!(first.sources, ["a", "b"]);
    assert_eq!(first.licences, ["CC0-1.0"]);
    assert_eq!(first.first_seen, "2025-01-02".parse().ok());
    assert_eq!(first.last_seen, "2026-03-01".parse().ok());
    assert_eq!(imported.indicators[1].confidence, Confidence::Medium);
}

#[test]
fn events_of_misp_are_read() {
    check(
        r#"{"response":[{"Event":{"Attribute":[
            {"type":"domain","value":"miner-site.net","to_ids":true,"timestamp":"1735689600"},
            {"type":"ip-dst|port","value":"45.9.148.7|3333"},
            {"type":"domain|ip","value":"b.miner-site.net|45.9.148.8"},
            {"type":"domain","value":"google.com"},
            {"type":"hostname","value":"c.miner-site.net","to_ids":false},
            {"type":"sha256","value":"00"}],
          "Object":[{"Attribute":[{"type":"url","value":"http://d.miner-site.net/x"}]}]}}]}"#,
        &[
            "domain:miner-site.net",
            "address_port:45.9.148.7:3333",
            "domain:b.miner-site.net",
            "address:45.9.148.8",
            "domain:d.miner-site.net",
            "4: google.com: everybody uses google.com",
            "5: c.miner-site.net: its source says that it is not for detection",
            "6: 00: `sha256` is nothing that is looked up here",
        ],
    );
}

#[test]
fn bundles_of_stix_are_read() {
    let bundle = r#"{"type":"bundle","id":"bundle--1","objects":[
        {"type":"identity","name":"x"},
        {"type":"indicator","pattern":"[domain-name:value = 'miner-site.net' OR ipv4-addr:value='45.9.148.7']",
         "valid_from":"2025-05-01T00:00:00Z","confidence":85},
        {"type":"indicator","pattern":"[url:value = 'https://b.miner-site.net/x'] AND [ipv4-addr:value = '45.9.148.8']"},
        {"type":"indicator","pattern":"[file:name = 'x']"},
        {"type":"indicator","pattern":"[domain-name:value = 'c.miner-site.net']","revoked":true},
        {"type":"indicator","pattern":"[domain-name:value = 'open"},
        {"type":"ipv6-addr","value":"2a01:4f8::7"},
        {"type":"malware","id":"malware--1"}]}"#;
    check(
        bundle,
        &[
            "domain:miner-site.net",
            "address:45.9.148.7",
            "address:2a01:4f8::7",
            "3: [url:value = 'https://b.miner-site.net/x'] AND [ipv4-addr:value = '45.9.148.8']: it counts only together with something else (AND)",
            "4: [file:name = 'x']: it asks for more than names, addresses and URLs",
            "5: [domain-name:value = 'c.miner-site.net']: it was taken back",
            "6: [domain-name:value = 'open: a quote is not closed",
            "8: malware--1: `malware` is nothing that is looked up here",
        ],
    );
    let imported = import(bundle, &about());
    assert_eq!(imported.indicators[0].confidence, Confidence::High);
    assert_eq!(imported.indicators[0].first_seen, "2025-05-01".parse().ok());
}

#[test]
fn what_is_no_list_is_said_to_be_none() {
    check(
        "{\"a\": 1}",
        &["1: : it is neither a MISP event nor a STIX bundle"],
    );
    let broken = import("{\"type\": \"bundle\", ", &about());
    assert!(broken.refused[0].why.starts_with("it is no JSON"));
    let deep = "[".repeat(100_000);
    assert!(import(&deep, &about()).indicators.is_empty());
    let text = import("\u{1b}[31mred\u{7}", &about());
    assert!(!text.refused[0].text.contains('\u{1b}'));
}

#[test]
fn lists_are_joined_compared_and_written() {
    let first = import("miner-site.net\n45.9.148.7\n", &about()).indicators;
    let mut other = about();
    (other.source, other.licence) = ("second".to_owned(), "MIT".to_owned());
    (other.confidence, other.day) = (Confidence::High, "2026-04-01".parse().ok());
    let second = import("MINER-site.net\nb.miner-site.net\n", &other).indicators;
    let both = joined(first.iter().chain(&second).cloned());
    assert_eq!(both.len(), 3);
    let site = both
        .iter()
        .find(|one| one.value.id() == "domain:miner-site.net");
    let site = site.expect("it is there");
    assert_eq!(site.sources, ["own", "second"]);
    assert_eq!(site.licences, ["CC0-1.0", "MIT"]);
    assert_eq!(site.confidence, Confidence::High);
    assert_eq!(site.first_seen, "2026-03-01".parse().ok());
    assert_eq!(site.last_seen, "2026-04-01".parse().ok());

    let changes = Changes::between(&first, &second);
    assert_eq!(
        (
            changes.added.len(),
            changes.changed.len(),
            changes.removed.len()
        ),
        (1, 1, 1)
    );
    assert!(Changes::between(&both, &both).is_empty());

    let text = written("Own pools.\nTwo lists.", &both);
    let read = indicators::parse(Source {
        name: "own.csv",
        text: &text,
    })
    .expect("what is written is read");
    assert!(Changes::between(&both, &read).is_empty(), "{text}");
}

proptest! {
    #[test]
    fn any_text_is_a_value_or_a_reason(text in ".*") {
        if let Ok(value) = value_of(&text) {
            prop_assert!(indicators::danger_of(&value).is_none());
        }
    }

    #[test]
    fn any_list_is_kept_or_refused_and_what_is_kept_can_be_written(
        text in r#"([a-z0-9.:/,\[\]{}"' #\n|-]|hxxp|value|domain|0\.0\.0\.0 |type|ä){0,80}"#
    ) {
        let imported = import(&text, &about());
        let all = joined(imported.indicators);
        if !all.is_empty() {
            let written = written("any", &all);
            let read = indicators::parse(Source { name: "any.csv", text: &written });
            prop_assert_eq!(read.expect("what is written is read").len(), all.len());
        }
    }
}
