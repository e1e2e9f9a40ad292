//! Logs of two accounts over some days, the same for the same seed: mostly ordinary calls and flows,
//! with a few that hunts look for.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use super::Amounts;

/// Records in an object: about what AWS delivers in five minutes from a busy account.
const EVENTS_IN_OBJECT: u64 = 1_000;
const LINES_IN_OBJECT: u64 = 20_000;

const FIRST_SECOND: u64 = 1_772_323_200;
const DAY_SECS: u64 = 86_400;
const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];
const REGIONS: [&str; 4] = ["us-east-1", "us-west-2", "eu-central-1", "ap-southeast-2"];

/// Service, action and how often of a hundred.
const CALLS: &[(&str, &str, u64)] = &[
    ("sts", "AssumeRole", 22),
    ("ec2", "DescribeInstances", 14),
    ("kms", "Decrypt", 14),
    ("s3", "GetBucketAcl", 10),
    ("ec2", "DescribeVolumes", 8),
    ("logs", "CreateLogStream", 8),
    ("monitoring", "DescribeAlarms", 6),
    ("ssm", "UpdateInstanceInformation", 6),
    ("iam", "GetRole", 4),
    ("ecr", "BatchGetImage", 4),
    ("ec2", "RunInstances", 2),
    ("ec2", "TerminateInstances", 2),
];

/// The key of the rare calls, of the form of AWS's own examples.
pub const RARE_KEY: &str = "AKIAIOSFODNN7EXAMPLE";

/// Numbers without a pattern, by Sebastiano Vigna's SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn id(&mut self) -> String {
        let (high, low) = (self.roll(u64::MAX), self.roll(u64::MAX));
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }
}

/// Writes logs below a folder.
///
/// # Errors
/// When a file cannot be written.
pub fn generate(folder: &Path, amounts: &Amounts) -> io::Result<()> {
    let mut dice = Dice(amounts.seed);
    trail(folder, amounts, &mut dice)?;
    flows(
        folder,
        "AWSLogs",
        amounts.flows,
        amounts.days,
        &mut dice,
        false,
    )?;
    flows(
        folder,
        "custom",
        amounts.custom,
        amounts.days,
        &mut dice,
        true,
    )?;
    queries(folder, amounts, &mut dice)?;
    findings(folder, amounts, &mut dice)
}

struct Place {
    account: &'static str,
    region: &'static str,
    day: u64,
    second: u64,
    number: u64,
}

/// The objects that so many records fill: where each belongs and how many it holds.
fn objects(records: u64, each: u64, days: u64) -> impl Iterator<Item = (Place, u64)> {
    let count = records.div_ceil(each).max(1);
    (0..count).map(move |number| {
        let day = number * days / count;
        let within = number - day * count / days;
        let in_day = (count / days).max(1);
        let place = Place {
            account: ACCOUNTS[(number % 2) as usize],
            region: REGIONS[(number / 2 % 4) as usize],
            day,
            second: FIRST_SECOND
                + day * DAY_SECS
                + (within * DAY_SECS / in_day).min(DAY_SECS - 300),
            number,
        };
        (place, each.min(records - number * each))
    })
}

fn write(
    folder: &Path,
    root: &str,
    service: &str,
    place: &Place,
    ending: &str,
    text: &str,
) -> io::Result<()> {
    let day = place.day + 1;
    let Place {
        account,
        region,
        number,
        ..
    } = place;
    let folder: PathBuf = folder.join(format!(
        "{root}/{account}/{service}/{region}/2026/03/{day:02}"
    ));
    fs::create_dir_all(&folder)?;
    let name = format!("{account}_{service}_{region}_202603{day:02}T0000Z_{number:06}.{ending}.gz");
    let mut encoder = GzEncoder::new(fs::File::create(folder.join(name))?, Compression::default());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()?;
    Ok(())
}

fn said(second: u64) -> String {
    Timestamp::from_second(second as i64)
        .unwrap_or_default()
        .to_string()
}

fn trail(folder: &Path, amounts: &Amounts, dice: &mut Dice) -> io::Result<()> {
    for (place, count) in objects(amounts.events, EVENTS_IN_OBJECT, amounts.days) {
        let mut text = String::from("{\"Records\":[");
        for at in 0..count {
            if at > 0 {
                text.push(',');
            }
            // Once in about a hundred objects somebody does what hunts look for.
            let is_rare = at == 7 && place.number % 97 == 5;
            event(
                &mut text,
                &place,
                place.second + at * 300 / count,
                is_rare,
                dice,
            );
        }
        text.push_str("]}");
        write(folder, "AWSLogs", "CloudTrail", &place, "json", &text)?;
    }
    Ok(())
}

