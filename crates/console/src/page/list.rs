//! Lists that go on where they stopped.

use davylamp_ledger::LedgerError;
use davylamp_ledger::query::{At, Page};
use maud::{Markup, html};

use crate::access::Refused;

/// So many pages of the ledger are looked through for one page.
const ROUNDS: usize = 20;

/// A page of what the ledger alone does not choose, or does not find at once: pages of it are read until
/// this one is full. It may be longer than asked, so that each begins where the one before ended.
pub(super) async fn seen<T, F>(
    mut at: At,
    mut ask: impl FnMut(At) -> F,
    holds: impl Fn(&T) -> bool,
) -> Result<Page<T>, Refused>
where
    F: Future<Output = Result<Page<T>, LedgerError>>,
{
    let mut items = Vec::new();
    for _ in 0..ROUNDS {
        let page = ask(at.clone()).await?;
        items.extend(page.items.into_iter().filter(&holds));
        at.cursor = page.next;
        if items.len() >= at.rows as usize || at.cursor.is_none() {
            break;
        }
    }
    let next = at.cursor;
    Ok(Page { items, next })
}

/// Everything of a list up to a bound, and whether there is more.
pub(super) async fn all<T, F>(
    pages: usize,
    mut ask: impl FnMut(At) -> F,
) -> Result<(Vec<T>, bool), Refused>
where
    F: Future<Output = Result<Page<T>, LedgerError>>,
{
    let mut at = At::first(davylamp_ledger::query::PAGE_ROWS);
    let mut items = Vec::new();
    for _ in 0..pages {
        let page = ask(at.clone()).await?;
        items.extend(page.items);
        match page.next {
            Some(next) => at.cursor = Some(next),
            None => return Ok((items, false)),
        }
    }
    Ok((items, true))
}

/// A page of what is in memory already, by the number of its first row.
pub(super) fn part<'a, T>(items: &'a [T], at: &str) -> Result<(&'a [T], Option<String>), Refused> {
    let begin = match at {
        "" => 0,
        at => at.parse().map_err(|_| LedgerError::Cursor)?,
    };
    let rest = items.get(begin..).unwrap_or_default();
    let rows = rest.len().min(super::asked::ROWS as usize);
    let next = (rows < rest.len()).then(|| (begin + rows).to_string());
    Ok((&rest[..rows], next))
}

/// The way to the next page, and back to the first.
pub(super) fn pager(first: Option<&str>, next: Option<&str>) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav.pager aria-label="Pages of this list" {
                @if let Some(first) = first { a.button href=(first) { "First page" } }
                @if let Some(next) = next { a.button rel="next" href=(next) { "Next page" } }
            }
        }
    }
}
