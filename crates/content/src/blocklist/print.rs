//! A blocklist back into a file.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{Allowed, Banned, Blocklist, Group};

impl Blocklist {
    /// The blocklist as a JSON file in the nested form, which every group name survives. Reading
    /// it gives the same groups, with new origins.
    pub fn to_json(&self) -> String {
        let file = Nest("detectors", Nest("execwhacker", Nest("configs", self)));
        // Strings, booleans and maps with string keys always have a JSON form.
        serde_json::to_string_pretty(&file).unwrap_or_default()
    }
}

/// A mapping with one key.
struct Nest<T>(&'static str, T);

impl<T: Serialize> Serialize for Nest<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.0, &self.1)?;
        map.end()
    }
}

impl Serialize for Blocklist {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.groups.len()))?;
        for group in &self.groups {
            map.serialize_entry(&group.name, group)?;
        }
        map.end()
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("bannedCommandStrings", &List(&self.banned))?;
        map.serialize_entry("allowedCommandPatterns", &List(&self.allowed))?;
        map.end()
    }
}

struct List<'a, T>(&'a [T]);

impl<T: Serialize> Serialize for List<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for item in self.0 {
            list.serialize_element(item)?;
        }
        list.end()
    }
}

impl Serialize for Banned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("string", &self.text)?;
        if let Some(reason) = &self.reason {
            map.serialize_entry("reason", reason)?;
        }
        if self.scan_environment {
            map.serialize_entry("scanEnvironment", &true)?;
        }
        map.end()
    }
}

impl Serialize for Allowed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("pattern", &self.pattern)?;
        let scope = &self.scope;
        for (key, value) in [
            ("reason", &self.reason),
            ("namespace", &scope.namespace),
            ("image", &scope.image),
            ("container", &scope.container),
        ] {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        if scope.host {
            map.serialize_entry("host", &true)?;
        }
        map.end()
    }
}