fn event(text: &mut String, place: &Place, second: u64, is_rare: bool, dice: &mut Dice) {
    let Place {
        account, region, ..
    } = place;
    let mut left = dice.roll(100);
    let mut call = CALLS[0];
    for one in CALLS {
        call = *one;
        if left < one.2 {
            break;
        }
        left -= one.2;
    }
    let (service, name, _) = if is_rare {
        ("cloudtrail", "StopLogging", 0)
    } else {
        call
    };
    let user = dice.roll(300);
    let key = format!(
        "ASIA{:016X}",
        user.wrapping_mul(0x9e37_79b9_7f4a) & 0xffff_ffff_ffff
    );
    let key = if is_rare { RARE_KEY.to_owned() } else { key };
    let address = format!("198.51.{}.{}", user % 200, dice.roll(4) + 10);
    let (request, response) = bodies(name, account, dice);
    let error = if dice.roll(20) == 0 {
        "\"errorCode\":\"AccessDenied\",\"errorMessage\":\"User is not authorized to perform this action\","
    } else {
        ""
    };
    // A text cannot fail to take more text.
    let _ = write!(
        text,
        "{{\"eventVersion\":\"1.09\",\"userIdentity\":{{\"type\":\"AssumedRole\",\"principalId\":\"AROA{user:016}:session-{user}\",\
         \"arn\":\"arn:aws:sts::{account}:assumed-role/worker-{role}/session-{user}\",\"accountId\":\"{account}\",\"accessKeyId\":\"{key}\",\
         \"sessionContext\":{{\"sessionIssuer\":{{\"type\":\"Role\",\"principalId\":\"AROA{user:016}\",\"arn\":\"arn:aws:iam::{account}:role/worker-{role}\",\
         \"accountId\":\"{account}\",\"userName\":\"worker-{role}\"}},\"webIdFederationData\":{{}},\"attributes\":{{\"creationDate\":\"{created}\",\
         \"mfaAuthenticated\":\"false\"}}}}}},\"eventTime\":\"{time}\",\"eventSource\":\"{service}.amazonaws.com\",\"eventName\":\"{name}\",\
         \"awsRegion\":\"{region}\",\"sourceIPAddress\":\"{address}\",\"userAgent\":\"aws-sdk-go-v2/1.{minor}.0 os/linux lang/go#1.22.{minor} md/GOOS#linux md/GOARCH#amd64 exec-env/AWS_ECS_FARGATE\",\
         {error}\"requestParameters\":{request},\"responseElements\":{response},\"requestID\":\"{id}\",\"eventID\":\"{event}\",\
         \"readOnly\":true,\"eventType\":\"AwsApiCall\",\"managementEvent\":true,\"recipientAccountId\":\"{account}\",\"eventCategory\":\"Management\",\
         \"tlsDetails\":{{\"tlsVersion\":\"TLSv1.3\",\"cipherSuite\":\"TLS_AES_128_GCM_SHA256\",\"clientProvidedHostHeader\":\"{service}.{region}.amazonaws.com\"}}}}",
        role = user % 40,
        created = said(second - 1000),
        time = said(second),
        minor = user % 30,
        id = dice.id(),
        event = dice.id(),
    );
}

