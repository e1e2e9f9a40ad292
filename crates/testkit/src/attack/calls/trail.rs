//! Logs and sensors are switched off and on.

use serde_json::{Value, json};

use crate::attack::calendar::iso;
use crate::attack::cast::trail_state;
use crate::attack::event::Call;
use crate::attack::regions;
use crate::attack::world::{Effect, Thing};

fn trail(account: &str, name: &str) -> Thing {
    Thing::new(account, regions::HOME, "trail", name)
}

fn arn(account: &str, name: &str) -> String {
    format!(
        "arn:aws:cloudtrail:{}:{account}:trail/{name}",
        regions::HOME
    )
}

/// A trail stops to write.
pub fn stop_logging(account: &str, name: &str, at: i64) -> Call {
    Call::new(
        "cloudtrail",
        "StopLogging",
        json!({"name": arn(account, name)}),
    )
    .changing(Effect::Patch(
        trail(account, name),
        json!({"IsLogging": false, "StopLoggingTime": iso(at)}),
    ))
}

/// A trail writes again.
pub fn start_logging(account: &str, name: &str, at: i64) -> Call {
    Call::new(
        "cloudtrail",
        "StartLogging",
        json!({"name": arn(account, name)}),
    )
    .changing(Effect::Patch(
        trail(account, name),
        json!({"IsLogging": true, "StartLoggingTime": iso(at)}),
    ))
}

/// A trail is deleted.
pub fn delete_trail(account: &str, name: &str) -> Call {
    Call::new(
        "cloudtrail",
        "DeleteTrail",
        json!({"name": arn(account, name)}),
    )
    .changing(Effect::Gone(trail(account, name)))
}

/// A trail is made; it writes once it is started.
pub fn create_trail(account: &str, name: &str, at: i64) -> Call {
    let mut state = trail_state(account, name, at);
    state["IsLogging"] = json!(false);
    Call::new(
        "cloudtrail",
        "CreateTrail",
        json!({
            "name": name,
            "s3BucketName": format!("trail-{account}"),
            "includeGlobalServiceEvents": true,
            "isMultiRegionTrail": true,
            "enableLogFileValidation": true,
            "isOrganizationTrail": false,
        }),
    )
    .answered(json!({
        "name": name,
        "s3BucketName": format!("trail-{account}"),
        "includeGlobalServiceEvents": true,
        "isMultiRegionTrail": true,
        "trailARN": arn(account, name),
        "logFileValidationEnabled": true,
        "isOrganizationTrail": false,
    }))
    .changing(Effect::Put(trail(account, name), state))
}

/// GuardDuty is switched off in a region.
pub fn delete_detector(account: &str, region: &str, detector: &str) -> Call {
    Call::new(
        "guardduty",
        "DeleteDetector",
        json!({"detectorId": detector}),
    )
    .changing(Effect::Gone(Thing::new(
        account,
        region,
        "guardduty-detector",
        detector,
    )))
}

/// The recorder of Config stops.
pub fn stop_configuration_recorder(name: &str) -> Call {
    Call::new(
        "config",
        "StopConfigurationRecorder",
        json!({"configurationRecorderName": name}),
    )
    .answered(Value::Null)
}
