//! How far an incident reached: from people to pods to nodes to the cloud, drawn and as a list.

use std::collections::BTreeSet;

use davylamp_ledger::rows::FindingRow;
use davylamp_model::resource::{KeyHolder, Resource};
use maud::{Markup, html};

use crate::access::Refused;
use crate::page::text;
use crate::site::Site;

const COLUMNS: [&str; 4] = ["Users", "Pods", "Nodes", "Cloud"];
/// Of each column so many are drawn; the list holds the others.
const DRAWN: usize = 12;
/// Ways in the list.
const WAYS: usize = 200;
/// Findings that are read in full for what they name in the cloud.
const READ: usize = 60;
const WIDTH: usize = 250;
const STEP_X: usize = 300;
const HEIGHT: usize = 30;
const STEP_Y: usize = 40;
const TOP: usize = 30;
/// Characters that fit into a box.
const FITS: usize = 33;

type Way = [Option<String>; 4];

pub(super) async fn of(
    site: &Site,
    found: &[FindingRow],
    has_more: bool,
) -> Result<Markup, Refused> {
    let mut ways: BTreeSet<Way> = BTreeSet::new();
    let mut read = 0;
    for row in found {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let way = |cloud| [some(&row.hub_user), some(&row.pod), some(&row.node), cloud];
        let mut clouds = Vec::new();
        if row.keys.contains("instance:") || row.hub_user.is_empty() {
            read += 1;
            if read <= READ {
                clouds = cloud(site, row.id).await?;
            }
        }
        match clouds.is_empty() {
            true => ways.extend([way(None)]),
            false => ways.extend(clouds.into_iter().map(|cloud| way(Some(cloud)))),
        }
    }
    ways.retain(|way| way.iter().any(Option::is_some));
    let is_part = has_more || read > READ || ways.len() > WAYS;
    Ok(html! {
        section.card #reach {
            h2 { "Reach" }
            @if ways.is_empty() { p.muted { "Its findings name no user, pod, node or instance." } }
            @else {
                (drawing(&ways))
                @if is_part { p.notice { "Drawn from its latest findings; the list of all of them says the rest." } }
                details { summary { "The same as a list" }
                    ul.ways { @for way in ways.iter().take(WAYS) { li {
                        @for (n, (column, name)) in way.iter().enumerate().filter_map(|(column, name)| Some((column, name.as_ref()?))).enumerate() {
                            @if n > 0 { " → " } span.muted { (singular(column)) } " " (text::brief(name))
                        }
                    } } }
                }
            }
        }
    })
}

fn singular(column: usize) -> &'static str {
    ["user", "pod", "node", ""][column]
}

/// What a finding names in the cloud, with its region.
async fn cloud(site: &Site, id: i64) -> Result<Vec<String>, Refused> {
    let Some(record) = site
        .ledger()
        .finding(id)
        .await?
        .and_then(|view| view.record)
    else {
        return Ok(Vec::new());
    };
    let region = match &record.finding.place {
        Some(place) => format!(" in {}", place.region),
        None => " in an unknown region".to_owned(),
    };
    let named = record.finding.resources.iter().filter_map(|resource| {
        Some(match resource {
            Resource::Instance { id } => format!("{id}{region}"),
            Resource::AccessKey { holder, .. } => match holder {
                KeyHolder::RoleSession { role, .. } => format!("role {role}"),
                KeyHolder::User { user } => format!("IAM user {user}"),
                KeyHolder::Root => "root".to_owned(),
                KeyHolder::Unknown { .. } => return None,
            },
            Resource::Function { name } => format!("function {name}{region}"),
            Resource::EcsTask { task, .. } => format!("task {task}"),
            _ => return None,
        })
    });
    Ok(named.collect())
}

fn drawing(ways: &BTreeSet<Way>) -> Markup {
    let mut columns: [Vec<&str>; 4] = Default::default();
    for (n, column) in columns.iter_mut().enumerate() {
        let names: BTreeSet<&str> = ways.iter().filter_map(|way| way[n].as_deref()).collect();
        *column = names.into_iter().collect();
    }
    let place = |column: usize, name: &str| {
        let row = columns[column]
            .iter()
            .take(DRAWN)
            .position(|known| *known == name)?;
        Some((column * STEP_X, TOP + row * STEP_Y))
    };
    let mut lines = BTreeSet::new();
    for way in ways {
        let stops: Vec<_> = way
            .iter()
            .enumerate()
            .filter_map(|(column, name)| place(column, name.as_deref()?))
            .collect();
        lines.extend(stops.windows(2).map(|pair| (pair[0], pair[1])));
    }
    let tallest = columns
        .iter()
        .map(|column| column.len().min(DRAWN + 1))
        .max()
        .unwrap_or(0);
    let (width, height) = (3 * STEP_X + WIDTH + 4, TOP + tallest * STEP_Y);
    let counted: Vec<String> = COLUMNS
        .iter()
        .zip(&columns)
        .map(|(name, column)| format!("{}: {}", name.to_lowercase(), column.len()))
        .collect();
    html! {
        div.scroll role="region" aria-label="Drawing of the reach" tabindex="0" {
            svg.reach role="img" aria-labelledby="reach-title reach-desc" width=(width) height=(height) viewBox=(format!("-2 0 {width} {height}")) {
                title #reach-title { "From users to pods to nodes to the cloud" }
                desc #reach-desc { (counted.join(", ")) ". The list below says which belong together." }
                @for (n, name) in COLUMNS.iter().enumerate() { @if !columns[n].is_empty() { text.head x=(n * STEP_X) y="16" { (name) " (" (columns[n].len()) ")" } } }
                @for ((x1, y1), (x2, y2)) in &lines {
                    @let (from, to, y1, y2) = (x1 + WIDTH, *x2, y1 + HEIGHT / 2, y2 + HEIGHT / 2);
                    @let middle = (from + to) / 2;
                    path.edge d=(format!("M{from} {y1}C{middle} {y1} {middle} {y2} {to} {y2}")) {}
                }
                @for (n, column) in columns.iter().enumerate() {
                    @for (row, name) in column.iter().take(DRAWN).enumerate() {
                        g { title { (text::cut(name, 256)) }
                            rect.stop x=(n * STEP_X) y=(TOP + row * STEP_Y) width=(WIDTH) height=(HEIGHT) rx="6" {}
                            text x=(n * STEP_X + 10) y=(TOP + row * STEP_Y + 20) { (text::cut(name, FITS)) } }
                    }
                    @if column.len() > DRAWN { text.more x=(n * STEP_X + 10) y=(TOP + DRAWN * STEP_Y + 20) { "and " (column.len() - DRAWN) " more" } }
                }
            }
        }
    }
}
