//! Mail through SES and topics of SNS, against moto.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use davylamp_testkit::faults::{Fault, FaultProxy, Rule, Schedule};
use davylamp_testkit::moto::{Moto, MotoAccount};

use super::*;

const REGION: &str = "eu-central-1";

fn setup(schedule: Schedule) -> (FaultProxy, MotoAccount, SdkConfig) {
    let moto = Moto::shared();
    let proxy = FaultProxy::start(&moto.endpoint(), schedule);
    let account = moto.account().through(proxy.endpoint());
    let (key, secret, token) = account.credentials();
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(aws_config::Region::new(REGION))
        .endpoint_url(proxy.endpoint())
        .http_client(http)
        .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
            aws_smithy_async::rt::sleep::TokioSleep::new(),
        ))
        .credentials_provider(
            aws_credential_types::provider::SharedCredentialsProvider::new(Credentials::new(
                key,
                secret,
                Some(token.to_owned()),
                None,
                "test",
            )),
        )
        .build();
    (proxy, account, config)
}

#[tokio::test]
async fn ses_sends_text_and_html_from_a_verified_sender_only() {
    let (proxy, account, config) = setup(Schedule::clean());
    let to = vec!["admins@example.org".to_owned()];
    let channel = Ses::new(&config, "davylamp@example.org", to, Vec::new()).expect("good");
    let error = channel.send(&hostile()).await.expect_err("not verified");
    assert!(
        matches!(error, davylamp_notice::SendError::Refused { .. }),
        "{error}"
    );
    let identity = r#"{"EmailIdentity": "davylamp@example.org"}"#;
    account
        .rest(REGION, "ses", "POST", "/v2/email/identities", identity)
        .expect("moto knows identities");
    let verify = [
        ("Action", "VerifyEmailIdentity"),
        ("Version", "2010-12-01"),
        ("EmailAddress", "davylamp@example.org"),
    ];
    account
        .query(REGION, "ses", &verify)
        .expect("moto verifies");
    channel.send(&hostile()).await.expect("it is sent");
    let calls = proxy.calls_of("ses", "SendEmail");
    let sent: serde_json::Value =
        serde_json::from_str(&calls.last().expect("a call").body).expect("JSON");
    assert_eq!(sent["Destination"]["ToAddresses"][0], "admins@example.org");
    let simple = &sent["Content"]["Simple"];
    assert_eq!(simple["Subject"]["Data"], subject(&hostile()));
    assert_eq!(simple["Body"]["Text"]["Data"], to_text(&hostile()));
    assert_eq!(simple["Body"]["Html"]["Data"], to_html(&hostile()));
}

#[tokio::test]
async fn a_topic_gets_it_after_throttling() {
    // The SDK itself tries three times; a fourth try is ours.
    let throttled = Rule::new("sns", "Publish", Fault::Throttle).times(3);
    let (proxy, account, config) = setup(Schedule::rules([throttled]));
    let made = account
        .query(
            REGION,
            "sns",
            &[
                ("Action", "CreateTopic"),
                ("Version", "2010-03-31"),
                ("Name", "notices"),
            ],
        )
        .expect("moto makes topics");
    let (_, rest) = made.split_once("<TopicArn>").expect("an ARN");
    let (topic, _) = rest.split_once('<').expect("an end");
    let delivery = deliver(&Sns::new(&config, topic), &hostile(), quick()).await;
    assert_eq!(delivery.result, Ok(()));
    let calls = proxy.calls_of("sns", "Publish");
    assert_eq!(calls.last().and_then(|call| call.status), Some(200));
    assert_eq!(calls.len(), 4);
}

#[tokio::test]
async fn what_is_not_allowed_is_said_so() {
    let denied = Fault::Error {
        status: 403,
        code: "AuthorizationError".to_owned(),
        message: "not authorized to perform sns:Publish".to_owned(),
    };
    let (proxy, _, config) = setup(Schedule::rules([Rule::new("sns", "Publish", denied)]));
    let channel = Sns::new(&config, "arn:aws:sns:eu-central-1:123456789012:notices");
    let delivery = deliver(&channel, &hostile(), quick()).await;
    assert_eq!(delivery.tries, 1);
    assert!(
        matches!(delivery.result, Err(ActError::Denied { .. })),
        "{delivery:?}"
    );
    assert_eq!(proxy.calls_of("sns", "Publish").len(), 1);
}
