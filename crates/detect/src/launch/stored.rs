//! Files that are started later by themselves: what is written to one is what it will start.
//!
//! Sources: crontab(5), systemd.service(5), the desktop entry specification, bash(1) "INVOCATION",
//! sshd(8) "AUTHORIZED_KEYS FILE FORMAT", inittab(5), githooks(5), IPython's documentation of
//! profiles.

use super::file_name;

/// What a text starts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Starts {
    /// Texts for a shell.
    pub scripts: Vec<Vec<u8>>,
    /// Texts in a language.
    pub codes: Vec<Vec<u8>>,
}

/// Files that a shell reads when it starts.
const SHELL_FILES: &[&str] = &[
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".profile",
    ".zshrc",
    ".zprofile",
    ".zshenv",
    ".zlogin",
    ".kshrc",
    ".xinitrc",
    ".xprofile",
    ".xsession",
    "bash.bashrc",
    "profile",
    "rc.local",
    "rc",
];

/// Folders whose files are started at boot, at login or now and then.
const SCRIPT_FOLDERS: &[&str] = &[
    "/profile.d/",
    "/init.d/",
    "/rc.d/",
    "/cron.hourly/",
    "/cron.daily/",
    "/cron.weekly/",
    "/cron.monthly/",
    "/.git/hooks/",
    "/if-up.d/",
    "/update-motd.d/",
    "/local.d/",
    "/before-notebook.d/",
    "/start-notebook.d/",
];

/// What a text starts that is written to this file, if the file is one of these.
pub(super) fn of(path: &[u8], text: &[u8]) -> Option<Starts> {
    let name = file_name(path);
    let path = format!("/{}", String::from_utf8_lossy(path));
    let is_within = |folder: &&str| path.contains(*folder);
    let mut starts = Starts::default();
    if SCRIPT_FOLDERS.iter().any(is_within) {
        starts.scripts.push(text.to_vec());
    } else if path.contains("/cron") {
        starts.scripts = of_crontab(text, path.contains("/etc/"));
    } else if name.ends_with(".service") {
        starts.scripts = values(text, &["Exec"], b":-@+!");
    } else if name.ends_with(".desktop") {
        starts.scripts = values(text, &["Exec"], b"");
    } else if name == "authorized_keys" {
        starts.scripts = quoted_behind(text, b"command=");
    } else if name == "inittab" {
        let lines = text.split(|byte| *byte == b'\n');
        let commands = lines.filter_map(|line| line.splitn(4, |byte| *byte == b':').nth(3));
        starts.scripts = commands.map(<[u8]>::to_vec).collect();
    } else if SHELL_FILES.contains(&name.as_str()) {
        starts.scripts.push(text.to_vec());
    } else if path.contains("/startup/") && name.ends_with(".py")
        || matches!(name.as_str(), "sitecustomize.py" | "usercustomize.py")
        || name.ends_with(".pth")
        || name.ends_with("_config.py")
    {
        starts.codes.push(text.to_vec());
    } else {
        return None;
    }
    Some(starts)
}

/// The commands of a crontab; in the system's own a user stands before each.
pub(super) fn of_crontab(text: &[u8], has_users: bool) -> Vec<Vec<u8>> {
    const FIELDS: usize = 5;
    let mut commands = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        let fields = match line[0] {
            b'@' => 1,
            _ => FIELDS,
        };
        let is_time = |byte: &u8| byte.is_ascii_digit() || b"*@".contains(byte);
        let command = match line.first().is_some_and(is_time) {
            true => behind_words(line, fields + usize::from(has_users)),
            false => line,
        };
        commands.push(command.to_vec());
    }
    commands
}

fn behind_words(line: &[u8], count: usize) -> &[u8] {
    let mut rest = line.trim_ascii_start();
    for _ in 0..count {
        let end = rest.iter().position(u8::is_ascii_whitespace);
        rest = rest[end.unwrap_or(rest.len())..].trim_ascii_start();
    }
    rest
}

/// The values of keys that begin so, without signs in front of them.
fn values(text: &[u8], keys: &[&str], signs: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        let Some(equals) = line.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let key = String::from_utf8_lossy(&line[..equals]).into_owned();
        if keys.iter().any(|start| key.starts_with(start)) {
            let value = line[equals + 1..].trim_ascii_start();
            let from = value.iter().take_while(|byte| signs.contains(byte)).count();
            found.push(value[from..].to_vec());
        }
    }
    found
}

fn quoted_behind(text: &[u8], key: &[u8]) -> Vec<Vec<u8>> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.windows(key.len()).position(|window| window == key) {
        rest = &rest[at + key.len()..];
        let value = rest.strip_prefix(b"\"").unwrap_or(rest);
        let end = value.iter().position(|byte| *byte == b'"');
        found.push(value[..end.unwrap_or(value.len())].to_vec());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        let starts = of(path.as_bytes(), text.as_bytes()).unwrap_or_default();
        let all = starts.scripts.iter().chain(&starts.codes);
        let shown: Vec<String> = all
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect();
        assert_eq!(shown, expected, "{path}");
    }

    #[test]
    fn what_is_written_where_it_will_start_is_what_it_starts() {
        check(
            "/var/spool/cron/root",
            "# a\n*/5 * * * * ./x -a\n",
            &["./x -a"],
        );
        check("/etc/cron.d/a", "@reboot root ./x", &["./x"]);
        check("/etc/crontab", "* * * * * root ./x", &["./x"]);
        check("/etc/cron.daily/a", "#!/bin/sh\n./x", &["#!/bin/sh\n./x"]);
        let unit = "[Service]\nUser=a\nExecStart=-/x a\nExecStartPre=@/y";
        check("/etc/systemd/system/a.service", unit, &["/x a", "/y"]);
        check("/home/a/.bashrc", "./x &", &["./x &"]);
        check(".git/hooks/post-merge", "./x", &["./x"]);
        check(
            "~/.ssh/authorized_keys",
            "command=\"./x\" ssh-rsa A",
            &["./x"],
        );
        check("/etc/inittab", "x:3:respawn:./x", &["./x"]);
        check(
            "~/.config/autostart/a.desktop",
            "Name=a\nExec=./x",
            &["./x"],
        );
        check("notes.txt", "./x", &[]);
    }
}
