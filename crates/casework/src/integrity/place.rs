//! What the keys of digests and log files say, and whether a path agrees with a key.
//!
//! Source: the AWS CloudTrail user guide, "CloudTrail digest file structure" and "Finding your CloudTrail
//! log files".

use davylamp_hunt::objects::Layout;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// What marks a digest that came late.
const BACKFILL: &str = "_backfill";

/// What a digest's key says of the chain it is of. A trail that is given another bucket goes on with its
/// chain there, so that the bucket says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Series {
    pub organisation: Option<String>,
    pub account: String,
    pub region: String,
    pub trail: Option<String>,
    pub home_region: Option<String>,
    pub is_backfill: bool,
}

/// A digest's series, and the end of its hour.
pub(super) fn of_digest(key: &str) -> Option<(Series, Timestamp)> {
    let (folders, name) = key.rsplit_once('/').unwrap_or(("", key));
    let name = stem(name);
    let (name, is_backfill) = match name.strip_suffix(BACKFILL) {
        Some(name) => (name, true),
        None => (name, false),
    };
    let (account, rest) = name.split_once("_CloudTrail-Digest_")?;
    let (rest, end) = rest.rsplit_once('_')?;
    // A trail's name may hold underscores, and regions hold none.
    let (region, rest) = rest.split_once('_')?;
    let (trail, home_region) = rest.rsplit_once('_')?;
    let laid_out = folders.rsplit_once("AWSLogs/").map_or("", |(_, it)| it);
    let organisation = laid_out.split('/').find(|part| part.starts_with("o-"));
    let series = Series {
        organisation: organisation.map(str::to_owned),
        account: account.to_owned(),
        region: region.to_owned(),
        trail: Some(trail.to_owned()),
        home_region: Some(home_region.to_owned()),
        is_backfill,
    };
    Some((series, stamp(end)?))
}

/// When the log file with this name was delivered: `ACCOUNT_CloudTrail_REGION_20240801T1130Z_….json.gz`.
pub(super) fn delivered(name: &str) -> Option<Timestamp> {
    last(name).split('_').find_map(stamp)
}

/// The last part of a key or path.
pub(super) fn last(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// A name without what says how it is packed, since some programs unpack what they fetch.
pub(super) fn stem(name: &str) -> &str {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.strip_suffix(".json").unwrap_or(name)
}

/// `20240801T1130Z`, or with seconds `20240801T113005Z`.
fn stamp(text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z')?;
    let (day, time) = digits.split_once('T')?;
    let number = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let is_stamp = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'T');
    if !is_stamp || day.len() != 8 || !matches!(time.len(), 4 | 6) {
        return None;
    }
    let small = |text: &str, from: usize, to: usize| i8::try_from(number(text, from, to)?).ok();
    let seconds = if time.len() == 6 {
        small(time, 4, 6)?
    } else {
        0
    };
    let at = DateTime::new(
        number(day, 0, 4)?,
        small(day, 4, 6)?,
        small(day, 6, 8)?,
        small(time, 0, 2)?,
        small(time, 2, 4)?,
        seconds,
        0,
    );
    Some(at.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Whether a path may be where a copy of a bucket keeps this key. It is not where one of its folders
/// says another day, region, account or service than the key's; a folder of the copy's own says
/// nothing.
pub(super) fn agrees(path: &str, key: &str) -> bool {
    let mut path = path.rsplit('/');
    let mut key = key.rsplit('/');
    let (name, wanted) = (path.next().unwrap_or(""), key.next().unwrap_or(""));
    if stem(name) != stem(wanted) {
        return false;
    }
    for (part, wanted) in path.zip(key) {
        if part != wanted {
            return !is_laid_out(part);
        }
    }
    true
}

/// Whether a folder is one of those that AWS lays a bucket out with.
fn is_laid_out(part: &str) -> bool {
    let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let said = Layout::of(&format!("AWSLogs/{part}/"));
    is_number || part == "AWSLogs" || said.table.is_some() || said.region.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_s_key_says_which_chain_it_is_of() {
        let key = "pre/fix/AWSLogs/o-ab12/111122223333/CloudTrail-Digest/eu-west-1/2024/08/01/\
                   111122223333_CloudTrail-Digest_eu-west-1_my_own.trail_us-east-1_20240801T113005Z_backfill.json.gz";
        let (series, end) = of_digest(key).expect("it is one");
        assert_eq!(series.trail.as_deref(), Some("my_own.trail"));
        assert_eq!(series.region, "eu-west-1");
        assert_eq!(series.home_region.as_deref(), Some("us-east-1"));
        assert_eq!(series.organisation.as_deref(), Some("o-ab12"));
        assert!(series.is_backfill);
        assert_eq!(end.to_string(), "2024-08-01T11:30:05Z");
        for other in [
            "",
            "x",
            "1_CloudTrail-Digest_a_b_c_d",
            "1_CloudTrail_eu-west-1_20240801T1130Z_x",
        ] {
            assert_eq!(of_digest(other), None, "{other}");
        }
    }

    #[test]
    fn a_path_agrees_with_a_key_unless_a_folder_contradicts_it() {
        let key = "AWSLogs/111122223333/CloudTrail/eu-west-1/2024/08/01/x.json.gz";
        for (path, expected) in [
            (
                "copy/AWSLogs/111122223333/CloudTrail/eu-west-1/2024/08/01/x.json.gz",
                true,
            ),
            ("copy/eu-west-1/2024/08/01/x.json.gz", true),
            ("copy/2024/08/01/x.json", true),
            ("copy/x.json.gz", true),
            ("the-copy/x.json.gz", true),
            ("x.json.gz", true),
            ("copy/2024/08/02/x.json.gz", false),
            ("copy/eu-west-2/2024/08/01/x.json.gz", false),
            (
                "AWSLogs/444455556666/CloudTrail/eu-west-1/2024/08/01/x.json.gz",
                false,
            ),
            ("copy/2024/08/01/y.json.gz", false),
        ] {
            assert_eq!(agrees(path, key), expected, "{path}");
        }
    }
}
