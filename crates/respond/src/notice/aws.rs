//! Mail by SES, and SNS topics.

use aws_config::SdkConfig;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use davylamp_notice::{
    ChannelError, Notice, Notifier, SendError, Sending, line, smtp, subject, to_fitting_text,
    to_html, to_text,
};

/// SNS takes subjects of at most 100 ASCII characters (API reference, Publish).
const SNS_SUBJECT_CHARS: usize = 100;
/// SNS takes messages of at most 256 KB; some is left for what cutting adds.
const SNS_MESSAGE_BYTES: usize = 256 * 1024 - 128;
/// An error is quoted with so many characters.
const QUOTED_CHARS: usize = 300;
/// SES takes at most 50 recipients in one call (API v2 reference, SendEmail).
const SES_RECIPIENTS: usize = 50;

/// Mail through SES.
#[derive(Debug, Clone)]
pub struct Ses {
    client: aws_sdk_sesv2::Client,
    from: String,
    to: Vec<String>,
    failures_to: Vec<String>,
}

impl Ses {
    /// Mails from `from`, a verified identity, to `to`; failures to `failures_to`, where given.
    pub fn new(
        config: &SdkConfig,
        from: &str,
        to: Vec<String>,
        failures_to: Vec<String>,
    ) -> Result<Self, ChannelError> {
        if to.is_empty() && failures_to.is_empty() {
            return Err(ChannelError::NoRecipient {
                channel: "ses".to_owned(),
            });
        }
        Ok(Self {
            client: aws_sdk_sesv2::Client::new(config),
            from: from.to_owned(),
            to,
            failures_to,
        })
    }

    async fn mail(&self, notice: &Notice, to: &[String]) -> Result<(), SendError> {
        let content = |data: String| {
            Content::builder()
                .charset("UTF-8")
                .data(data)
                .build()
                .map_err(incomplete)
        };
        let header = |name: &str, value: String| {
            MessageHeader::builder()
                .name(name)
                .value(value)
                .build()
                .map_err(incomplete)
        };
        let message = Message::builder()
            .subject(content(subject(notice))?)
            .body(
                Body::builder()
                    .text(content(to_text(notice))?)
                    .html(content(to_html(notice))?)
                    .build(),
            )
            // Nobody's absence is answered to us, and mails of an incident stay together.
            .headers(header("Auto-Submitted", "auto-generated".to_owned())?)
            .headers(header("References", smtp::reference(notice))?)
            .build();
        self.client
            .send_email()
            .from_email_address(&self.from)
            .destination(
                Destination::builder()
                    .set_to_addresses(Some(to.to_vec()))
                    .build(),
            )
            .content(EmailContent::builder().simple(message).build())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classified("ses", "ses:SendEmail", &error))
    }
}

impl Notifier for Ses {
    fn name(&self) -> &str {
        "ses"
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> Sending<'a> {
        Box::pin(async move {
            let to = notice.recipients(&self.to, &self.failures_to);
            for part in to.chunks(SES_RECIPIENTS) {
                self.mail(notice, part).await?;
            }
            Ok(())
        })
    }
}

/// An SNS topic.
#[derive(Debug, Clone)]
pub struct Sns {
    client: aws_sdk_sns::Client,
    topic: String,
}

impl Sns {
    /// The topic with this ARN.
    pub fn new(config: &SdkConfig, topic: &str) -> Self {
        Self {
            client: aws_sdk_sns::Client::new(config),
            topic: topic.to_owned(),
        }
    }
}

impl Notifier for Sns {
    fn name(&self) -> &str {
        "sns"
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> Sending<'a> {
        Box::pin(async move {
            self.client
                .publish()
                .topic_arn(&self.topic)
                .subject(ascii_subject(notice))
                .message(sns_message(notice))
                .send()
                .await
                .map(|_| ())
                .map_err(|error| classified("sns", "sns:Publish", &error))
        })
    }
}

/// The subject as SNS takes it. The whole title is in the message.
pub fn ascii_subject(notice: &Notice) -> String {
    subject(notice)
        .chars()
        .map(|character| if character.is_ascii() { character } else { '?' })
        .take(SNS_SUBJECT_CHARS - 1)
        .collect()
}

/// The message as SNS takes it.
pub fn sns_message(notice: &Notice) -> String {
    let text = to_fitting_text(notice, |text| text.len() <= SNS_MESSAGE_BYTES);
    bounded(&text, SNS_MESSAGE_BYTES)
}

/// At most `max` bytes and some, cut between characters, with the count of what was cut.
fn bounded(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max);
    format!("{}\n… (and {} more bytes)", &text[..end], text.len() - end)
}

fn incomplete(error: aws_smithy_types::error::operation::BuildError) -> SendError {
    SendError::Refused {
        channel: "ses:SendEmail".to_owned(),
        why: format!("this is a bug: {error}"),
    }
}

fn classified<E>(service: &str, call: &str, error: &SdkError<E, HttpResponse>) -> SendError
where
    E: ProvideErrorMetadata,
{
    let SdkError::ServiceError(refusal) = error else {
        return SendError::Transient {
            channel: service.to_owned(),
            why: match error {
                SdkError::TimeoutError(_) => "no answer in time",
                SdkError::ConstructionFailure(_) => "no request could be made",
                _ => "the connection broke",
            }
            .to_owned(),
        };
    };
    let code = refusal.err().code().unwrap_or("?");
    let message = refusal.err().message().unwrap_or_default();
    let why = line(&format!("{code}: {message}"), QUOTED_CHARS);
    let status = refusal.raw().status().as_u16();
    let asks_to_wait = ["Throttl", "TooManyRequests", "LimitExceeded", "SlowDown"]
        .iter()
        .any(|part| code.contains(part));
    if status >= 500 || status == 429 || asks_to_wait {
        SendError::Transient {
            channel: service.to_owned(),
            why,
        }
    } else if code.contains("AccessDenied") || code.contains("AuthorizationError") {
        SendError::Denied {
            call: call.to_owned(),
            why,
        }
    } else {
        SendError::Refused {
            channel: call.to_owned(),
            why,
        }
    }
}
