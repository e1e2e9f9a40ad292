//! A console, as far as events need one: it keeps each event once, by its id.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use super::server::{Handler, Reply, Request, ok};

pub const TOKEN: &str = "tok-0123456789abcdef";

/// What it has.
#[derive(Default)]
pub struct Console {
    /// How often each event came, by its id.
    pub events: Mutex<BTreeMap<String, u64>>,
    /// The ids in the order in which they first came.
    pub order: Mutex<Vec<String>>,
    /// The batches by their key.
    pub keys: Mutex<BTreeMap<String, Vec<String>>>,
    /// What goes wrong with the next requests: and whether the events are kept all the same.
    pub faults: Mutex<VecDeque<(Reply, bool)>>,
    /// The most events of a request.
    pub most: Option<usize>,
}

impl Console {
    pub fn handler(self: &Arc<Self>) -> Handler {
        let console = Arc::clone(self);
        Arc::new(move |request| console.take(&request))
    }

    pub fn ids(&self) -> Vec<String> {
        self.order.lock().expect("not poisoned").clone()
    }

    fn take(&self, request: &Request) -> Reply {
        assert_eq!(request.path, "/api/v1/events");
        if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            // Servers like to echo.
            let echo = request.header("authorization").unwrap_or_default();
            return Reply::Say(401, "", format!("who is {echo}?").into_bytes());
        }
        assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(request.header("content-encoding"), Some("gzip"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(request.body.as_slice())
            .read_to_string(&mut text)
            .expect("gzip");
        let ids: Vec<String> = text
            .lines()
            .map(|line| {
                let event: serde_json::Value = serde_json::from_str(line).expect("an object");
                event["id"].as_str().expect("an id").to_owned()
            })
            .collect();
        let key = request.header("idempotency-key").expect("a key").to_owned();
        let mut keys = self.keys.lock().expect("not poisoned");
        let known = keys.entry(key).or_insert_with(|| ids.clone());
        assert_eq!(*known, ids, "one key for two batches");
        if self.most.is_some_and(|most| ids.len() > most) {
            return Reply::Say(413, "", b"too many".to_vec());
        }
        if text.contains("poison") {
            return Reply::Say(400, "", b"this is poison".to_vec());
        }
        let fault = self.faults.lock().expect("not poisoned").pop_front();
        let (reply, keeps) = fault.unwrap_or((ok(), true));
        if keeps {
            let mut events = self.events.lock().expect("not poisoned");
            let mut order = self.order.lock().expect("not poisoned");
            for id in ids {
                let count = events.entry(id.clone()).or_default();
                if *count == 0 {
                    order.push(id);
                }
                *count += 1;
            }
        }
        reply
    }
}
