use super::*;
use crate::http::{Request, send};
use crate::moto::Moto;

const REGION: &str = "eu-central-1";

struct Fixture {
    double: GuardDuty,
    detector: String,
}

fn fixture(count: u32) -> Fixture {
    let double = GuardDuty::start("http://127.0.0.1:1");
    let detector = double.detector(REGION);
    for number in 0..count {
        double.add(
            REGION,
            json!({
                "id": format!("f{number:03}"),
                "type": if number % 2 == 0 { "CryptoCurrency:EC2/BitcoinTool.B!DNS" } else { "Recon:EC2/Portscan" },
                "severity": f64::from(number % 10),
                "updatedAt": format!("2026-01-01T00:{:02}:00.000Z", number % 60),
                "service": {"archived": false},
            }),
        );
    }
    Fixture { double, detector }
}

impl Fixture {
    fn post(&self, region: &str, path: &str, body: &Value) -> (u16, Value, Option<String>) {
        let path = format!("/detector/{}/findings{path}", self.detector);
        let request = Request::post(&path, body.to_string()).scope("AKIA", region, "guardduty");
        let address = self.double.endpoint().replace("http://", "");
        let answer = send(&address, &request).expect("an answer");
        let kind = answer.header("x-amzn-errortype").map(str::to_owned);
        let body = serde_json::from_slice(&answer.body).expect("JSON");
        (answer.status, body, kind)
    }

    fn list(&self, body: &Value) -> Vec<String> {
        let (status, answer, _) = self.post(REGION, "", body);
        assert_eq!(status, 200, "{answer}");
        let ids = answer["findingIds"].as_array().expect("ids");
        ids.iter()
            .map(|id| id.as_str().expect("text").to_owned())
            .collect()
    }
}

#[test]
fn criteria_choose_and_sort() {
    let fixture = fixture(12);
    let check = |criterion: Value, expected: &[&str]| {
        let request = json!({
            "findingCriteria": {"criterion": criterion},
            "sortCriteria": {"attributeName": "updatedAt", "orderBy": "DESC"},
        });
        assert_eq!(fixture.list(&request), expected, "{request}");
    };
    check(
        json!({"severity": {"greaterThanOrEqual": 8}}),
        &["f009", "f008"],
    );
    check(
        json!({"type": {"equals": ["Recon:EC2/Portscan"]}, "severity": {"gt": 6}}),
        &["f009", "f007"],
    );
    // 2026-01-01T00:10:00Z
    check(
        json!({"updatedAt": {"gte": 1_767_226_200_000_i64}}),
        &["f011", "f010"],
    );
    check(json!({"service.archived": {"eq": ["true"]}}), &[]);
    check(
        json!({"id": {"neq": ["f001"]}, "severity": {"lt": 2}}),
        &["f011", "f010", "f000"],
    );
    let wrong = json!({"findingCriteria": {"criterion": {"severity": {"about": 3}}}});
    let (status, _, kind) = fixture.post(REGION, "", &wrong);
    assert_eq!(
        (status, kind.as_deref()),
        (400, Some("BadRequestException"))
    );
}

#[test]
fn pages_end_with_an_empty_token() {
    let fixture = fixture(120);
    let mut token = String::new();
    let mut seen = Vec::new();
    for expected in [50, 50, 20] {
        let (_, answer, _) = fixture.post(REGION, "", &json!({"nextToken": token}));
        let ids = answer["findingIds"].as_array().expect("ids").clone();
        assert_eq!(ids.len(), expected);
        seen.extend(ids.iter().map(ToString::to_string));
        token = answer["nextToken"].as_str().expect("a token").to_owned();
    }
    assert_eq!(token, "");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 120);
}

#[test]
fn findings_are_read_and_archived_fifty_at_most() {
    let fixture = fixture(60);
    let (_, answer, _) = fixture.post(REGION, "/get", &json!({"findingIds": ["f001", "gone"]}));
    assert_eq!(answer["findings"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer["findings"][0]["type"], "Recon:EC2/Portscan");
    let many: Vec<String> = (0..51).map(|number| format!("f{number:03}")).collect();
    for path in ["/get", "/archive"] {
        let (status, _, _) = fixture.post(REGION, path, &json!({"findingIds": many}));
        assert_eq!(status, 400);
    }
    fixture.post(REGION, "/archive", &json!({"findingIds": ["f001", "f002"]}));
    assert_eq!(fixture.double.archived(REGION), ["f001", "f002"]);
    fixture.post(REGION, "/unarchive", &json!({"findingIds": ["f001"]}));
    assert_eq!(fixture.double.archived(REGION), ["f002"]);
    let (status, ..) = fixture.post("us-east-1", "/get", &json!({"findingIds": []}));
    assert_eq!(status, 400, "a detector belongs to its region");
}

#[test]
fn what_is_not_its_own_goes_to_moto() {
    let double = GuardDuty::start(&Moto::shared().endpoint());
    let account = Moto::shared().account().through(double.endpoint());
    let identity = account.query(
        REGION,
        "sts",
        &[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")],
    );
    assert!(identity.expect("moto answers").contains(&account.id));
    let detectors = account.rest(REGION, "guardduty", "GET", "/detector", "");
    assert!(detectors.expect("an answer").contains("\"detectorIds\":[]"));
}
