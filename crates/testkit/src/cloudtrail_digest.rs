//! Trails as CloudTrail delivers them with validation on: log files, and the digests that list them, each signed
//! and naming the one before.
//!
//! The two keys were made for this with `openssl genpkey -algorithm RSA` and protect nothing. Form and
//! signatures: the AWS CloudTrail user guide, "CloudTrail digest file structure" and "Custom implementations of
//! CloudTrail log file integrity validation"; that this is what AWS means is judged by the AWS CLI's own
//! validator, which the tests ask.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A digest is about so long a time.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// PKCS#8 in base64. Test keys, made for this file.
const KEYS: [&str; 2] = [
    "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCjPTCHQcd3M6qGHTjuHGdReLo9JzUyFSBBfpP2rr6SfEJ1XvpC\
     zjQXHQB2xWe1aG2tduh2ePHQ3MF4lcnhHFaTK7m1zFXXp9mpdjCAJrSXkgAyZ43dQuPmbFJl2nWlxExW4jI1uov9MMFfyCou+V6P\
     TFYG/FgmdvUnf5ItQ0IAqyfJHou61onMpusjEa3gI+FZwSHS7fwZ3xBT5HQ4qnIH9kxXj5xckpdLYAg3IoNRuLHQqNU22231PlBK\
     8LLCgz4Qf1EdA3KBXmNtZuZTdkVkzgNpDA+NTxDIUQM81xmMso/SABeg+1BV2oE8p2yzHIegpluIaS+qMWg58t893lrVAgMBAAEC\
     ggEAAevVxwxrz+gDGRz9md/VCiJvnrSiwvojV7dTqn2YBJqtyuUum4atxO/fHNwUl7qo6ne8eK3SZXDpCLBKoKRNaIyv3NyQzhRN\
     qC7vQd2IFpiYo/86rjX7/1mbBqkxj/KQK3LyFavNEKfNlCuuQ2tFRPkoXLYE8Ome17OAAZm0YdRHuEwlm/iZbZnzy2c31wkVK9eW\
     KfB/EbPY7ZgtJgWTB6bxCrE4tmqo+ztuSaeqdorE8PFWxUBCI7ZKGhEpzVcp/vP+mntSnT+lbPe/ZqWOPkc7S6ktphZcRz/36yOW\
     mlpXDSM+QJa8ROvt8eCq//pbJFfe9mPQQtbYslqGRwcpqQKBgQDO/pA04BUGjEnhEoDEeKGWnWTNHWhOIXxKE37EVYiRyc+3SRZy\
     9QaA4/QlsdL6fV2wyZF541PgjlS0qY70zWbRK6J4TCbvVc8b0OnKT0M+pl67evez1661n57zgM5tKd1jZg0w+t0X+2/TdjFr27fh\
     7S3JOrh/wAOA/6jvDCAoNwKBgQDJ4re/B5pT1bMW4/pDJwlqEbzMka4OmH8bn2T/ecsDdXnEhzHkRQRuuSbKCvfgKLCVJcDwQtCM\
     v38Ffxvd34yaqATSPb8pz97uddIsQkcWSY+6BrQd//eiF5OVAlZsBLRnOrsfykxmfU9ltThsKQgCZiK7Jn2UtEQu9fTDpd63UwKB\
     gQDCR02EQzmYvr1swVgYj3xih/GfTtWiV213fVrC3eDjrL4HslKerPlgqhNx+bgioN352wZul34XSp+YPXjOraat9j10mU0F380W\
     t3tnBgQAXliVsLGim3IASAQBWkjlTqDa9WK2MQ6ovrbTi6CRMlUheOI7d6DJTqg7QDoHu6LG+wKBgQCnwP0//hhN2z/iIHPfAvv+\
     qFiCf/bq5+qO0GcDJnf8Gsyg8loRvQvO2YkS0ARivkzk0ic9Pbe/jIwGzDUiq1RRWpYPAQHsw28SJNMMtdIOAfgs8s8OMpjZls+q\
     PPQE8+/X62R8KQRNEYk9EVWeAoZGQApSCszFGPmjL/s/639iQwKBgHssoz/XS9dp43+mcOvUvCRI4fY3Y68rGk6xmJ/XHKFqAVZf\
     UuCUHOG6Pd9Q75hNNfDymVg8ENInAMdzwYkxTZB3Gcr+giu6Ft/zq/VwkJ3NmjwU2Rizgq0Mn6zIhTO8dehOvuT7rpvFJ419RObw\
     rSks7pKgW5pMU+iyvnL3YQcq",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDFNEOGvoWG/4/CJAMVKfboPMkArBWzSMDrLXcVGyA5Ox/WcKVg\
     nuCZf8EmeChnsX23ntMibq7UnvGcHPZKzL/tFqkEbYNhZ5WHDb2ZBNQO+Y/08c1ul94mGEhoLWDl2WVBWwAcuPO62xo5tnmOeqew\
     V2mKnkENZbUYogzs8F3FAB/b4OxevoS/h37qd/gl1QWrNujroRa64frZSE1aL4PBJNZD2mbEMX7mRgsKHOn0xI0dF/lZgbrHG/Oh\
     7oujcEbMXu1UrgcHLT/0lDDme6Ey8oOMoMKqpBxCgL8nsyNL8jds6+z6sRZK+MsbuUHuj2/9Xo4e7Bu8ZfZ8lyrZ0ZKjAgMBAAEC\
     ggEAMJFNGifdAeD5+lHdMn6p0Qt7Y39+Pq/p12HUpK2QE5hEoI8Qo8mtPhCxNLS+Gr+jWzAyBpZk13enwI9/du+TSyRcDvubskcN\
     E/xl2ARQ57k945ETy6t6aj5rwsB+T01pux1a2zgPytLAVDtlF5qMpwj4NMwB8Hc+kSkD7uzJ40TUEBP7Z5dMwqn4icCcON6yTvMb\
     PYnk8Q2lZceJnn1yT7754yiYe8Bcx4n3m9z/bCGET8hfOrj97MErOkY7wIRGJ5mhROGu3RtwTTh5+d+gam9+j+c0ZCYsYU4ZvB2v\
     E6TV1rsYFoX2ZukxO1jmgl4hgylKirEyssHojvvXjxiTzQKBgQDzBqXXjTOdBa11ehWNo09oRLgbURl8knbIueTcXSG4OoDzmt4D\
     ydqO7LtkB0dM/Mo+O5Rn/PzVGp3D55ktYDDWcWqaAoz66QzuJCkNLBEy7xO61KzF2BYt214pIATywDVJxVH7aMcvcBU9kHnyn+GY\
     IHxiPCjoiJn2LmM2Xc/gJwKBgQDPu2KRHiuh1haK1c2wwd72oWdFT2UzWXl8sWc92mOk8xljL3IIAtnwRQ775n1X/QO25hIr4ARR\
     4zoOlnkWDYLiRuTdA/fcb4znTo3vU6UB+Zyc9+g++NFAa0Ridp6aeXO1JFK9YubVe0t4WG91EUWl6aubeWNS3G0oMGDhPQeLJQKB\
     gFTgqIFM/o7D0d4qwmZSeERZY9eejoE0gin+ytCv8jvuquTp3MqD8EJkqdn4tM1NqLDtjBp5gDBJeHpYY+Y2JzhuKiYZ5/Ul+e8e\
     T/wavPMGDuT8rE749l4TtKI2XaQOv03Bja153b9SrQhwcjbr4hWImwiQLFVyiBsz/lCZmSWXAoGASj//NkGjdOAyBIPxVomlaWA9\
     qm97i8QigWhjr58c2Luvyl0OFED4p0H33h//k3CzYC+SNS6IPMDMYqR0OWaw7rJKYZlmgds5cQAKCY5LP4555T1TPRbwrGbq9YrS\
     nAJnUkrebCUqvwmn6ycpB54Z1/jSxuq3jsmNFr1cE4Yd6SUCgYEAkO4KZgPjCbEC3dzQFXGfY08B0mdW8MXe8EmiAJHODEsv/q+0\
     a+9HC6wp9pY4dPTw9FTPMsAnBP17UWMeOyxbGNHjO9uVp2DQ45DSax5J/iv25ub7+DOD7MAo/ecj4HsTkQ9468jdyZ0cdURguVCM\
     LUSX1/HH95JgTQO6x9VqHF4=",
];

