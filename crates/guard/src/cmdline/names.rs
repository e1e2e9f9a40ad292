//! Which names say that what they name is a credential, and which programs take one by a letter.

/// Anywhere in a name, these make its value a credential.
const PARTS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "credential",
    "authorization",
    "apikey",
    "authtoken",
    "accesstoken",
];

/// At the end of a name, these make its value a credential. Not `key` or `tokens` alone: the key
/// of a table and the number of tokens a model may write are facts worth reading.
const ENDS: [&str; 24] = [
    "pass",
    "pwd",
    "pw",
    "token",
    "bearer",
    "cookie",
    "jwt",
    "psk",
    "pat",
    "passin",
    "passout",
    "passcode",
    "api_key",
    "access_key",
    "private_key",
    "auth_key",
    "account_key",
    "shared_key",
    "signing_key",
    "encryption_key",
    "master_key",
    "ssh_key",
    "session_key",
    "epsw",
];

/// A name that ends so tells where a credential is or how long it lives, not what it is.
const HARMLESS_ENDS: [&str; 16] = [
    "_file", "_path", "_dir", "_name", "_id", "_type", "_url", "_uri", "_length", "_len", "_ttl",
    "_stdin", "_env", "_arn", "_expiry", "_ref",
];

/// Ordinary words whose end only looks like one of [`ENDS`].
const HARMLESS_WORDS: [&str; 4] = ["bypass", "compass", "onepass", "twopass"];

/// Whether the value of an option, variable, field or header of this name is to be masked.
pub(super) fn is_secret(name: &str) -> bool {
    let name = normal(name);
    let last = name.rsplit('_').next().unwrap_or_default();
    if HARMLESS_ENDS.iter().any(|end| name.ends_with(end)) || HARMLESS_WORDS.contains(&last) {
        return false;
    }
    PARTS.iter().any(|part| name.contains(part))
        || ENDS.iter().any(|end| {
            let Some(before) = name.strip_suffix(end) else {
                return false;
            };
            // `pw`, `pat` and `jwt` end many a word; the others are seldom anything else.
            before.is_empty() || before.ends_with('_') || end.len() > 3
        })
}

/// Lower case with `_` between words, whether they were parted by `-`, `.` or a capital letter.
fn normal(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut lower_before = false;
    for character in name.trim_start_matches('-').chars() {
        if character.is_ascii_uppercase() && lower_before {
            out.push('_');
        }
        lower_before = character.is_ascii_lowercase() || character.is_ascii_digit();
        out.push(match character {
            '-' | '.' | ' ' => '_',
            other => other.to_ascii_lowercase(),
        });
    }
    out
}

/// Which part of an option's value is the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// `user:password` or `user%password`.
    After(u8),
}

/// An option that takes a credential.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag {
    pub name: &'static str,
    /// Whether the value may follow in the same word, as in `-psecret`.
    pub attached: bool,
    pub part: Part,
}

const fn flag(name: &'static str, attached: bool) -> Flag {
    let part = Part::Whole;
    Flag {
        name,
        attached,
        part,
    }
}

const fn login(name: &'static str, separator: u8, attached: bool) -> Flag {
    let part = Part::After(separator);
    Flag {
        name,
        attached,
        part,
    }
}

const DATABASE: &[Flag] = &[flag("-p", true)];
const CURL: &[Flag] = &[
    login("-u", b':', true),
    login("--user", b':', false),
    login("-U", b':', true),
    login("--proxy-user", b':', false),
    flag("-b", true),
];
const REDIS: &[Flag] = &[flag("-a", false)];
const SAMBA: &[Flag] = &[login("-U", b'%', true), login("--user", b'%', false)];
const LDAP: &[Flag] = &[flag("-w", true)];
const CAPITAL: &[Flag] = &[flag("-P", true)];
const OPENSSL: &[Flag] = &[flag("-k", false), flag("-K", false)];

/// What a miner's options mean: `-pool` is an option of its own, so nothing is attached.
pub(super) const MINER: &[Flag] = &[flag("-p", false)];

/// The options by which a program takes credentials, known by the program's own name. `login` is a
/// subcommand of docker, podman, helm and az alike, and `-p` means a port elsewhere in them.
pub(super) fn flags_of(program: &str) -> Option<&'static [Flag]> {
    Some(match program {
        "mysql" | "mysqldump" | "mysqladmin" | "mysqlimport" | "mysqlcheck" | "mysqlshow"
        | "mysqlsh" | "mysqlbinlog" | "mariadb" | "mariadb-dump" | "mariadb-admin" | "sshpass"
        | "mongo" | "mongosh" | "mongodump" | "mongorestore" | "mongoexport" | "mongoimport"
        | "7z" | "7za" | "7zr" | "login" => DATABASE,
        "curl" => CURL,
        "redis-cli" | "valkey-cli" => REDIS,
        "smbclient" | "rpcclient" | "smbget" | "net" => SAMBA,
        "ldapsearch" | "ldapadd" | "ldapmodify" | "ldapdelete" | "ldapwhoami" | "ldappasswd" => {
            LDAP
        }
        "sqlcmd" | "bcp" | "zip" | "unzip" => CAPITAL,
        "openssl" => OPENSSL,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn names_of_credentials() {
        for name in [
            "--password",
            "PGPASSWORD",
            "db.password",
            "-Dspring.datasource.password",
            "storePass",
            "GITHUB_TOKEN",
            "--token",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "--pass",
            "API-KEY",
            "x-api-key",
            "apiKey",
            "client_secret",
            "Authorization",
            "Cookie",
            "-passin",
            "MYSQL_PWD",
            "accessToken",
            "REDIS_PW",
            "-epsw",
            "DBPASS",
            "JUPYTERHUB_API_TOKEN",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }

    #[test]
    fn names_of_other_things() {
        for name in [
            "--max-tokens",
            "--tokenizer",
            "--password-stdin",
            "--token-file",
            "AWS_ACCESS_KEY_ID",
            "--key",
            "--bypass",
            "compass",
            "--passive",
            "PATH",
            "--pat-h",
            "--port",
            "--user",
            "--wallet",
            "secret_name",
            "--num-tokens",
            "KEY",
            "--pool",
            "--url",
            "--format",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
