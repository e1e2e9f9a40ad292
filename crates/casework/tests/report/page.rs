//! The page in a real browser: in both themes, on a telephone and on paper.

use std::path::{Path, PathBuf};

use davylamp_casework::case::Case;
use davylamp_testkit::browser::Browser;

use crate::{Folder, cases};

fn shots() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../screenshots")
}

fn address(folder: &Folder) -> String {
    format!("file://{}", folder.path.join("report.html").display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_passes_the_examiner_in_both_themes() {
    let mut faults = Vec::new();
    let browsers = [
        (Browser::start().await, "desk"),
        (Browser::phone().await, "phone"),
    ];
    let cases: [(&str, Case); 3] = [
        ("framed", cases::framed()),
        ("nothing", cases::nothing()),
        ("hostile", cases::hostile()),
    ];
    for (name, case) in cases {
        let folder = Folder::of(&case);
        for (browser, size) in &browsers {
            for theme in ["light", "dark"] {
                browser.prefers(theme, false).await;
                browser.goto(&address(&folder)).await;
                let shown = format!("report-{name}-{size}-{theme}");
                browser.shot(&shots(), &shown).await;
                let wide =
                    "document.documentElement.scrollWidth > document.documentElement.clientWidth";
                if browser.is(wide).await {
                    faults.push(format!("{shown}: it is wider than the window"));
                }
                let found = browser.examined().await;
                faults.extend(found.into_iter().map(|fault| format!("{shown}: {fault}")));
            }
        }
    }
    for (browser, _) in browsers {
        browser.end().await;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_runs_and_fetches_nothing() {
    let browser = Browser::start().await;
    let folder = Folder::of(&cases::hostile());
    browser.goto(&address(&folder)).await;
    // Its own style is the only thing that came into effect, and what an attacker wrote is text.
    for holds in [
        "document.scripts.length === 0",
        "document.images.length === 0",
        "document.querySelectorAll('iframe, object, embed, link, form').length === 0",
        "performance.getEntriesByType('resource').length === 0",
        "getComputedStyle(document.querySelector('main > section')).borderTopWidth === '1px'",
        "[...document.querySelectorAll('[href]')].every((a) => a.getAttribute('href').startsWith('#'))",
        "document.body.textContent.includes('<script>alert(1)</script>')",
    ] {
        assert!(browser.is(holds).await, "{holds}");
    }
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_lead_to_records_also_to_those_that_are_folded() {
    let browser = Browser::start().await;
    let mut case = cases::framed();
    let last = case.evidence[9].clone();
    case.evidence
        .extend((11..=80).map(|n| davylamp_casework::case::Evidence {
            id: davylamp_casework::case::EvidenceId(n),
            ..last.clone()
        }));
    case.leads = (11..=80)
        .map(|n| davylamp_casework::case::Lead {
            score: 1.0,
            is_alarm: false,
            about: format!("lead {n}"),
            statement: cases::said("It stood out.", &[n]),
        })
        .collect();
    let folder = Folder::of(&case);
    browser.goto(&address(&folder)).await;
    assert!(browser.is("[...document.querySelectorAll('.cites a')].every((a) => document.querySelector(a.hash))").await);
    browser
        .run("document.querySelector('a[href=\"#e80\"]').click()")
        .await;
    browser
        .until("document.querySelector('#e80').checkVisibility({ contentVisibilityAuto: true })")
        .await;
    browser.until("location.hash === '#e80'").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_printed_whole() {
    let browser = Browser::start().await;
    let folder = Folder::of(&cases::framed());
    browser.prefers("light", true).await;
    browser.goto(&address(&folder)).await;
    browser.shot(&shots(), "report-framed-paper").await;
    assert!(
        browser
            .is("getComputedStyle(document.querySelector('nav')).display === 'none'")
            .await
    );
    // What is folded on a screen is open on paper.
    let open = "[...document.querySelectorAll('details')].every((one) => one.lastElementChild.checkVisibility({ contentVisibilityAuto: true }))";
    assert!(browser.is(open).await, "something is folded");
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_page_opens() {
    let browser = Browser::start().await;
    let folder = Folder::of(&cases::huge());
    browser.goto(&address(&folder)).await;
    browser
        .until("document.readyState === 'complete' && document.querySelector('footer')")
        .await;
    assert!(
        browser
            .is("document.querySelectorAll('svg').length > 2")
            .await
    );
    assert!(
        browser
            .is("document.querySelectorAll('*').length < 400000")
            .await
    );
    browser.end().await;
}
