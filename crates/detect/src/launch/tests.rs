use proptest::prelude::*;

use super::tools::NAMES;
use super::*;

/// Each command as its words, with what starts it in front: `nohup > ./x -a`.
fn shown(launches: &Launches) -> Vec<String> {
    let shown = launches.commands.iter().map(|command| {
        let words = command
            .words
            .iter()
            .map(|word| String::from_utf8_lossy(word));
        let words = words.collect::<Vec<_>>().join(" ");
        let through = command.through.join(" > ");
        match (through.as_str(), command.is_code) {
            ("", _) => words,
            (through, false) => format!("{through} > {words}"),
            (through, true) => format!("{through} > code {words}"),
        }
    });
    shown.collect()
}

/// Checks that a line launches these beside itself.
fn check(line: &str, expected: &[&str]) {
    let launches = of_line(line.as_bytes());
    let shown = shown(&launches);
    for wanted in expected {
        assert!(
            shown.iter().any(|found| found == wanted),
            "{line}\n{shown:#?}\nlacks {wanted}"
        );
    }
    assert!(launches.is_whole, "{line}");
}

#[test]
fn the_names_are_sorted_and_unique() {
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
}

#[test]
fn wrappers_end_where_the_command_begins() {
    check("nohup ./x -a b", &["nohup > ./x -a b"]);
    check("sudo -u www-data -E ./x", &["sudo > ./x"]);
    check("env -i A=b C=d ./x", &["env > ./x"]);
    check("timeout -s KILL 10m ./x", &["timeout > ./x"]);
    check("nice -n 19 ionice -c3 ./x", &["nice > ionice > ./x"]);
    check("taskset -c 0-3 ./x", &["taskset > ./x"]);
    check("screen -dmS web ./x -o y", &["screen > ./x -o y"]);
    check("tmux new-session -d -s a './x -o y'", &["tmux > ./x -o y"]);
    check("setsid -f -- ./x", &["setsid > ./x"]);
    check("xargs -n 1 -P 4 ./x", &["xargs > ./x"]);
    check("su - alice -c './x -a'", &["su > ./x -a"]);
    check("unknown ./x", &["unknown ./x"]);
    check("mpirun --bind-to core -np 2 ./x", &["mpirun > ./x"]);
    check(
        "mpirun -n 1 ls : -n 2 ./x",
        &["mpirun > ls", "mpirun > mpirun > ./x"],
    );
    check("bwrap --bind a b --dev c ./x", &["bwrap > ./x"]);
    check("capsh --print -- -c './x -a'", &["capsh > bash > ./x -a"]);
    check("time -p ./x", &["./x"]);
    check("nsjail -Mo -- ./x -a", &["nsjail > ./x -a"]);
    check("gdb -ex run --args ./x -a", &["gdb > ./x -a"]);
    check(
        "powershell -W Hidden -c \"& './x' -a\"",
        &["powershell > ./x -a"],
    );
    check("sed '1e ./x -a' f", &["sed > ./x -a"]);
}

#[test]
fn shells_are_read() {
    check("sh -c './x -a; ls'", &["sh > ./x -a", "sh > ls"]);
    check("bash -lc \"cd /tmp && ./x\"", &["bash > ./x"]);
    check("bash run.sh now", &["bash > run.sh now"]);
    check("a | b && c || d & e", &["a", "b", "c", "d", "e"]);
    check("if true; then ./x; fi", &["./x"]);
    check("while :; do ./x; sleep 1; done", &["./x"]);
    check("(./x; ./y) > /dev/null 2>&1", &["./x", "./y"]);
    check("A=b C='d e' ./x", &["./x"]);
    check("M=x; ./$M ${M}y", &["./x xy"]);
    check("./${M:-x}", &["./x"]);
    check("$(echo ./x) -a", &["./x -a"]);
    check("echo `./x`", &["./x"]);
    check("x\"m\"'r'ig", &["xmrig"]);
    check("$'\\x78mrig'", &["xmrig"]);
    check("bash <<EOF\n./x -a\nEOF\nls", &["bash > ./x -a", "ls"]);
    check("bash <<< './x'", &["bash > ./x"]);
    check("cat <(./x)", &["./x"]);
    check("./x # comment ; ./y", &["./x"]);
    check("echo './x -a' | bash", &["bash > ./x -a"]);
    check("echo Li94IC1h | base64 -d | sh", &["sh > ./x -a"]);
    check("base64 -d <<< Li94IC1h | sh", &["sh > ./x -a"]);
    check("(crontab -l; echo './x') | crontab -", &["crontab > ./x"]);
    check("for i in x y; do ./$i; done", &["./x", "./y"]);
    check("curl -s http://a/x.sh | sh", &["sh > http://a/x.sh"]);
    check("sh < x.sh", &["sh > x.sh"]);
    check("wget -qO a http://h/x; ./a -b", &["a > http://h/x -b"]);
    check("echo ./x > a; sh a", &["sh > a > ./x"]);
    check("xm{r,}ig", &["xmrig xmig"]);
    check("$(echo xgirm | rev)", &["mrigx"]);
    check("echo '* * * * * root ./x' > /etc/cron.d/a", &["echo > ./x"]);
    check("eval \"./x -a\"", &["eval > ./x -a"]);
    check("base64 -d < f > g; sh g", &["sh > g"]);
    check("echo Li94IC1h > f; base64 -d f | sh", &["sh > ./x -a"]);
    check("bash -c '\"$0\" \"$@\"' ./x -a", &["bash > ./x -a"]);
    check("sh -c 'for f; do $f; done' sh ./x", &["sh > ./x"]);
    check("set -- ./x -a; \"$@\"", &["./x -a"]);
    check("ls${IFS}-a", &["ls -a"]);
    check("IFS=,; c=./x,-a; $c", &["./x -a"]);
    check("`command -v x` -a", &["x -a"]);
    check("a=(b ./x); ${a[1]} -c", &["./x -c"]);
    check("f() { $1 -a; }; f ./x", &["./x -a"]);
}