/// Request and response of a call.
fn bodies(name: &str, account: &str, dice: &mut Dice) -> (String, String) {
    let number = dice.roll(5_000);
    match name {
        "AssumeRole" => (
            format!(
                "{{\"roleArn\":\"arn:aws:iam::{account}:role/worker-{}\",\"roleSessionName\":\"session-{number}\",\"durationSeconds\":3600}}",
                number % 40
            ),
            format!(
                "{{\"credentials\":{{\"accessKeyId\":\"ASIA{:016X}\",\"sessionToken\":\"{}{}{}\",\"expiration\":\"Mar 2, 2026, 1:00:00 PM\"}},\
                 \"assumedRoleUser\":{{\"assumedRoleId\":\"AROA{number:016}:session-{number}\",\"arn\":\"arn:aws:sts::{account}:assumed-role/worker/session-{number}\"}}}}",
                dice.roll(u64::MAX),
                dice.id(),
                dice.id(),
                dice.id(),
            ),
        ),
        "Decrypt" => (
            format!(
                "{{\"encryptionContext\":{{\"aws:ebs:id\":\"vol-{number:017x}\"}},\"encryptionAlgorithm\":\"SYMMETRIC_DEFAULT\"}}"
            ),
            "null".to_owned(),
        ),
        "RunInstances" => (
            format!(
                "{{\"instancesSet\":{{\"items\":[{{\"imageId\":\"ami-{number:017x}\",\"minCount\":1,\"maxCount\":1}}]}},\"instanceType\":\"m5.large\",\
                 \"blockDeviceMapping\":{{}},\"monitoring\":{{\"enabled\":false}},\"disableApiTermination\":false,\"clientToken\":\"{}\"}}",
                dice.id()
            ),
            format!(
                "{{\"requestId\":\"{}\",\"reservationId\":\"r-{number:017x}\",\"ownerId\":\"{account}\",\"groupSet\":{{}},\"instancesSet\":{{\"items\":[\
                 {{\"instanceId\":\"i-{number:017x}\",\"imageId\":\"ami-{number:017x}\",\"instanceState\":{{\"code\":0,\"name\":\"pending\"}},\
                 \"privateDnsName\":\"ip-10-0-{a}-{b}.ec2.internal\",\"instanceType\":\"m5.large\",\"placement\":{{\"availabilityZone\":\"us-east-1a\",\"tenancy\":\"default\"}},\
                 \"subnetId\":\"subnet-{number:017x}\",\"vpcId\":\"vpc-0a1b2c3d\",\"privateIpAddress\":\"10.0.{a}.{b}\",\
                 \"networkInterfaceSet\":{{\"items\":[{{\"networkInterfaceId\":\"eni-{number:017x}\",\"status\":\"in-use\",\"sourceDestCheck\":true}}]}}}}]}}}}",
                dice.id(),
                a = number % 200,
                b = number / 200,
            ),
        ),
        "DescribeInstances" | "DescribeVolumes" | "TerminateInstances" => (
            format!(
                "{{\"instancesSet\":{{\"items\":[{{\"instanceId\":\"i-{number:017x}\"}},{{\"instanceId\":\"i-{:017x}\"}}]}},\"filterSet\":{{}}}}",
                number + 1
            ),
            "null".to_owned(),
        ),
        "StopLogging" => (
            format!("{{\"name\":\"arn:aws:cloudtrail:us-east-1:{account}:trail/main\"}}"),
            "null".to_owned(),
        ),
        _ => (
            format!("{{\"name\":\"thing-{number}\",\"note\":\"a \\\"quoted\\\" {{brace\"}}"),
            "null".to_owned(),
        ),
    }
}

fn flows(
    folder: &Path,
    root: &str,
    records: u64,
    days: u64,
    dice: &mut Dice,
    is_custom: bool,
) -> io::Result<()> {
    for (place, count) in objects(records, LINES_IN_OBJECT, days) {
        let mut text = String::from(match is_custom {
            false => {
                "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n"
            }
            true => {
                "vpc-id subnet-id instance-id interface-id account-id type srcaddr dstaddr srcport dstport pkt-srcaddr pkt-dstaddr \
                     protocol bytes packets start end action tcp-flags log-status flow-direction traffic-path pkt-dst-aws-service\n"
            }
        });
        for at in 0..count {
            flow(
                &mut text,
                &place,
                place.second + at * 300 / count,
                dice,
                is_custom,
            );
        }
        write(folder, root, "vpcflowlogs", &place, "log", &text)?;
    }
    Ok(())
}