/// What a digest names the keys by.
const FINGERPRINTS: [&str; 2] = [
    "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "f9e8d7c6b5a49382716f5e4d3c2b1a00",
];

/// Which trail, for which account and region.
#[derive(Debug, Clone)]
pub struct Trail {
    /// The bucket it delivers to.
    pub bucket: String,
    /// What its keys start with, before `AWSLogs`.
    pub prefix: Option<String>,
    /// The organisation, for a trail of one.
    pub organisation: Option<String>,
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The region that the trail is of.
    pub home_region: String,
    /// Its name.
    pub name: String,
    /// Which of the two keys signs.
    pub key: usize,
}

/// An object as it lies in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its bytes: packed by gzip.
    pub body: Vec<u8>,
    /// Its own metadata, without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Whether it is a digest.
    pub is_digest: bool,
}

/// A trail that is delivered, hour after hour.
#[derive(Debug)]
pub struct Delivery {
    /// Which.
    pub trail: Trail,
    /// What was delivered, in its order.
    pub objects: Vec<Object>,
    /// The end of the last hour.
    pub at: Timestamp,
    previous: Option<Previous>,
    files: u64,
}

#[derive(Debug, Clone)]
struct Previous {
    bucket: String,
    key: String,
    hash: String,
    signature: String,
}

