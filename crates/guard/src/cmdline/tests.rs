use proptest::prelude::*;

use super::*;

const NO_LIMIT: usize = 1 << 20;

fn raw(arguments: &[&[u8]]) -> Vec<u8> {
    arguments
        .iter()
        .flat_map(|word| word.iter().copied().chain([0]))
        .collect()
}

fn shown(arguments: &[&str]) -> String {
    let words: Vec<&[u8]> = arguments.iter().map(|word| word.as_bytes()).collect();
    let rendered = render(&raw(&words), NO_LIMIT, &[]);
    assert_eq!(rendered.cut_from_bytes, None);
    rendered.text
}

#[test]
fn ordinary_commands_are_quoted_as_a_shell_reads_them() {
    for (arguments, text) in [
        (&["ls", "-l", "/tmp"][..], "ls -l /tmp"),
        (&["echo", "two words"], "echo 'two words'"),
        (&["echo", ""], "echo ''"),
        (&["echo", "it's"], r#"echo "it's""#),
        (&["echo", "größe", "矿"], "echo 'größe' '矿'"),
        (
            &["docker", "run", "-p", "8080:80", "x@sha256:ab"],
            "docker run -p 8080:80 x@sha256:ab",
        ),
        (&["git", "log", "--format=%H"], "git log '--format=%H'"),
        (&["train", "--max-tokens", "100"], "train --max-tokens 100"),
    ] {
        assert_eq!(shown(arguments), text);
    }
    assert_eq!(render(b"", NO_LIMIT, &[]).text, "");
    assert_eq!(render(b"\0", NO_LIMIT, &[]).text, "''");
    assert_eq!(render(b"a\0b", NO_LIMIT, &[]).text, "a b");
}

#[test]
fn nothing_reaches_a_terminal_that_it_would_obey() {
    for (argument, text) in [
        (&b"a\nb"[..], r"$'a\nb'"),
        (b"\x1b]0;title\x07", r"$'\x1b]0;title\x07'"),
        (b"\xc2\x9b31m", r"$'\u009b31m'"),
        (b"\x9b31m", r"$'\x9b31m'"),
        ("a\u{202e}txt.exe".as_bytes(), r"$'a\u202etxt.exe'"),
        (
            "\u{2066}\u{2028}\u{feff}".as_bytes(),
            r"$'\u2066\u2028\ufeff'",
        ),
        ("\u{e0041}".as_bytes(), r"$'\U000e0041'"),
        (b"it's\r\\", r"$'it\'s\r\\'"),
        (b"\xff", r"$'\xff'"),
        (b"\x7f", r"$'\x7f'"),
        // Already text that looks like an escape: quoted otherwise, so it cannot be mistaken.
        (br"$'\x1b'", r#"'$'"'\\x1b'""#),
    ] {
        let rendered = render(&raw(&[argument]), NO_LIMIT, &[]);
        assert_eq!(rendered.text, text, "{argument:?}");
    }
}

/// Whether the escapes say what we think they say is bash's to judge.
#[test]
fn bash_reads_the_same_bytes_back() {
    let every: Vec<u8> = (1..=255).collect();
    let arguments = [
        &every[..],
        b"plain",
        b"a b",
        "\u{202e}x\u{9b}".as_bytes(),
        b"'\\'",
        b"^a!b",
    ];
    let text = render(&raw(&arguments), NO_LIMIT, &[]).text;
    let output = std::process::Command::new("bash")
        .args(["--norc", "-c", &format!("printf '%s\\0' {text}")])
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("bash is part of every Debian");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, raw(&arguments));
}

/// `S3cr3t` is the secret in every case; what is beside it must stay.
#[test]
fn secrets_are_masked_and_their_surroundings_are_not() {
    let aws = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLES3c";
    let aws_line = format!("AKIAIOSFODNN7EXAMPLE {aws}");
    for (arguments, text) in [
        (
            &["x", "--password=S3cr3t", "y"][..],
            "x '--password=[masked]' y",
        ),
        (&["x", "--password=S3c r3t"], "x '--password=[masked]'"),
        (&["x", "--token", "S3cr3t", "y"], "x --token '[masked]' y"),
        (&["x", "-Ddb.password=S3cr3t"], "x '-Ddb.password=[masked]'"),
        (
            &["mysql", "-u", "me", "-pS3cr3t", "db"],
            "mysql -u me '-p[masked]' db",
        ),
        (
            &["sudo", "/usr/bin/mysql", "-p", "S3cr3t"],
            "sudo /usr/bin/mysql -p '[masked]'",
        ),
        (&["mkdir", "-p", "/srv/data"], "mkdir -p /srv/data"),
        (
            &["env", "HUB_TOKEN=S3cr3t", "run"],
            "env 'HUB_TOKEN=[masked]' run",
        ),
        (&["curl", "-u", "me:S3cr3t", "h"], "curl -u 'me:[masked]' h"),
        (
            &["curl", "-H", "Authorization: Bearer S3cr3t"],
            "curl -H 'Authorization: Bearer [masked]'",
        ),
        (
            &["curl", "-H", "X-Api-Key:S3cr3t"],
            "curl -H 'X-Api-Key:[masked]'",
        ),
        (
            &["curl", "https://h/p?a=1&token=S3cr3t&b=2"],
            "curl 'https://h/p?a=1&token=[masked]&b=2'",
        ),
        (
            &["git", "clone", "https://me:S3cr3t@h/r"],
            "git clone 'https://me:[masked]@h/r'",
        ),
        (
            &["x", "-x", "me:S3cr3t@proxy:3128"],
            "x -x 'me:[masked]@proxy:3128'",
        ),
        (
            &["x", r#"{"user":"me","pass":"S3cr3t","n":1}"#],
            r#"x '{"user":"me","pass":"[masked]","n":1}'"#,
        ),
        (
            &["sh", "-c", "PGPASSWORD=S3cr3t psql -h db | tee log"],
            "sh -c 'PGPASSWORD=[masked] psql -h db | tee log'",
        ),
        (
            &["sh", "-c", "cd /tmp && mysql -pS3cr3t db; ls"],
            "sh -c 'cd /tmp && mysql -p[masked] db; ls'",
        ),
        (
            &["sh", "-c", "sh -c \"curl --token 'S3c r3t' h\" end"],
            "sh -c 'sh -c \"curl --token [masked] h\" end'",
        ),
        (
            &[
                "sh",
                "-c",
                r#"curl -H "Authorization: Basic S3cr3t" https://h/"#,
            ],
            r#"sh -c 'curl -H "Authorization: Basic [masked]" https://h/'"#,
        ),
        (
            &["python3", "-c", "login(password='S3cr3t', n=1)"],
            "python3 -c 'login(password=[masked] n=1)'",
        ),
        (&["x", "ghp_0123456789abcdefghijS3cr3t"], "x '[masked]'"),
        (
            &["x", "say xoxb-12345678-S3cr3t now"],
            "x 'say [masked] now'",
        ),
        (&["x", "eyJhbGciOi.eyJzdWIi.S3cr3t"], "x '[masked]'"),
        (&["x", &aws_line], "x 'AKIAIOSFODNN7EXAMPLE [masked]'"),
        (
            &[
                "x",
                "a\n-----BEGIN RSA PRIVATE KEY-----\nS3cr3t\n-----END RSA PRIVATE KEY-----\nb",
            ],
            r"x $'a\n[masked]\nb'",
        ),
        (
            &["x", "-----BEGIN PRIVATE KEY-----\nS3cr3t"],
            "x '[masked]'",
        ),
    ] {
        let shown = shown(arguments);
        assert_eq!(shown, text);
        assert!(!shown.contains("S3c"), "{shown}");
    }
}

#[test]
fn wallets_and_pools_are_evidence() {
    let wallet = "4".repeat(95);
    let checksummed = "0x52908400098527886E0F7030069857D2E4169EE7";
    let pool = format!("stratum+tcp://{wallet}.rig:S3cr3t@pool.example:3333");
    let text = shown(&["m", "-o", &pool, "-u", &wallet, "-p", "S3cr3t", checksummed]);
    assert!(text.contains(&format!(
        "stratum+tcp://{wallet}.rig:[masked]@pool.example:3333"
    )));
    assert!(
        text.contains(&format!("-u {wallet} -p '[masked]' {checksummed}")),
        "{text}"
    );
    let cut_short = b"m\0-o\0stratum+tcp://pool.example:3333";
    let text = render(cut_short, NO_LIMIT, &[]).text;
    assert_eq!(text, "m -o stratum+tcp://pool.example:3333");
}

#[test]
fn what_matched_stays_visible() {
    let arguments = raw(&[b"x", b"--password=aaaBANNEDzzz"]);
    let at = arguments
        .windows(6)
        .position(|window| window == b"BANNED")
        .unwrap();
    let rendered = render(&arguments, NO_LIMIT, std::slice::from_ref(&(at..at + 6)));
    assert_eq!(rendered.text, "x '--password=[masked]BANNED[masked]'");
    let hostile = [Range { start: 3, end: 1 }, 0..usize::MAX];
    assert_eq!(
        render(&arguments, NO_LIMIT, &hostile).text,
        "x '--password=aaaBANNEDzzz'"
    );
}

#[test]
fn the_first_half_of_a_secret_is_a_secret() {
    for argument in [
        "ghp_S3cr",
        "k=wJalrXUtnFEMI/K7MDENG/bPxS3c",
        "https://me:S3cr3",
        "-----BEGIN PRIVATE KEY-----\nS3c",
    ] {
        let text = render(format!("x\0{argument}").as_bytes(), NO_LIMIT, &[]).text;
        assert!(text.contains(MASK) && !text.contains("S3c"), "{text}");
    }
}

#[test]
fn a_cut_is_marked_and_measured() {
    let arguments = raw(&[b"echo", "é".repeat(100).as_bytes()]);
    let rendered = render(&arguments, 20, &[]);
    assert_eq!(rendered.text, "echo 'ééééé…");
    assert_eq!(rendered.cut_from_bytes, Some(206));
    let uncut = render(&arguments, 207, &[]);
    assert_eq!((uncut.text.len(), uncut.cut_from_bytes), (207, None));
    assert_eq!(render(&arguments, 2, &[]).text, "");
}

#[test]
fn values_of_the_environment() {
    for (name, value, text) in [
        ("JUPYTERHUB_USER", &b"ada"[..], "ada"),
        ("JUPYTERHUB_API_TOKEN", b"S3cr3t", "[masked]"),
        ("EMPTY_TOKEN", b"", ""),
        ("BINDER_REF_URL", b"https://h/a b", "https://h/a b"),
        (
            "DATABASE_URL",
            b"postgres://me:S3cr3t@db/x",
            "postgres://me:[masked]@db/x",
        ),
        (
            "BINDER_REF_URL",
            b"https://github.com/OpenScience/repo2",
            "https://github.com/OpenScience/repo2",
        ),
        ("NAME", b"a\x1b[0m", r"$'a\x1b[0m'"),
        ("NAME", b"$'x'", r"$'$\'x\''"),
    ] {
        assert_eq!(mask_value(name, value), text);
    }
    let long = mask_value("NAME", &[b'a'; 5000]);
    assert_eq!(long.len(), VALUE_LIMIT_BYTES);
    assert!(long.ends_with(CUT));
}

/// Texts on which a search that starts again at every match would not come back for minutes.
#[test]
fn hostile_text_is_read_to_its_end() {
    for text in [
        "a:b=",
        "://a:",
        "://a:b@",
        "token:",
        "token=a ",
        "\"token\":\"",
        "\\\"pass\\\":\\\"",
        "eyJ",
        "bearer ",
        "-----BEGIN A-----",
        "' \" ",
        "-p ",
        "sh -c '",
        "=a:",
        "\\",
        "((",
    ] {
        let arguments = raw(&[text.repeat((256 << 10) / text.len()).as_bytes()]);
        assert!(render(&arguments, 4096, &[]).text.len() <= 4096);
    }
}

/// Everything an escape or a mask could go wrong around.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..12),
        any::<String>().prop_map(String::into_bytes),
        prop::sample::select(vec![
            &b"\0"[..],
            b"'",
            b"\"",
            b"\\",
            b" ",
            b"=",
            b":",
            b"@",
            b"://",
            b"--password",
            b"-c",
            b"mysql",
            b"-p",
            b"Authorization: Bearer ",
            b"-----BEGIN A-----",
            b"eyJ",
            b"ghp_",
            b"\xe2\x80\xae",
            b"\xc2\x9b",
            b"\x1b",
            b"token",
            b"[masked]",
            b"&",
            b";",
            b"$'",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    proptest::collection::vec(fragment, 0..40).prop_map(|parts| parts.concat())
}

fn contexts() -> impl Strategy<Value = (String, String)> {
    prop::sample::select(vec![
        ("x\0--password=", "\0y\0"),
        ("x\0--password\0", "\0y\0"),
        ("mysql\0-p", "\0db\0"),
        ("A_TOKEN=", "\0y\0"),
        ("curl\0-H\0Authorization: Bearer ", "\0h\0"),
        ("curl\0https://me:", "@h/\0"),
        ("sh\0-c\0MY_SECRET=", " run --fast\0"),
        ("sh\0-c\0ls; curl -u me:", " h\0"),
        ("sh\0-c\0echo \"{\\\"password\\\": \\\"", "\\\"}\"\0"),
        ("x\0{\"token\": \"", "\"}\0"),
        ("x\0ghp_0123456789abcdefghij", "\0"),
        (
            "x\0-----BEGIN PRIVATE KEY-----\n",
            "\n-----END PRIVATE KEY-----\0",
        ),
        ("x\0--user=me\0--token=", ""),
    ])
    .prop_map(|(before, after)| (before.to_owned(), after.to_owned()))
}

proptest! {
    #[test]
    fn any_bytes_are_one_bounded_readable_line(
        arguments in fragments(),
        limit in 0_usize..300,
        keep in proptest::collection::vec((0_usize..200, 0_usize..200), 0..4),
    ) {
        let keep: Vec<_> = keep.into_iter().map(|(start, len)| start..start + len).collect();
        let rendered = render(&arguments, limit, &keep);
        prop_assert!(rendered.text.len() <= limit);
        prop_assert!(rendered.text.chars().all(is_printable));
        let whole = render(&arguments, NO_LIMIT, &keep);
        prop_assert_eq!(rendered.cut_from_bytes.is_some(), whole.text.len() > limit);
        let value = mask_value("NAME", &arguments);
        prop_assert!(value.chars().all(is_printable) && value.len() <= VALUE_LIMIT_BYTES);
    }

    #[test]
    fn a_secret_never_appears(
        secret in "[A-Za-z0-9]{12,30}",
        (before, after) in contexts(),
        noise in "[a-z ]{0,20}",
        limit in 0_usize..200,
    ) {
        let arguments = format!("{noise}\0{before}{secret}{after}{noise}");
        let rendered = render(arguments.as_bytes(), limit, &[]);
        prop_assert!(!rendered.text.contains(&secret[..6]), "{}", rendered.text);
        let whole = render(arguments.as_bytes(), NO_LIMIT, &[]);
        prop_assert!(whole.text.contains(MASK), "{}", whole.text);
        prop_assert!(!whole.text.contains(&secret[..6]), "{}", whole.text);
    }

    #[test]
    fn what_is_printed_reads_back(words in proptest::collection::vec("[ -~&&[^=:@\0]]{0,20}", 0..6)) {
        let arguments: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        let text = render(&raw(&arguments), NO_LIMIT, &[]).text;
        prop_assume!(!text.contains(MASK));
        prop_assert_eq!(shlex::split(&text), Some(words));
    }
}
