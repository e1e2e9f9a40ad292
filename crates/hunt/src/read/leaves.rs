//! Everything in a JSON value, at any depth.

use super::json::{JsonFault, Walk};

/// What lies deeper than this is passed over: no request and no object of Kubernetes comes near,
/// and what is kept for each level must stay small.
const MAX_DEPTH: usize = 128;

/// Calls for each text, number, truth and null with the keys that lead to it; a list has the empty
/// key. What comes before a fault counts. Nothing recurses.
pub(super) fn leaves<'a>(json: &'a [u8], mut each: impl FnMut(&[&'a [u8]], &'a [u8])) {
    // The record as a whole has been checked to close.
    let _ = walk(json, &mut each);
}

fn walk<'a>(json: &'a [u8], each: &mut impl FnMut(&[&'a [u8]], &'a [u8])) -> Result<(), JsonFault> {
    let mut walk = Walk::at(json, 0);
    let mut keys: Vec<&'a [u8]> = Vec::new();
    let mut objects: Vec<bool> = Vec::new();
    loop {
        let first = walk.peek().ok_or(JsonFault::CutOff)?;
        let is_container = matches!(first, b'{' | b'[');
        if is_container && keys.len() < MAX_DEPTH {
            walk.pass();
            objects.push(first == b'{');
            keys.push(b"");
            if !matches!(walk.peek(), Some(b'}' | b']')) {
                key(&mut walk, &mut keys, &objects)?;
                continue;
            }
        } else {
            let value = walk.value()?;
            if !is_container {
                each(&keys, value);
            }
        }
        loop {
            if objects.is_empty() {
                return Ok(());
            }
            match walk.peek() {
                Some(b',') => {
                    walk.pass();
                    key(&mut walk, &mut keys, &objects)?;
                    break;
                }
                Some(b'}' | b']') => {
                    walk.pass();
                    objects.pop();
                    keys.pop();
                }
                Some(_) => return Err(JsonFault::Misplaced { at: walk.place() }),
                None => return Err(JsonFault::CutOff),
            }
        }
    }
}

/// Takes the key of the next member, where an object is open.
fn key<'a>(walk: &mut Walk<'a>, keys: &mut [&'a [u8]], objects: &[bool]) -> Result<(), JsonFault> {
    if let (Some(key), Some(true)) = (keys.last_mut(), objects.last()) {
        *key = walk.text()?;
        walk.expect(b':')?;
    }
    Ok(())
}

/// The key that a value stands under, be it in a list.
pub(super) fn name<'a>(keys: &[&'a [u8]]) -> &'a [u8] {
    keys.iter()
        .rev()
        .copied()
        .find(|key| !key.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(json: &str, expected: &str) {
        let mut found = Vec::new();
        leaves(json.as_bytes(), |keys, value| {
            let keys: Vec<_> = keys
                .iter()
                .map(|key| String::from_utf8_lossy(key))
                .collect();
            found.push(format!(
                "{}={}",
                keys.join("/"),
                String::from_utf8_lossy(value)
            ));
        });
        assert_eq!(found.join(" "), expected, "{json}");
    }

    #[test]
    fn every_leaf_comes_with_its_keys() {
        check(
            r#"{"a":{"b":[1,{"c":"x"},[]],"d":{}}, "e" : null}"#,
            r#"a/b/=1 a/b//c="x" e=null"#,
        );
        check(r#"[{"a":1},2]"#, "/a=1 =2");
        check(r#"{"a":1,"b":{"c":2,"#, "a=1 b/c=2");
        check(&"[".repeat(1 << 20), "");
        check(&format!("{}1{}", "[".repeat(200), "]".repeat(200)), "");
        check("", "");
    }

    proptest! {
        #[test]
        fn any_bytes_have_leaves_or_none(bytes in "[\\[\\]{}\",:a1 ]{0,200}") {
            leaves(bytes.as_bytes(), |_, _| ());
        }
    }
}
