//! The ledger shows tampering: every byte of every entry, entries that go, come or change places, a tail
//! that is cut off, tables that say something else.

use davylamp_ledger::{Entry, Fault, Head, Input, Ledger, Taken};
use proptest::prelude::*;
use sqlx::{AnyPool, AssertSqlSafe, Row as _};

use crate::make::{Stores, at, block_on, of_user, open, reported};

async fn filled(ledger: &Ledger) -> Head {
    for batch in 0..4 {
        let inputs: Vec<Input> = (0..5)
            .map(|n| {
                let mut made = of_user(reported(&format!("{batch}-{n}"), n), &format!("u{n}"));
                if n == 4 {
                    made.taken = Taken::Spared;
                }
                Input::Finding(Box::new(made))
            })
            .collect();
        ledger
            .deliver(None, &inputs, at(batch))
            .await
            .expect("taken");
    }
    ledger.head().await.expect("a head")
}

/// Somebody with the database and without the program: what protects entries is taken off first.
async fn intruder(url: &str) -> AnyPool {
    let pool = AnyPool::connect(url).await.expect("opened");
    let off = if url.starts_with("sqlite") {
        "DROP TRIGGER entry_stays; DROP TRIGGER entry_keeps_what_it_says"
    } else {
        "DROP TRIGGER entry_stays ON entry"
    };
    sqlx::raw_sql(off).execute(&pool).await.expect("dropped");
    pool
}

