//! What watches an account, and what bounds it: trails, GuardDuty, Config, quotas.

use aws_sdk_guardduty::operation::get_detector::GetDetectorOutput;
use davylamp_model::recording::Thing;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::each;
use super::state::{Said, list, pages, state, word};
use crate::aws::json::{CLOUDTRAIL, CONFIG, Question, SERVICE_QUOTAS};
use crate::aws::read::{ReadConfig, ReadError};

type Read = Result<Vec<Thing>, ReadError>;

const fn cloudtrail(operation: &'static str, permission: &'static str) -> Question {
    Question {
        service: CLOUDTRAIL,
        operation,
        permission,
    }
}

const DESCRIBE_TRAILS: Question = cloudtrail("DescribeTrails", "cloudtrail:DescribeTrails");
const TRAIL_STATUS: Question = cloudtrail("GetTrailStatus", "cloudtrail:GetTrailStatus");
const EVENT_SELECTORS: Question = cloudtrail("GetEventSelectors", "cloudtrail:GetEventSelectors");

/// Of a trail's status, what does not differ with each delivery.
const STATUS_MEMBERS: [&str; 5] = [
    "IsLogging",
    "LatestDeliveryError",
    "LatestDigestDeliveryError",
    "StartLoggingTime",
    "StopLoggingTime",
];

/// The trails that are at home in the region, with whether they log, and what.
pub(super) async fn trails(config: &ReadConfig) -> Read {
    let shadows = json!({"includeShadowTrails": false});
    let answer = DESCRIBE_TRAILS.ask(config, &shadows).await?;
    let trails = answer["trailList"].as_array().cloned().unwrap_or_default();
    let all = each(trails, async |trail| {
        let named = json!({"Name": &trail["TrailARN"]});
        let status = TRAIL_STATUS.ask(config, &named).await?;
        let selected = json!({"TrailName": &trail["TrailARN"]});
        let selectors = EVENT_SELECTORS.ask(config, &selected).await?;
        let mut state = members(&trail);
        for name in STATUS_MEMBERS {
            add(&mut state, name, &status[name]);
        }
        for name in ["EventSelectors", "AdvancedEventSelectors"] {
            add(&mut state, name, &selectors[name]);
        }
        Ok(json_thing(&trail, "TrailARN", state))
    });
    Ok(all.await?.into_iter().flatten().collect())
}

/// With what they watch, and the filters that archive what they find.
pub(super) async fn detectors(config: &ReadConfig) -> Read {
    let client = &config.guardduty();
    let question = client.list_detectors();
    let ids = pages!(question, "guardduty:ListDetectors", |page| page
        .detector_ids
        .unwrap_or_default());
    let all = each(ids, async |id| {
        let answer = client.get_detector().detector_id(&id).send().await;
        let answer = answer.map_err(|error| ReadError::of("guardduty:GetDetector", &error))?;
        let question = client.list_filters().detector_id(&id);
        let filters: Vec<String> = pages!(question, "guardduty:ListFilters", |page| page
            .filter_names
            .unwrap_or_default());
        Ok(Thing {
            state: detector(&id, &answer, &filters),
            id,
        })
    });
    all.await
}

fn detector(id: &str, it: &GetDetectorOutput, filters: &Vec<String>) -> Value {
    state! {
        "CreatedAt": it.created_at(),
        "DetectorId": id,
        "Features": list(&it.features, |feature| state! {
            "Name": word(&feature.name),
            "Status": word(&feature.status),
        }),
        "FilterNames": filters,
        "FindingPublishingFrequency": word(&it.finding_publishing_frequency),
        "ServiceRole": it.service_role(),
        "Status": word(&it.status),
        "UpdatedAt": it.updated_at(),
    }
}

const RECORDERS: Question = Question {
    service: CONFIG,
    operation: "DescribeConfigurationRecorders",
    permission: "config:DescribeConfigurationRecorders",
};
const RECORDER_STATUS: Question = Question {
    service: CONFIG,
    operation: "DescribeConfigurationRecorderStatus",
    permission: "config:DescribeConfigurationRecorderStatus",
};

