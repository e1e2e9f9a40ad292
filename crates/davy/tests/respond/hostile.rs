//! What an attacker writes comes out as text.

use serde_json::json;

use crate::finding::{bare, event, mining};
use crate::ground::Ground;

const EVIL: &str = "<script>x</script>\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\r\nBcc: all@example.org";

#[test]
fn no_value_of_a_finding_moves_the_cursor_or_becomes_markup() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    ground.tag(
        &machine.volumes[1],
        "kubernetes.io/created-for/pvc/name",
        "claim-<b>e",
    );
    let mut finding = mining(&ground.account.id, "one", &machine.id);
    finding["title"] = json!(EVIL);
    finding["description"] = json!(EVIL);
    finding["service"]["action"]["dnsRequestAction"]["domain"] = json!(EVIL);
    let finding = ground.save("f.json", &event(&finding));
    for args in [
        vec!["plan", "--finding", &finding, "--output", "json"],
        vec!["plan", "--finding", &finding],
        vec!["--finding", &finding],
    ] {
        let ran = ground.davy(&args);
        for text in [&ran.out, &ran.err] {
            let bad = |letter: char| letter.is_control() && letter != '\n' || letter == '\u{202e}';
            assert!(!text.contains(bad), "{text:?}");
        }
    }
    let mails = ground.mail.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["admins@example.org"]);
    for header in mails[0].headers() {
        assert!(!header.to_ascii_lowercase().starts_with("bcc"), "{header}");
    }
    let (_, html) = mails[0].text.split_once("text/html").expect("two forms");
    assert!(
        !html.contains("<script") && html.contains("&lt;script"),
        "{html}"
    );
    for bad in ["\u{1b}", "\u{7}", "\u{202e}"] {
        assert!(!mails[0].text.contains(bad), "{bad:?}: {}", mails[0].text);
    }
    let listed = ground.davy(&["status"]);
    assert!(!listed.out.contains('\u{1b}'), "{:?}", listed.out);
}

#[test]
fn samples_archived_unknown_and_half_empty_findings_are_reported_and_never_acted_on() {
    let ground = Ground::new();
    let machine = ground.node(&["alice"]);
    let account = &ground.account.id;
    let mut sample = mining(account, "sample", "i-99999999");
    sample["service"]["additionalInfo"] = json!({"sample": true});
    let mut archived = mining(account, "archived", &machine.id);
    archived["service"]["archived"] = json!(true);
    let unknown = bare(
        account,
        "unknown",
        "Novelty:EC2/NeverHeardOf.Z",
        &machine.id,
    );
    let mut half = mining(account, "half", &machine.id);
    half["resource"] = json!({"resourceType": "Instance", "instanceDetails": null});
    // Of whose account it is nobody knows: a machine of that name here may be another.
    let mut nowhere = mining(account, "nowhere", &machine.id);
    for member in ["accountId", "arn"] {
        nowhere.as_object_mut().expect("an object").remove(member);
    }
    let mut unsaid = mining(account, "unsaid", &machine.id);
    unsaid["service"] = json!(null);
    for (name, finding) in [
        ("nowhere", nowhere),
        ("unsaid", unsaid),
        ("sample", sample),
        ("archived", archived),
        ("unknown", unknown),
        ("half", half),
    ] {
        let path = ground.save(name, &finding);
        let ran = ground.davy(&["--finding", &path]);
        assert!(ran.code == 1 || ran.code == 2, "{name}: {ran:#?}");
        let writes = ground.writes();
        assert!(writes.is_empty(), "{name}: {writes:?}");
        assert!(!ran.out.is_empty(), "{name}: {ran:#?}");
    }
    assert_eq!(ground.state(&machine.id), "running");
    assert!(ground.portal.hooks().is_empty());
}

#[test]
fn what_cannot_be_understood_ends_with_two_and_says_where() {
    let ground = Ground::new();
    for text in ["{\"detail\": {\"type\":", "\0\0\0", "[1, 2, 3]", "null"] {
        let ran = ground.davy_reading(&["--finding", "-"], text.as_bytes());
        let ran = ran.ended(2);
        assert!(!ran.out.is_empty() || !ran.err.is_empty(), "{text:?}");
    }
}