fn flow(text: &mut String, place: &Place, second: u64, dice: &mut Dice, is_custom: bool) {
    let account = place.account;
    let host = dice.roll(400);
    if dice.roll(200) == 0 && !is_custom {
        let _ = writeln!(
            text,
            "2 {account} eni-{host:017x} - - - - - - - {second} {} - NODATA",
            second + 60
        );
        return;
    }
    let local = format!("10.0.{}.{}", host / 200, host % 200 + 4);
    // A few places have most of the traffic.
    let popular = dice.roll(40) * dice.roll(40);
    let remote = match dice.roll(10) {
        0..4 => format!("10.1.{}.{}", popular / 200, popular % 200 + 4),
        // One host in many mines, at the pace of a miner.
        4 if host == 7 => "163.172.204.219".to_owned(),
        _ => format!("52.{}.{}.{}", popular % 90, popular / 90, popular % 200),
    };
    let (ours, theirs) = (
        32_768 + dice.roll(28_000),
        [443, 443, 443, 80, 53, 5432, 8080, 22][dice.roll(8) as usize],
    );
    let theirs = if remote == "163.172.204.219" {
        3333
    } else {
        theirs
    };
    let packets = dice.roll(60) + 1;
    let bytes = packets * (40 + dice.roll(1_400));
    let is_out = dice.roll(2) == 0;
    let (src, dst, src_port, dst_port) = match is_out {
        true => (&local, &remote, ours, theirs),
        false => (&remote, &local, theirs, ours),
    };
    let end = second + 60;
    let action = if dice.roll(25) == 0 {
        "REJECT"
    } else {
        "ACCEPT"
    };
    let _ = match is_custom {
        false => writeln!(
            text,
            "2 {account} eni-{host:017x} {src} {dst} {src_port} {dst_port} 6 {packets} {bytes} {second} {end} {action} OK"
        ),
        true => {
            let way = if is_out { "egress 8" } else { "ingress -" };
            writeln!(
                text,
                "vpc-0a1b2c3d subnet-0{host:016x} i-{host:017x} eni-{host:017x} {account} IPv4 {src} {dst} {src_port} {dst_port} {src} {dst} \
                 6 {bytes} {packets} {second} {end} {action} 19 OK {way} -"
            )
        }
    };
}

fn queries(folder: &Path, amounts: &Amounts, dice: &mut Dice) -> io::Result<()> {
    for (place, count) in objects(amounts.queries, LINES_IN_OBJECT, amounts.days) {
        let Place {
            account, region, ..
        } = place;
        let mut text = String::new();
        for at in 0..count {
            let (host, name) = (dice.roll(400), dice.roll(2_000));
            let name = match (host, dice.roll(300)) {
                (7, 0) => "eu.2miners.com".to_owned(),
                _ => format!("svc-{name}.shop-{}.example", name % 50),
            };
            let _ = writeln!(
                text,
                "{{\"version\":\"1.100000\",\"account_id\":\"{account}\",\"region\":\"{region}\",\"vpc_id\":\"vpc-0a1b2c3d\",\"query_timestamp\":\"{}\",\
                 \"query_name\":\"{name}.\",\"query_type\":\"A\",\"query_class\":\"IN\",\"rcode\":\"NOERROR\",\
                 \"answers\":[{{\"Rdata\":\"52.1.2.{}\",\"Type\":\"A\",\"Class\":\"IN\"}}],\"srcaddr\":\"10.0.{}.{}\",\"srcport\":\"{}\",\
                 \"transport\":\"UDP\",\"srcids\":{{\"instance\":\"i-{host:017x}\"}}}}",
                said(place.second + at * 300 / count),
                dice.roll(250),
                host / 200,
                host % 200 + 4,
                32_768 + dice.roll(28_000),
            );
        }
        write(folder, "AWSLogs", "vpcdnsquerylogs", &place, "log", &text)?;
    }
    Ok(())
}

fn findings(folder: &Path, amounts: &Amounts, dice: &mut Dice) -> io::Result<()> {
    for (place, count) in objects(amounts.findings, EVENTS_IN_OBJECT, amounts.days) {
        let Place {
            account, region, ..
        } = place;
        let mut text = String::new();
        for at in 0..count {
            let host = dice.roll(400);
            let kind = [
                "CryptoCurrency:EC2/BitcoinTool.B!DNS",
                "Recon:EC2/PortProbeUnprotectedPort",
            ][usize::from(!host.is_multiple_of(5))];
            let time = said(place.second + at * 300 / count);
            let _ = writeln!(
                text,
                "{{\"schemaVersion\":\"2.0\",\"accountId\":\"{account}\",\"region\":\"{region}\",\"id\":\"{}\",\"type\":\"{kind}\",\
                 \"resource\":{{\"resourceType\":\"Instance\",\"instanceDetails\":{{\"instanceId\":\"i-{host:017x}\",\"instanceType\":\"m5.large\"}}}},\
                 \"service\":{{\"detectorId\":\"0a\",\"archived\":false,\"count\":{},\"eventFirstSeen\":\"{time}\",\"eventLastSeen\":\"{time}\",\
                 \"action\":{{\"actionType\":\"DNS_REQUEST\",\"dnsRequestAction\":{{\"domain\":\"pool.example\"}}}}}},\
                 \"severity\":8,\"createdAt\":\"{time}\",\"updatedAt\":\"{time}\",\"title\":\"a title\"}}",
                dice.id(),
                dice.roll(9) + 1,
            );
        }
        write(folder, "AWSLogs", "GuardDuty", &place, "jsonl", &text)?;
    }
    Ok(())
}