impl Trail {
    /// A trail `main` of an account in a region, in a bucket called `logs`.
    pub fn of(account: &str, region: &str) -> Self {
        Self {
            bucket: "logs".to_owned(),
            prefix: None,
            organisation: None,
            account: account.to_owned(),
            region: region.to_owned(),
            home_region: region.to_owned(),
            name: "main".to_owned(),
            key: 0,
        }
    }

    fn folder(&self, service: &str, at: Timestamp) -> String {
        let before = self.prefix.as_ref().map(|it| format!("{it}/"));
        let organisation = self.organisation.as_ref().map(|it| format!("{it}/"));
        format!(
            "{}AWSLogs/{}{}/{service}/{}/{}",
            before.unwrap_or_default(),
            organisation.unwrap_or_default(),
            self.account,
            self.region,
            at.strftime("%Y/%m/%d"),
        )
    }
}

impl Delivery {
    /// One that begins at a moment.
    pub fn new(trail: Trail, at: Timestamp) -> Self {
        Self {
            trail,
            objects: Vec::new(),
            at,
            previous: None,
            files: 0,
        }
    }

    /// An hour with log files of this text, and its digest.
    pub fn hour(&mut self, texts: &[String]) {
        let start = self.at;
        let listed = self.deliver(texts);
        self.at += HOUR;
        let digest = self.digest(start, self.at, listed, None);
        self.previous = Some(digest);
    }

    /// Hours of which no digest is made: the chain begins anew after them. What is delivered meanwhile
    /// is listed by none.
    pub fn unvalidated(&mut self, hours: u32, texts: &[String]) {
        self.deliver(texts);
        self.at += HOUR * i32::try_from(hours).unwrap_or(i32::MAX);
        self.previous = None;
    }

    /// Log files of the last hour that its digest does not list, and the digest that comes later for them.
    pub fn backfill(&mut self, texts: &[String]) {
        self.at -= HOUR;
        let listed = self.deliver(texts);
        let start = self.at;
        self.at += HOUR;
        let kept = self.previous.take();
        self.digest(start, self.at, listed, Some(self.at + HOUR * 30));
        self.previous = kept;
    }

    /// Log files without a digest.
    fn deliver(&mut self, texts: &[String]) -> Vec<Value> {
        let mut listed = Vec::new();
        for (number, text) in (1..).zip(texts) {
            self.files += 1;
            let at = self.at + SignedDuration::from_mins(5 * (number % 12));
            let key = format!(
                "{}/{}_CloudTrail_{}_{}_{:016x}.json.gz",
                self.trail.folder("CloudTrail", at),
                self.trail.account,
                self.trail.region,
                at.strftime("%Y%m%dT%H%MZ"),
                self.files * 0x9e37_79b9,
            );
            listed.push(json!({
                "s3Bucket": self.trail.bucket,
                "s3Object": key,
                "hashValue": hex::encode(Sha256::digest(text)),
                "hashAlgorithm": "SHA-256",
                // Events come late: the oldest is of before the hour.
                "newestEventTime": at.to_string(),
                "oldestEventTime": (at - SignedDuration::from_mins(20)).to_string(),
            }));
            self.objects.push(Object {
                bucket: self.trail.bucket.clone(),
                key,
                body: gzip(text.as_bytes()),
                metadata: BTreeMap::new(),
                is_digest: false,
            });
        }
        listed
    }

