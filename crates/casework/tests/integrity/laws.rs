//! Laws: whatever is altered is found, and any bytes are an error or a value.

use davylamp_casework::integrity::PublicKey;
use davylamp_casework::integrity::lookup::History;
use davylamp_hunt::objects::Scope;
use davylamp_model::verdict::Verdict;
use davylamp_testkit::cloudtrail_digest::{Object, gzip};
use proptest::prelude::*;

use crate::ground::{Dice, check_files, flip, gunzip, trail};

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_byte_that_was_altered_is_found(seed in 0_u64..1000, chosen: prop::sample::Index, at: u64) {
        let delivery = trail(seed);
        let mut objects = delivery.objects.clone();
        let object = chosen.get(&objects).clone();
        let altered = objects.iter_mut().find(|it| it.key == object.key).expect("it is there");
        let mut text = gunzip(&altered.body);
        flip(&mut text, &mut Dice::new(at));
        altered.body = gzip(&text);
        let (checked, _) = check_files(&objects, true, Scope::default());
        let report = checked.report;
        // It may now name a key that nobody has, and then nobody can say.
        let is_keyless = report.faults.iter().any(|it| it.name.ends_with(&object.key));
        prop_assert!(report.verdict != Verdict::Pass && is_keyless, "{:#?}", report);
        if !object.is_digest {
            prop_assert_eq!(report.verdict, Verdict::Fail);
            prop_assert_eq!(report.log_files.fail, 1);
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_a_value(bytes: Vec<u8>, is_packed: bool) {
        let _ = PublicKey::listed(&bytes);
        let _ = History::default().add(&*bytes);
        let key = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2024/08/01/\
                   111122223333_CloudTrail-Digest_eu-west-1_main_eu-west-1_20240801T010000Z.json.gz";
        let object = Object {
            bucket: "logs".to_owned(),
            key: key.to_owned(),
            body: if is_packed { gzip(&bytes) } else { bytes },
            metadata: std::collections::BTreeMap::new(),
            is_digest: true,
        };
        let (checked, _) = check_files(&[object], false, Scope::default());
        prop_assert_ne!(checked.report.verdict, Verdict::Pass);
    }

    #[test]
    fn any_fields_are_an_error_or_a_value(
        fields in prop::collection::vec(("[a-zA-Z0-9]{0,8}|digest(Start|End)Time|digestS3(Bucket|Object)|\
            digestPublicKeyFingerprint|previousDigest(S3Bucket|S3Object|HashValue|Signature)|logFiles",
            "null|[0-9]{1,30}|\"[^\"\\\\\\p{C}]{0,20}\"|\\[\\{\"s3Bucket\":\"\",\"s3Object\":\"[^\"\\\\\\p{C}]{0,9}\",\"hashValue\":\"\"\\}\\]"), 0..12),
    ) {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let key = "111122223333_CloudTrail-Digest_eu-west-1_main_eu-west-1_20240801T010000Z.json.gz";
        let object = Object {
            bucket: "logs".to_owned(),
            key: key.to_owned(),
            body: gzip(format!("{{{}}}", fields.join(",")).as_bytes()),
            metadata: std::collections::BTreeMap::new(),
            is_digest: true,
        };
        let (checked, _) = check_files(&[object], false, Scope::default());
        prop_assert_ne!(checked.report.verdict, Verdict::Pass);
    }
}