async fn run(pool: &AnyPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(pool)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn fault(stores: &Stores, ledger: &Ledger, noted: Option<&Head>) -> Option<Fault> {
    ledger
        .verify(noted, stores.folder.path())
        .await
        .expect("a verification")
        .fault
}

#[test]
fn the_database_itself_refuses() {
    let stores = Stores::new();
    block_on(async {
        for url in stores.each() {
            let ledger = open(&url).await;
            filled(&ledger).await;
            let pool = AnyPool::connect(&url).await.expect("opened");
            for statement in [
                "DELETE FROM entry WHERE seq = 3",
                "DELETE FROM entry",
                "UPDATE entry SET body = '{}' WHERE seq = 3",
                "UPDATE entry SET at_us = at_us + 1 WHERE seq = 3",
                "UPDATE entry SET body = NULL, hash = 'x' WHERE seq = 3",
            ] {
                let refused = sqlx::query(statement).execute(&pool).await;
                assert!(refused.is_err(), "{url}: {statement}");
            }
            stores.verified(&ledger).await;
        }
    });
}

#[test]
fn every_change_is_named() {
    let stores = Stores::new();
    block_on(async {
        for (index, url) in stores.each().into_iter().enumerate() {
            let ledger = open(&url).await;
            let head = filled(&ledger).await;
            let pool = intruder(&url).await;
            // Each change with what takes it back, and the entry that it is found at.
            let row = "seq, at_us, kind, body, body_hash, hash";
            run(
                &pool,
                &format!("CREATE TABLE kept AS SELECT {row} FROM entry"),
            )
            .await;
            let back =
                format!("DELETE FROM entry; INSERT INTO entry ({row}) SELECT {row} FROM kept;");
            let last = head.seq;
            for (change, found_at) in [
                ("UPDATE entry SET at_us = at_us + 1 WHERE seq = 7".to_owned(), 7),
                ("UPDATE entry SET kind = 'note' WHERE seq = 7".to_owned(), 7),
                ("UPDATE entry SET body = replace(body, 'hub-a', 'hub-b') WHERE seq = 4".to_owned(), 4),
                ("UPDATE entry SET body = body || ' ' WHERE seq = 1".to_owned(), 1),
                ("UPDATE entry SET body = NULL WHERE seq = 9".to_owned(), 9),
                ("DELETE FROM entry WHERE seq = 5".to_owned(), 5),
                ("DELETE FROM entry WHERE seq = 1".to_owned(), 1),
                (format!("DELETE FROM entry WHERE seq = {last}"), last),
                ("UPDATE entry SET seq = -1 WHERE seq = 5; UPDATE entry SET seq = 5 WHERE seq = 6;
                  UPDATE entry SET seq = 6 WHERE seq = -1".to_owned(), 5),
                (format!("INSERT INTO entry ({row}) SELECT seq + {last}, at_us, kind, body, body_hash, hash
                          FROM entry WHERE seq = 1"), last + 1),
            ] {
                run(&pool, &change).await;
                let found = fault(&stores, &ledger, None).await;
                assert_eq!(found.and_then(|fault| fault.seq), Some(found_at), "{url}: {change}");
                run(&pool, &back).await;
                assert_eq!(fault(&stores, &ledger, None).await, None, "{change} taken back");
            }
            for change in [
                "UPDATE finding SET severity = 0 WHERE id = 2",
                "UPDATE finding SET title = title || '!' WHERE id = 2",
                "DELETE FROM finding WHERE id = 2",
                "UPDATE incident SET state = 'closed' WHERE id = 1",
                "UPDATE tally SET n = n + 1",
                "UPDATE counter SET n = n - 1",
                "DELETE FROM timeline WHERE incident = 1",
                "DELETE FROM span",
                "UPDATE finding_key SET at = at + 1",
            ] {
                run(&pool, change).await;
                assert!(
                    fault(&stores, &ledger, None).await.is_some(),
                    "{url}: {change}"
                );
                ledger.rebuild().await.expect("rebuilt");
                assert_eq!(
                    fault(&stores, &ledger, None).await,
                    None,
                    "{change} rebuilt"
                );
            }
            // Cut off so that the rest is whole in itself: only who noted the head can know.
            let cut = "DELETE FROM entry WHERE seq > 10;
                 UPDATE head SET seq = 10, hash = (SELECT hash FROM entry WHERE seq = 10)";
            run(&pool, cut).await;
            ledger.rebuild().await.expect("rebuilt");
            assert_eq!(fault(&stores, &ledger, None).await, None);
            let found = fault(&stores, &ledger, Some(&head)).await.expect("noticed");
            assert_eq!(found.seq, Some(11), "{index}");
            let other = Head {
                seq: 8,
                hash: head.hash.clone(),
            };
            let found = fault(&stores, &ledger, Some(&other))
                .await
                .expect("noticed");
            assert_eq!(found.seq, Some(8));
        }
    });
}

/// The chain itself, in memory: any byte of any entry.
#[test]
fn any_byte_of_any_entry() {
    let stores = Stores::new();
    let entries: Vec<Entry> = block_on(async {
        let ledger = open(&stores.sqlite()).await;
        filled(&ledger).await;
        ledger.entries_since(0, 500).await.expect("entries")
    });
    let broken = |entries: &[Entry]| {
        let mut head = Head::genesis();
        for entry in entries {
            if entry.fault(&head).is_some() {
                return Some(head.seq + 1);
            }
            head = entry.head();
        }
        None
    };
    assert_eq!(broken(&entries), None);
    proptest!(|(which in 0..entries.len(), member in 0..6_usize, place: prop::sample::Index, bit in 0..7_u8)| {
        let mut altered = entries.clone();
        let entry = &mut altered[which];
        let flip = |text: &mut String| {
            let mut bytes = std::mem::take(text).into_bytes();
            let place = place.index(bytes.len());
            // Of ASCII another ASCII character.
            bytes[place] ^= 1 << if bytes[place] < 0x80 { bit } else { 0 };
            *text = String::from_utf8_lossy(&bytes).into_owned();
        };
        match member {
            0 => entry.seq ^= 1 << bit,
            1 => entry.at_us ^= 1 << bit,
            2 => flip(&mut entry.kind),
            3 => flip(entry.body.as_mut().expect("a body")),
            4 => flip(&mut entry.body_hash),
            _ => flip(&mut entry.hash),
        }
        if altered != entries {
            prop_assert_eq!(broken(&altered), Some(which as i64 + 1));
        }
    });
}

#[test]
fn bytes_in_the_file_cannot_be_changed_quietly() {
    // The same in the database: the bodies of all entries, one character each.
    let stores = Stores::new();
    block_on(async {
        let url = stores.sqlite();
        let ledger = open(&url).await;
        filled(&ledger).await;
        let pool = intruder(&url).await;
        let rows = sqlx::query("SELECT seq, body FROM entry ORDER BY seq")
            .fetch_all(&pool)
            .await
            .expect("rows");
        for (number, row) in rows.iter().enumerate() {
            let seq: i64 = row.get(0);
            let body: String = row.get(1);
            let place = (number * 37) % body.len();
            let mut other = body.clone().into_bytes();
            other[place] ^= 1;
            let other = String::from_utf8(other).expect("ASCII");
            let write = |text: String| {
                sqlx::query("UPDATE entry SET body = $1 WHERE seq = $2")
                    .bind(text)
                    .bind(seq)
            };
            write(other).execute(&pool).await.expect("written");
            let found = fault(&stores, &ledger, None).await.expect("noticed");
            assert_eq!(found.seq, Some(seq));
            write(body).execute(&pool).await.expect("written");
        }
        stores.verified(&ledger).await;
    });
}
