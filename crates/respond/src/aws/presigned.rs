//! The address by which EC2 itself fetches an encrypted snapshot from another region.
//!
//! CopySnapshot of an encrypted snapshot takes a second, signed request beside its own: the same
//! call, for the region of the source. The Rust SDK does not make it.
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopySnapshot.html>

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use davylamp_model::ids::Region;

use super::failure;
use crate::actuator::ActError;

/// The version of EC2's interface.
const VERSION: &str = "2016-11-15";
/// How long EC2 may take to use it.
const VALID: Duration = Duration::from_secs(3600);

/// The signed address. `config` is of the account and region that copies.
pub(super) async fn copy_snapshot(
    config: &SdkConfig,
    source: &Region,
    destination: &Region,
    snapshot: &str,
    kms_key: &str,
) -> Result<String, ActError> {
    let call = "ec2:CopySnapshot";
    let credentials = config
        .credentials_provider()
        .ok_or_else(|| failure::refused(call, "there are no credentials to sign with"))?
        .provide_credentials()
        .await
        .map_err(|error| failure::transient(call, error.to_string()))?;
    let identity = credentials.into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(VALID);
    let refused = |why: String| failure::refused(call, format!("it cannot be signed: {why}"));
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(source.as_str())
        .name("ec2")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .map_err(|error| refused(error.to_string()))?
        .into();
    let domain = if source.as_str().starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    let mut url = format!("https://ec2.{source}.{domain}/?Action=CopySnapshot&Version={VERSION}");
    for (name, value) in [
        ("SourceRegion", source.as_str()),
        ("SourceSnapshotId", snapshot),
        ("DestinationRegion", destination.as_str()),
        ("Encrypted", "true"),
        ("KmsKeyId", kms_key),
    ] {
        append(&mut url, name, value);
    }
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))
        .map_err(|error| refused(error.to_string()))?;
    let (signed, _) = sign(request, &params)
        .map_err(|error| refused(error.to_string()))?
        .into_parts();
    for (name, value) in signed.params() {
        append(&mut url, name, value);
    }
    Ok(url)
}

/// Everything but unreserved characters is encoded, as RFC 3986 and the signature want it.
fn append(url: &mut String, name: &str, value: &str) {
    url.push('&');
    url.push_str(name);
    url.push('=');
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;

    use super::*;

    #[tokio::test]
    async fn the_address_names_both_regions_and_holds_no_secret() {
        let credentials = Credentials::new(
            "AKIATEST",
            "very/secret",
            Some("a+token".to_owned()),
            None,
            "test",
        );
        let config = SdkConfig::builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let (source, destination) = (Region::from("eu-central-1"), Region::from("eu-west-1"));
        let key = "arn:aws:kms:eu-west-1:210987654321:key/1";
        let url = copy_snapshot(&config, &source, &destination, "snap-1", key).await;
        let url = url.expect("an address");
        assert!(url.starts_with("https://ec2.eu-central-1.amazonaws.com/?Action=CopySnapshot&"));
        for part in [
            "&SourceSnapshotId=snap-1&DestinationRegion=eu-west-1&Encrypted=true",
            "&KmsKeyId=arn%3Aaws%3Akms%3Aeu-west-1%3A210987654321%3Akey%2F1",
            "&X-Amz-Expires=3600",
            "&X-Amz-Security-Token=a%2Btoken",
            "&X-Amz-Signature=",
        ] {
            assert!(url.contains(part), "{part} in {url}");
        }
        assert!(!url.contains("secret"), "{url}");
    }
}
