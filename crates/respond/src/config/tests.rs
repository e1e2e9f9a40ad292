use davylamp_content::settings::{self, ConfigErrors, Override};

use super::*;

fn load(text: &str) -> Result<Config, ConfigErrors> {
    settings::load(&[section()], Some(("davy.toml", text)), &[])
        .map(|tree| settings::section(&tree, SECTION))
}

/// The help of the only fault.
fn fault(text: &str) -> String {
    let errors = load(text).expect_err("a fault");
    assert_eq!(errors.all().len(), 1, "{text}: {errors:?}");
    errors.all()[0].trouble().help()
}

#[test]
fn nothing_given_is_the_defaults_and_the_default_policy() {
    let config = load("").expect("the defaults are good");
    assert_eq!(config, Config::default());
    assert_eq!(config.policy(), Policy::default());
}

#[test]
fn a_secret_itself_is_refused_and_its_source_is_taken() {
    assert!(fault("[respond.hub]\ntoken = 'abcdef0123'").contains("never the secret"));
    assert!(fault("[respond.notices]\nslack = 'https://hooks.example'").contains("file:/path"));
    for source in [
        "file:/run/token",
        "env:TOKEN",
        "secretsmanager:arn:aws:x#y",
        "",
    ] {
        load(&format!("[respond.hub]\ntoken = '{source}'")).expect(source);
    }
}

#[test]
fn faults_say_what_to_write_instead() {
    for (text, help) in [
        ("[respond]\ncanary_percent = 101", "0 to 100"),
        ("[respond]\nendpoint_url = 'http://example.com'", "https://"),
        (
            "[respond]\nendpoint_url = 'http://127.0.0.1.example.com'",
            "https://",
        ),
        ("[respond.protect]\naccounts = ['12']", "twelve digits"),
        (
            "[respond.kubernetes]\ncontexts = ['prod']",
            "cluster=context",
        ),
        ("[respond.protect]\ntags = ['']", "protects nothing"),
        ("[respond.protect]\ntags = ['=']", "key=value"),
        ("[respond.journal]\npath = ''", "file's path"),
        ("[respond.journal]\ntable = ''", "table's name"),
        (
            "[respond.evidence]\nforensic_account = '123456789012'",
            "kms_key",
        ),
        ("[respond.notices]\nses = true", "respond.notices.from"),
        (
            "[respond.hub]\nurl = 'https://hub.example.org'",
            "respond.hub.namespaces",
        ),
        (
            "[respond.portal]\nurl = 'https://portal.example.org'",
            "respond.hub.namespaces",
        ),
        ("[respond]\ndebounce_minute = 5", "debounce_minutes"),
        ("[respond]\nregion = 'Ireland'", "eu-west-1"),
        ("[respond]\nrole = 'arn:aws:iam::1:role/x'", "role's name"),
        ("[respond]\nallow_irreversible = ['nonsense']", "delete-pod"),
        (
            "[respond]\nallow_irreversible = ['stop-instance']",
            "can be undone",
        ),
        ("[respond.cognito]\npool = 'users'", "pool's id"),
        ("[respond.notices]\nsns_topic = 'alarms'", "arn:aws:sns"),
        (
            "[respond.notices]\nsns_topic = 'arn:aws:sqs:eu-west-1:123456789012:alarms'",
            "arn:aws:sns",
        ),
        ("[respond.notices]\nfrom = 'davy'", "mail address"),
        ("[respond.evidence]\nkms_key = 'mine'", "arn:aws:kms"),
    ] {
        assert!(fault(text).contains(help), "{text}: {}", fault(text));
    }
}

#[test]
fn overrides_reach_it() {
    let overrides = [
        Override::set("respond.dry_run=true"),
        Override::set("respond.protect.tags=[\"team=prod\", \"keep\"]"),
    ];
    let tree = settings::load(&[section()], None, &overrides).expect("good");
    let config: Config = settings::section(&tree, SECTION);
    assert!(config.dry_run);
    assert_eq!(config.policy().protected.tags, ["team=prod", "keep"]);
}

#[test]
fn the_help_names_every_action_that_may_be_allowed() {
    for name in IRREVERSIBLE {
        assert!(ALLOWABLE.contains(name), "{name}");
        load(&format!("[respond]\nallow_irreversible = ['{name}']")).expect(name);
    }
}
