//! What the guard's lines need to be OCSF beside themselves: what the detections' files say.

use std::collections::BTreeMap;

use davylamp_model::ocsf::{Detector, from_guard};
use serde_json::Value;

use crate::detection::{self, Detection};
use crate::problem::Faults;

/// Writes lines of the guard's log as OCSF.
#[derive(Debug)]
pub struct GuardLines {
    detections: BTreeMap<String, Detection>,
}

impl GuardLines {
    /// With the detections that ship.
    ///
    /// # Errors
    /// One of them is faulty, which is a bug.
    pub fn shipped() -> Result<Self, Faults> {
        let known = detection::shipped()?.into_iter();
        Ok(Self {
            detections: known
                .map(|parsed| (parsed.detection.name.clone(), parsed.detection))
                .collect(),
        })
    }

    /// A line as OCSF. One that names a detection that does not ship goes without what its file says.
    pub fn write(&self, line: &Value) -> Value {
        from_guard(line, |name| match self.detections.get(name) {
            Some(known) => Detector {
                title: Some(&known.title),
                severity: Some(known.severity),
                techniques: &known.techniques,
                score: Some(known.score),
            },
            None => Detector::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_finding_is_told_with_what_its_detection_says() {
        let lines = GuardLines::shipped().expect("what ships is good");
        let name = lines.detections.keys().next().expect("one ships");
        let known = &lines.detections[name];
        let event = lines.write(&json!({"action": "killed", "detection": name}));
        assert_eq!(
            event["finding_info"]["analytic"]["desc"],
            known.title.as_str()
        );
        assert_eq!(event["confidence_score"], known.score);
        let unknown = lines.write(&json!({"action": "killed", "detection": "never-heard-of"}));
        assert_eq!(unknown["severity"], "High");
    }
}