    fn digest(
        &mut self,
        start: Timestamp,
        end: Timestamp,
        listed: Vec<Value>,
        backfilled: Option<Timestamp>,
    ) -> Previous {
        let trail = &self.trail;
        let key = format!(
            "{}/{}_CloudTrail-Digest_{}_{}_{}_{}{}.json.gz",
            trail.folder("CloudTrail-Digest", end),
            trail.account,
            trail.region,
            trail.name,
            trail.home_region,
            end.strftime("%Y%m%dT%H%M%SZ"),
            backfilled.map_or("", |_| "_backfill"),
        );
        let previous = self.previous.as_ref();
        let text = json!({
            "awsAccountId": trail.account,
            "digestStartTime": start.to_string(),
            "digestEndTime": end.to_string(),
            "digestS3Bucket": trail.bucket,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": FINGERPRINTS[trail.key],
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": (!listed.is_empty()).then(|| end.to_string()),
            "oldestEventTime": (!listed.is_empty()).then(|| (start - SignedDuration::from_mins(20)).to_string()),
            "previousDigestS3Bucket": previous.map(|it| &it.bucket),
            "previousDigestS3Object": previous.map(|it| &it.key),
            "previousDigestHashValue": previous.map(|it| &it.hash),
            "previousDigestHashAlgorithm": previous.map(|_| "SHA-256"),
            "previousDigestSignature": previous.map(|it| &it.signature),
            "logFiles": listed,
        })
        .to_string();
        let hash = hex::encode(Sha256::digest(&text));
        let before = previous.map_or("null", |it| it.signature.as_str());
        let message = format!("{end}\n{}/{key}\n{hash}\n{before}", trail.bucket);
        let signature = hex::encode(sign(trail.key, message.as_bytes()));
        let mut metadata = BTreeMap::from([
            ("signature".to_owned(), signature.clone()),
            ("signature-algorithm".to_owned(), "SHA256withRSA".to_owned()),
        ]);
        if let Some(at) = backfilled {
            metadata.insert("backfill-generation-timestamp".to_owned(), at.to_string());
        }
        let digest = Previous {
            bucket: trail.bucket.clone(),
            key: key.clone(),
            hash,
            signature,
        };
        self.objects.push(Object {
            bucket: digest.bucket.clone(),
            key,
            body: gzip(text.as_bytes()),
            metadata,
            is_digest: true,
        });
        digest
    }
}

/// What `aws cloudtrail list-public-keys` would print of the keys.
pub fn public_keys() -> Value {
    let keys = KEYS.iter().zip(FINGERPRINTS).map(|(key, fingerprint)| {
        json!({
            "Value": STANDARD.encode(pair(key).public_key()),
            "ValidityStartTime": "2020-01-01T00:00:00Z",
            "ValidityEndTime": "2040-01-01T00:00:00Z",
            "Fingerprint": fingerprint,
        })
    });
    json!({ "PublicKeyList": keys.collect::<Vec<_>>() })
}

/// A log file's text with so many events, of which `name` makes the ids.
pub fn events(name: &str, count: usize, region: &str, account: &str) -> String {
    let records = (0..count).map(|number| {
        let id = hex::encode(Sha256::digest(format!("{name}/{number}")));
        json!({
            "eventVersion": "1.09",
            "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::{account}:user/ada"), "accountId": account},
            "eventTime": "2024-08-01T11:30:00Z",
            "eventSource": "ec2.amazonaws.com",
            "eventName": "DescribeInstances",
            "awsRegion": region,
            "sourceIPAddress": "192.0.2.7",
            "eventID": format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..32]),
            "readOnly": true,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": account,
            "eventCategory": "Management",
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() }).to_string()
}

/// Writes objects into a folder, each at its key; with the metadata's signatures beside digests if asked.
///
/// # Errors
/// When the folder cannot be written to.
pub fn write(objects: &[Object], folder: &Path, has_signatures: bool) -> io::Result<()> {
    for object in objects {
        let path = folder.join(&object.key);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(&path, &object.body)?;
        if let Some(signature) = object.metadata.get("signature").filter(|_| has_signatures) {
            let mut beside = path.into_os_string();
            beside.push(".signature");
            std::fs::write(beside, signature)?;
        }
    }
    Ok(())
}

/// Packs bytes by gzip.
///
/// # Panics
/// Never: memory takes what is written to it.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn sign(key: usize, message: &[u8]) -> Vec<u8> {
    let pair = pair(KEYS[key]);
    let mut signature = vec![0; pair.public().modulus_len()];
    let signed = pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message,
        &mut signature,
    );
    signed.expect("the key signs");
    signature
}

fn pair(key: &str) -> RsaKeyPair {
    let der = STANDARD.decode(key).expect("it is base64");
    RsaKeyPair::from_pkcs8(&der).expect("it is a key")
}
