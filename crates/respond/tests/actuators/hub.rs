//! Against a real JupyterHub.

use davylamp_cloud::secrets::Secret;
use davylamp_model::ids::HubUser;
use davylamp_plan::action::Action;
use davylamp_respond::actuator::{ActError, Checked, Verified};
use davylamp_respond::hub::{HubActuator, HubOptions};
use davylamp_testkit::jupyterhub::Hub;
use serde_json::{Value, json};

use super::drive::{Drive, assert_already, assert_done};

fn actuator(url: &str, token: &str) -> HubActuator {
    HubActuator::new(HubOptions {
        url: url.to_owned(),
        token: Secret::new(token),
        ca_pem: None,
    })
    .expect("a client")
}

fn actions(user: &str) -> [Action; 3] {
    let user = HubUser::from(user);
    [
        Action::StopHubServers { user: user.clone() },
        Action::RevokeHubTokens { user: user.clone() },
        Action::RemoveHubUser { user },
    ]
}

/// The act, until servers that are being stopped have stopped.
async fn act(drive: &Drive<'_>, before: &Value) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while let Err(error) = drive.act(before).await {
        assert!(error.is_transient(), "{error}");
        assert!(tokio::time::Instant::now() < deadline, "{error}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_user_is_stopped_locked_out_and_removed() {
    let hub = Hub::start().await.expect("a Hub");
    let to = actuator(hub.url(), hub.token());
    hub.create_user("bob").await.expect("a bystander");
    let bystander = hub.user_token("bob").await.expect("a token");

    // The second name is what a path, a query and an encoding are made of.
    for user in ["alice", "x%2f..%2e?a=b#c ü"] {
        hub.create_user(user).await.expect(user);
        hub.start_server(user, "").await.expect(user);
        hub.start_server(user, "second").await.expect(user);
        let token = hub.user_token(user).await.expect(user);
        assert!(hub.takes_token(&token).await.expect("an answer"));
        let [stop, revoke, remove] = actions(user).map(|action| Drive::new(&to, action));

        let before = stop.needed().await;
        assert_eq!(before, json!({ "servers": ["", "second"] }));
        assert!(matches!(
            stop.verify(&before).await,
            Ok(Verified::Failed { .. })
        ));
        act(&stop, &before).await;
        act(&stop, &before).await;
        assert_done(&stop.settled(&before).await);
        assert_already(stop.check().await);
        stop.undo(&before).await.expect("nothing to take back");
        stop.undo(&before).await.expect("nothing to take back");

        let before = revoke.needed().await;
        assert!(!before.to_string().contains(&token), "a token was kept");
        act(&revoke, &before).await;
        assert!(!hub.takes_token(&token).await.expect("an answer"));
        act(&revoke, &before).await;
        assert_done(&revoke.settled(&before).await);
        assert_already(revoke.check().await);
        assert!(!revoke.is_reversible() && !remove.is_reversible());

        let before = remove.needed().await;
        assert_eq!(before["user"], json!(user));
        assert_eq!(before["admin"], json!(false));
        assert!(matches!(
            remove.verify(&before).await,
            Ok(Verified::Failed { .. })
        ));
        act(&remove, &before).await;
        act(&remove, &before).await;
        assert_done(&remove.settled(&before).await);
        assert_eq!(hub.user(user).await.expect("an answer"), None);
        for gone in [&stop, &revoke, &remove] {
            assert_already(gone.check().await);
        }
    }
    assert!(hub.takes_token(&bystander).await.expect("an answer"));
}

#[tokio::test]
async fn a_user_with_running_servers_can_be_removed_at_once() {
    let hub = Hub::start().await.expect("a Hub");
    let to = actuator(hub.url(), hub.token());
    hub.create_user("carol").await.expect("created");
    hub.start_server("carol", "named").await.expect("started");
    let [.., remove] = actions("carol").map(|action| Drive::new(&to, action));
    let before = remove.needed().await;
    act(&remove, &before).await;
    assert_done(&remove.settled(&before).await);
}

#[tokio::test]
async fn administrators_are_left_alone_and_no_answer_is_no_success() {
    let hub = Hub::start().await.expect("a Hub");
    let to = actuator(hub.url(), hub.token());
    hub.create_user("dave").await.expect("created");
    for action in actions(Hub::ADMIN) {
        let drive = Drive::new(&to, action);
        let checked = drive.check().await;
        assert!(matches!(&checked, Ok(Checked::Impossible { why }) if why.contains("administers")));
        let acted = drive.act(&Value::Null).await;
        assert!(
            matches!(&acted, Err(ActError::Refused { why, .. }) if why.contains("administers"))
        );
    }
    assert!(hub.user("dave").await.expect("an answer").is_some());
    assert!(hub.user(Hub::ADMIN).await.expect("an answer").is_some());

    for action in actions("Dave") {
        let drive = Drive::new(&to, action);
        assert_already(drive.check().await);
        drive.act(&Value::Null).await.expect("nothing to do");
        assert_done(&drive.settled(&Value::Null).await);
    }
    for action in actions("..") {
        let drive = Drive::new(&to, action);
        assert!(matches!(drive.check().await, Err(ActError::Refused { .. })));
    }

    let stranger = actuator(hub.url(), "not-a-token");
    let user_token = hub.user_token("dave").await.expect("a token");
    let unprivileged = actuator(hub.url(), &user_token);
    for action in actions("bob") {
        for to in [&stranger, &unprivileged] {
            let checked = Drive::new(to, action.clone()).check().await;
            assert!(
                matches!(checked, Err(ActError::Denied { .. })),
                "{checked:?}"
            );
        }
    }

    let url = hub.url().to_owned();
    drop(hub);
    let to = actuator(&url, "any");
    for action in actions("alice") {
        let drive = Drive::new(&to, action);
        for outcome in [
            drive.check().await.map(drop),
            drive.act(&Value::Null).await,
            drive.verify(&Value::Null).await.map(drop),
        ] {
            assert!(
                matches!(outcome, Err(ActError::Transient { .. })),
                "{outcome:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_blocked_user_starts_nothing_until_that_is_taken_back() {
    let hub = Hub::start().await.expect("a Hub");
    let to = actuator(hub.url(), hub.token());
    hub.create_user("erin").await.expect("created");
    hub.create_user("frank").await.expect("created");
    let block = |user: &str, group: &str| Action::BlockHubUser {
        user: HubUser::from(user),
        group: group.to_owned(),
    };
    let drive = Drive::new(&to, block("erin", "blocked"));
    let before = drive.needed().await;
    assert_eq!(before, json!({ "groups": [] }));
    assert!(matches!(
        drive.verify(&before).await,
        Ok(Verified::Failed { .. })
    ));
    act(&drive, &before).await;
    act(&drive, &before).await;
    assert_done(&drive.settled(&before).await);
    assert_already(drive.check().await);
    let refused = hub.start_server("erin", "").await;
    assert!(refused.is_err(), "a blocked user started a server");
    hub.start_server("frank", "").await.expect("others may");
    drive.undo(&before).await.expect("taken back");
    drive.undo(&before).await.expect("taken back");
    hub.start_server("erin", "").await.expect("may again");

    let nowhere = Drive::new(&to, block("erin", "no-such-group"));
    let checked = nowhere.check().await;
    assert!(
        matches!(&checked, Ok(Checked::Impossible { why }) if why.contains("no group")),
        "{checked:?}"
    );
    let admin = Drive::new(&to, block(Hub::ADMIN, "blocked"));
    let checked = admin.check().await;
    assert!(matches!(&checked, Ok(Checked::Impossible { why }) if why.contains("administers")));
    let acted = admin.act(&Value::Null).await;
    assert!(matches!(&acted, Err(ActError::Refused { .. })));
    let missing = Drive::new(&to, block("nobody", "blocked"));
    assert_already(missing.check().await);
    missing.act(&Value::Null).await.expect("nothing to do");
    missing.undo(&before).await.expect("nothing to do");
}
