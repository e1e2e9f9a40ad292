//! What `davy.toml` may say of notices and clocks.

use davylamp_content::settings::{self, Override};

use crate::config::*;

fn load(text: &str, overrides: &[Override]) -> Result<Config, Vec<String>> {
    let tree = settings::load(&[section()], Some(("davy.toml", text)), overrides);
    match tree {
        Ok(tree) => Ok(settings::section(&tree, SECTION)),
        Err(errors) => {
            let said = |error: &settings::ConfigError| {
                let help = miette::Diagnostic::help(error).map(|help| help.to_string());
                format!("{error}: {}", help.unwrap_or_default())
            };
            Err(errors.all().iter().map(said).collect())
        }
    }
}

const GOOD: &str = r#"
[[console.notices.channels]]
name = "chat"
kind = "slack"
address = "file:/etc/davylamp/slack"

[[console.notices.channels]]
name = "mail"
kind = "smtp"
server = "smtps://davy@mail.example:465"
password = "env:MAIL_PASSWORD"
from = "davylamp@example.org"
to = ["admins@example.org", "oncall@example.org"]
per_hour = 10

[[console.notices.routes]]
severity = "high"
what = ["opened", "missed-kill"]
channels = ["chat", "mail"]

[[console.notices.people]]
name = "ada"
mail = "ada@example.org"
lead = "grace"

[[console.escalation]]
to = "lead"

[[console.escalation]]
after_minutes = 60
to = "grace"
"#;

#[test]
fn channels_routes_people_and_steps_are_lists_of_tables() {
    let config = load(GOOD, &[]).expect("it loads");
    let mail = config.notices.channel("mail").expect("a channel");
    assert_eq!(
        (mail.kind, mail.to.len(), mail.per_hour),
        (Kind::Smtp, 2, 10)
    );
    assert_eq!(config.notices.routes[0].channels, ["chat", "mail"]);
    let ada = config.notices.person("ada").expect("a person");
    assert_eq!(
        (ada.by(Kind::Ses), ada.by(Kind::Slack)),
        (Some("ada@example.org"), None)
    );
    assert_eq!(config.escalation[1].after_minutes, 60);
    // An override replaces a whole list.
    let override_ = Override::set(r#"console.notices.routes=[{channels = ["chat"]}]"#);
    let config = load(GOOD, &[override_]).expect("it loads");
    assert_eq!(config.notices.routes.len(), 1);
    assert!(config.notices.routes[0].what.is_empty());
}

#[test]
fn each_fault_is_told_where_it_is() {
    for (text, fault) in [
        (
            "channels = 1",
            "`console.notices.channels` takes a list of tables, not a number",
        ),
        (
            "channels = [1]",
            "`console.notices.channels` takes a list of tables, not a number",
        ),
        (
            "[[console.notices.channels]]\nnane = \"x\"",
            "unknown key `nane` in [console.notices.channels]: did you mean `name`?",
        ),
        (
            "[[console.notices.channels]]\nper_hour = \"x\"",
            "`console.notices.channels.per_hour` takes a whole number, not text",
        ),
        (
            "[[console.notices.channels]]\nper_hour = 9999",
            "`console.notices.channels.per_hour` is 9999, outside 0 to 3600 notices an hour",
        ),
        (
            "[[console.notices.channels]]\nname = \"x\"\naddress = \"https://hooks.example/x\"",
            "name where the secret is, never the secret",
        ),
        (
            "[[console.notices.channels]]\nname = \"x\"",
            "the channel `x` has no `address`",
        ),
        (
            "[[console.notices.channels]]\nname = \"x\"\nkind = \"irc\"",
            "write smtp, ses, slack, pagerduty, teams or webhook",
        ),
        (
            "[[console.notices.channels]]\nname = \"x\"\nkind = \"pagerduty\"\nendpoint = \"http://pager.example\"",
            "write an https:// address",
        ),
        (
            "[[console.notices.channels]]\nname = \"x\"\nserver = \"smtps://u:password@mail.example\"",
            "without a password",
        ),
        (
            "[[console.notices.routes]]\nwhat = [\"opend\"]",
            "docs/notices.md lists what can happen",
        ),
        (
            "[[console.notices.routes]]\nchannels = [\"none\"]",
            "a route leads to `none`, which is no channel",
        ),
        (
            "[[console.notices.routes]]\nto = \"owner\"",
            "a route leads to no channel",
        ),
        (
            "[[console.escalation]]\nafter_minutes = 1",
            "a step of the escalation goes to nobody",
        ),
        (
            "[[console.escalation]]\nto = \"a\"\n[[console.escalation]]\nto = \"a\"",
            "two steps of the escalation go to `a`",
        ),
    ] {
        let text = match text.starts_with('[') {
            true => text.to_owned(),
            false => format!("[console.notices]\n{text}"),
        };
        let faults = load(&text, &[]).expect_err(&text);
        assert!(
            faults.iter().any(|said| said.contains(fault)),
            "{text}: {faults:?}"
        );
    }
}
