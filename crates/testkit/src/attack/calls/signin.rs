//! Signing in at the console.

use serde_json::{Value, json};

use crate::attack::calendar::iso;
use crate::attack::event::Call;
use crate::attack::world::{Effect, Thing};

/// Somebody signs in.
pub fn console_login(has_mfa: bool) -> Call {
    Call {
        additional: json!({
            "LoginTo": "https://console.aws.amazon.com/console/home?hashArgs=%23&isauthcode=true&state=hashArgsFromTB_us-east-1",
            "MobileVersion": "No",
            "MFAUsed": if has_mfa { "Yes" } else { "No" },
        }),
        kind: "AwsConsoleSignIn",
        ..Call::new("signin", "ConsoleLogin", Value::Null)
    }
    .answered(json!({"ConsoleLogin": "Success"}))
}

/// A user signs in, which IAM remembers.
pub fn user_login(account: &str, user: &str, has_mfa: bool, at: i64) -> Call {
    console_login(has_mfa).changing(Effect::Patch(
        Thing::global(account, "user", user),
        json!({"PasswordLastUsed": iso(at)}),
    ))
}

/// A password was wrong.
pub fn failed_login() -> Call {
    let mut call = console_login(false);
    call.error = Some(("Failed authentication", String::new()));
    call.response = json!({"ConsoleLogin": "Failure"});
    call
}