/// Checks that a line launches no command that begins with `x`.
fn check_without(line: &str) {
    let launches = of_line(line.as_bytes());
    let is_x = |command: &Command| command.words.first().is_some_and(|word| word == b"x");
    assert!(!launches.commands.iter().any(is_x), "{line}");
    assert!(launches.is_whole, "{line}");
}

#[test]
fn what_is_defined_matched_or_listed_does_not_run() {
    check_without("x() { ls; }");
    check_without("function x { ls; }; x");
    check_without("case $a in x) ls;; y|x) ls;; esac");
    check_without("a=(y\n x)");
    check_without("declare -a a=(x y)");
    check_without("bash -n x");
    check_without("gdb -batch -ex 'info files' x");
    check_without("perl -ne 'print if /(x \\S+)/' f");
}

#[test]
fn languages_take_scripts_and_code() {
    check("python3.11 -u train.py --x", &["python3.11 > train.py --x"]);
    check("python -m pkg.run a", &["python > pkg.run a"]);
    check("python -c 'import os'", &["python > code import os"]);
    check("perl -e 'exec q(x)'", &["perl > code exec q(x)"]);
    check("node '--eval=run()'", &["node > code run()"]);
    check("awk '{system(\"x\")}' f", &["awk > code {system(\"x\")}"]);
}

#[test]
fn what_finders_and_managers_start() {
    check("find / -name xmrig -exec {} -a \\;", &["find > xmrig -a"]);
    check("find . -exec ./x {} +", &["find > ./x {}"]);
    check("uv run ./x", &["uv > ./x"]);
    check("conda run -n env ./x", &["conda > ./x"]);
    check("nix run nixpkgs#x -- -a", &["nix > x"]);
    check("npm exec -- x", &["npm > x"]);
    check("docker run -d a/x:1", &["docker > x"]);
    check("kubectl run web --image=a/x:1", &["kubectl > x"]);
    check("kubectl exec pod -- ./x -a", &["kubectl > ./x -a"]);
    check("kubectl exec pod -- pgrep -a x", &["kubectl > pgrep -a x"]);
    check("kubectl -n info exec pod -- ./x", &["kubectl > ./x"]);
    check("kubectl set image deploy/x y=a/z:1", &["kubectl > z"]);
    check(
        r#"kubectl run a --overrides='{"spec":{"containers":[{"image":"a/x:1","command":["./y","-a"]}]}}'"#,
        &["kubectl > x", "kubectl > ./y -a"],
    );
    check("systemctl enable --now x.service", &["systemctl > x"]);
    check(
        "docker run -v a:/b alpine grep x /b",
        &["docker > grep x /b"],
    );
    check("docker run --name grep a/x", &["docker > x"]);
    check("git -c alias.a='!./x' a", &["git > ./x"]);
}

#[test]
fn nesting_without_end_is_cut_and_said() {
    let deep = "nohup ".repeat(100) + "./x";
    assert!(!of_line(deep.as_bytes()).is_whole);
    let last = of_line(deep.as_bytes()).commands.pop().unwrap_or_default();
    assert!(last.is_unread);
    assert!(last.words.iter().any(|word| word.ends_with(b"\0./x")));
    let deep = "$(".repeat(10_000);
    assert!(!of_line(deep.as_bytes()).is_whole);
    let many = "a;".repeat(100_000);
    assert!(!of_line(many.as_bytes()).is_whole);
    let grows = "A=aaaaaaaaaaaaaaaa;".to_owned() + &"A=$A$A;".repeat(100);
    let launches = of_line(grows.as_bytes());
    let longest = launches
        .commands
        .iter()
        .flat_map(|command| &command.variables);
    assert!(longest.map(Vec::len).max().unwrap_or(0) < 1 << 14);
}

proptest! {
    #[test]
    fn any_bytes_are_taken_apart(line in proptest::collection::vec(any::<u8>(), 0..400)) {
        of_line(&line);
        of_arguments(&line);
    }

    #[test]
    fn any_shell_like_text_is_taken_apart(
        line in r#"([a-z /\\'"$(){}`<>&|;=\n#-]|sh -c |env |find -exec |python -c |<<E){0,60}"#
    ) {
        of_line(line.as_bytes());
    }
}
