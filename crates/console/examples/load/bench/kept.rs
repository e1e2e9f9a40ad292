//! Whether the ledger has what was answered for, each once.

use std::collections::HashSet;

use davylamp_ledger::{Ledger, Reported, keys};

use super::sending::Senders;

pub async fn compare(ledger: &Ledger, behind: i64, senders: &Senders) -> String {
    let count = "SELECT count(*) FROM entry WHERE seq > $1 AND kind = 'finding'";
    let entries: i64 = sqlx::query_scalar(count)
        .bind(behind)
        .fetch_one(ledger.database())
        .await
        .expect("a count");
    let found: Vec<String> = sqlx::query_scalar("SELECT reference FROM finding WHERE id > $1")
        .bind(behind)
        .fetch_all(ledger.database())
        .await
        .expect("references");
    let found: HashSet<String> = found.into_iter().collect();
    let (mut sent, mut lost) = (0, 0);
    for (cluster, n) in senders.sent() {
        let line = senders.line(n);
        let reported = Reported::from_guard_line(&line, cluster, "guard").expect("a line");
        sent += 1;
        let reference = keys::reference(&reported.finding, &reported.reporter);
        lost += u64::from(!found.contains(&reference));
    }
    let twice = entries - i64::try_from(found.len()).unwrap_or(i64::MAX);
    format!(
        "{sent} findings were answered for, {lost} of them are not there, {twice} are there twice, {} \
         were never answered for",
        found.len() as u64 - (sent - lost)
    )
}
