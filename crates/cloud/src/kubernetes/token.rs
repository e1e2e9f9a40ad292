//! The token by which an EKS cluster knows an AWS principal: a signed question to STS, "who am I",
//! which the cluster asks in our name (aws-iam-authenticator, "API authorization from outside a
//! cluster").

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningError, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use davylamp_model::ids::{ClusterName, Region};

use crate::aws::session::{describe, partition};
use crate::secrets::Secret;

/// How long the signature is valid for.
const SIGNATURE_VALID: Duration = Duration::from_secs(60);
/// A cluster takes a token for 15 minutes after it was signed; it is made anew before that.
pub(super) const TOKEN_USED_FOR: Duration = Duration::from_secs(13 * 60);
/// The header that ties a token to one cluster.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";
const PREFIX: &str = "k8s-aws-v1.";

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[error("no token for the cluster can be signed: {why}")]
pub struct TokenError {
    why: String,
}

/// Makes a token for a cluster.
pub(super) fn token(
    cluster: &ClusterName,
    region: &Region,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<Secret, TokenError> {
    let failed = |why: &(dyn std::error::Error + 'static)| TokenError { why: describe(why) };
    let suffix = match partition(region) {
        "aws-cn" => "amazonaws.com.cn",
        _ => "amazonaws.com",
    };
    let url = format!("https://sts.{region}.{suffix}/?Action=GetCallerIdentity&Version=2011-06-15");
    let identity = credentials.clone().into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(SIGNATURE_VALID);
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_str())
        .name("sts")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let signed = |error: SigningError| failed(&error);
    let request = SignableRequest::new(
        "GET",
        url.as_str(),
        std::iter::once((CLUSTER_HEADER, cluster.as_str())),
        SignableBody::Bytes(&[]),
    )
    .map_err(signed)?;
    let (instructions, _signature) = sign(request, &params).map_err(signed)?.into_parts();
    let mut presigned = reqwest::Url::parse(&url).map_err(|error| failed(&error))?;
    presigned
        .query_pairs_mut()
        .extend_pairs(instructions.params());
    Ok(Secret::new(format!(
        "{PREFIX}{}",
        URL_SAFE_NO_PAD.encode(presigned.as_str())
    )))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn made(region: &str) -> reqwest::Url {
        let credentials =
            Credentials::new("AKIA1", "s3cret", Some("t+/=".to_owned()), None, "test");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let token = token(&"hub-prod".into(), &region.into(), &credentials, now).unwrap();
        let text = token.expose().strip_prefix(PREFIX).unwrap();
        assert!(!text.contains('='), "the padding is left out");
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        reqwest::Url::parse(std::str::from_utf8(&bytes).unwrap()).unwrap()
    }

    #[test]
    fn a_token_is_a_signed_question_tied_to_one_cluster() {
        let url = made("eu-central-1");
        assert_eq!(url.host_str(), Some("sts.eu-central-1.amazonaws.com"));
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(query["Action"], "GetCallerIdentity");
        assert_eq!(query["X-Amz-Expires"], "60");
        assert_eq!(query["X-Amz-SignedHeaders"], "host;x-k8s-aws-id");
        assert_eq!(query["X-Amz-Date"], "20231114T221320Z");
        assert_eq!(query["X-Amz-Security-Token"], "t+/=");
        assert_eq!(
            query["X-Amz-Credential"],
            "AKIA1/20231114/eu-central-1/sts/aws4_request"
        );
        assert_eq!(query["X-Amz-Signature"].len(), 64);
        assert_eq!(
            made("cn-north-1").host_str(),
            Some("sts.cn-north-1.amazonaws.com.cn")
        );
    }
}