/// Of a recorder, what it records.
const RECORDER_SAYS: [&str; 5] = ["arn", "name", "recordingGroup", "recordingMode", "roleARN"];
/// Of a recorder's status, what does not differ with each delivery.
const RECORDER_MEMBERS: [&str; 6] = [
    "lastErrorCode",
    "lastErrorMessage",
    "lastStartTime",
    "lastStatus",
    "lastStopTime",
    "recording",
];

/// With whether they record.
pub(super) async fn config_recorders(config: &ReadConfig) -> Read {
    let recorders = RECORDERS.ask(config, &json!({})).await?;
    let recorders = recorders["ConfigurationRecorders"].as_array().cloned();
    let recorders = recorders.unwrap_or_default();
    if recorders.is_empty() {
        return Ok(Vec::new());
    }
    let statuses = RECORDER_STATUS.ask(config, &json!({})).await?;
    let all = recorders.iter().filter_map(|recorder| {
        let mut state = Map::new();
        for name in RECORDER_SAYS {
            add(&mut state, name, &recorder[name]);
        }
        let statuses = statuses["ConfigurationRecordersStatus"].as_array();
        let status = statuses
            .into_iter()
            .flatten()
            .find(|status| status["name"] == recorder["name"]);
        for name in RECORDER_MEMBERS {
            add(
                &mut state,
                name,
                status.map_or(&Value::Null, |it| &it[name]),
            );
        }
        json_thing(recorder, "name", state)
    });
    Ok(all.collect())
}

const QUOTAS: Question = Question {
    service: SERVICE_QUOTAS,
    operation: "ListServiceQuotas",
    permission: "servicequotas:ListServiceQuotas",
};
/// The services whose quotas bound what can be mined with, and what the names of those quotas begin with
/// (Service Quotas' own names; `Running On-Demand Standard … instances` is L-1216C47A).
const BOUNDING: [(&str, &[&str]); 2] = [
    ("ec2", &["Running On-Demand", "All "]),
    ("fargate", &["Fargate"]),
];

/// How many processors may run, by family and market.
pub(super) async fn quotas(config: &ReadConfig) -> Read {
    let mut all = Vec::new();
    for (service, names) in BOUNDING {
        let mut body = Map::new();
        body.insert("ServiceCode".to_owned(), json!(service));
        let quotas = match QUOTAS.list(config, body, "Quotas").await {
            Ok(quotas) => quotas,
            // The region does not have the service.
            Err(error) if error.is_absent() => continue,
            Err(error) => return Err(error),
        };
        let bounding = quotas.into_iter().filter(|quota| {
            let name = quota["QuotaName"].as_str().unwrap_or_default();
            names.iter().any(|start| name.starts_with(start))
        });
        all.extend(bounding.filter_map(|quota| {
            let members = [
                "Adjustable",
                "QuotaArn",
                "QuotaCode",
                "QuotaName",
                "ServiceCode",
                "Value",
            ];
            let mut state = Map::new();
            for name in members {
                add(&mut state, name, &quota[name]);
            }
            let id = quota["QuotaCode"].as_str()?;
            Some(Thing {
                id: format!("{service}/{id}"),
                state: Value::Object(state),
            })
        }));
    }
    Ok(all)
}

/// The members of a structure as the protocol gives it.
fn members(of: &Value) -> Map<String, Value> {
    let mut state = Map::new();
    for (name, value) in of.as_object().into_iter().flatten() {
        add(&mut state, name, value);
    }
    state
}

/// Adds a member; a time, which the protocol gives as seconds since 1970, as text.
pub(super) fn add(state: &mut Map<String, Value>, name: &str, value: &Value) {
    let is_time = name.ends_with("Time");
    let value = match value.as_f64().filter(|_| is_time).and_then(time) {
        Some(time) => Value::from(time.to_string()),
        None => value.clone(),
    };
    if let Some(value) = value.said() {
        state.insert(name.to_owned(), value);
    }
}

fn time(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
}

fn json_thing(of: &Value, id: &str, state: Map<String, Value>) -> Option<Thing> {
    Some(Thing {
        id: of[id].as_str()?.to_owned(),
        state: Value::Object(state),
    })
}
