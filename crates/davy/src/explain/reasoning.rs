//! Finding out what would happen to one command line.

use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use davylamp_content::blocklist::{Blocklist, Origin, Place, Scope};
use davylamp_content::detection::Action;
use davylamp_content::word;
use davylamp_detect::allow::{AllowRules, PatternError};
use davylamp_detect::automaton::{AllowMeaning, AllowPrefix};
use davylamp_detect::command::{AtExec, Finding, Rules, Sign};
use davylamp_detect::judge::{Judge, Match, Region, Ruling, Subject, command_line};
use davylamp_guard::config::Config;

use super::answer::{
    Bearing, Decision, DetectionReport, Explanation, MatchReport, NearMiss, PatternReport,
    ScopeReport, Verdict,
};

/// No more matches or near misses than this are listed; a command line of megabytes may hold
/// hundreds of thousands.
const MAX_LISTED: usize = 100;

/// Near misses are looked for in command lines of at most this many bytes: the search takes each
/// string by itself.
const MAX_NEAR_MISS_BYTES: usize = 1 << 16;

/// What is asked about.
#[derive(Debug, Clone)]
pub struct Question {
    /// The arguments, NUL after each.
    pub arguments: Vec<u8>,
    /// Whether they are a line as it is typed into a shell, in one piece.
    pub is_line: bool,
    /// The executable's path, or nothing if the first argument names it.
    pub path: Vec<u8>,
    /// The environment, NUL after each variable.
    pub environment: Vec<u8>,
}

/// The texts that matches stand in, shared by their reports.
struct Texts {
    arguments: Rc<[u8]>,
    path: Rc<[u8]>,
    executable: Rc<[u8]>,
    environment: Rc<[u8]>,
}

impl Texts {
    fn of(&self, region: Region) -> Rc<[u8]> {
        let text = match region {
            Region::Arguments => &self.arguments,
            Region::Path => &self.path,
            Region::Executable => &self.executable,
            Region::Environment => &self.environment,
        };
        Rc::clone(text)
    }
}

/// One allow pattern by itself.
struct Rule<'a> {
    rules: AllowRules,
    group: &'a str,
    origin: &'a Origin,
    prefixes: Vec<AllowPrefix>,
    holds_all: bool,
}

/// Explains command lines by one set of lists.
pub struct Reasoner<'a> {
    config: &'a Config,
    judge: &'a Judge,
    detections: Option<&'a Rules>,
    place: Place<'a>,
    rules: Vec<Rule<'a>>,
    holds_all: bool,
}

impl<'a> Reasoner<'a> {
    /// Takes each allow pattern by itself, to say how it bears on a match.
    pub fn new(
        config: &'a Config,
        blocklist: &'a Blocklist,
        judge: &'a Judge,
        detections: Option<&'a Rules>,
        place: Place<'a>,
    ) -> Result<Self, PatternError> {
        let mut rules = Vec::new();
        for group in &blocklist.groups {
            for allowed in &group.allowed {
                let alone = AllowRules::new(std::iter::once((group.name.as_str(), allowed)))?;
                let (prefixes, holds_all) = alone.for_kernel();
                let origin = &allowed.origin;
                rules.push(Rule {
                    rules: alone,
                    group: &group.name,
                    origin,
                    prefixes,
                    holds_all,
                });
            }
        }
        let (_, holds_all) = judge.allow().for_kernel();
        Ok(Self {
            config,
            judge,
            detections,
            place,
            rules,
            holds_all,
        })
    }

    /// Answers one question.
    pub fn explain(&self, question: &Question) -> Explanation {
        let line = command_line(&question.arguments);
        let slash = question.path.iter().rposition(|byte| *byte == b'/');
        let subject = Subject {
            arguments: &question.arguments,
            path: &question.path,
            executable: &question.path[slash.map_or(0, |at| at + 1)..],
            environment: &question.environment,
        };
        let found = self.judge.all_matches(&subject);
        let texts = Texts {
            arguments: line.as_slice().into(),
            path: subject.path.into(),
            executable: subject.executable.into(),
            environment: command_line(subject.environment).into(),
        };
        let near_misses_searched = line.len() <= MAX_NEAR_MISS_BYTES;
        let near_misses = if near_misses_searched {
            self.near_misses(&line, &subject)
        } else {
            Vec::new()
        };
        let finding = self.detections.and_then(|rules| match question.is_line {
            true => rules.judge_line(&line),
            false => rules.judge(&subject),
        });
        let kills = |finding: &Finding<'_>| finding.action == Action::Kill;
        let allow_patterns = if found.is_empty() && !finding.as_ref().is_some_and(kills) {
            Vec::new()
        } else {
            self.patterns(&line)
        };
        let (verdict, decided_by, because) = match &finding {
            Some(finding) if found.is_empty() => self.by_detections(finding, &subject, &line),
            _ => self.verdict(&subject, &line, &allow_patterns),
        };
        Explanation {
            command_line: String::from_utf8_lossy(&line).into_owned(),
            line: texts.of(Region::Arguments),
            verdict,
            because,
            mode: self.config.mode,
            decided_by,
            match_count: found.len(),
            matches: found
                .iter()
                .take(MAX_LISTED)
                .map(|found| self.match_report(found, &texts))
                .collect(),
            detections: finding
                .iter()
                .flat_map(|found| &found.signs)
                .map(report)
                .collect(),
            near_misses_searched,
            near_misses,
            allow_patterns,
        }
    }

    /// What comes of what the detections found, where no string is banned.
    fn by_detections(
        &self,
        finding: &Finding<'_>,
        subject: &Subject<'_>,
        line: &[u8],
    ) -> (Verdict, Option<Decision>, String) {
        let strongest = finding.signs.first();
        let name = strongest.map_or("", |sign| sign.detection.name.as_str());
        let score = finding.score;
        let at_exec = self.detections.map(|rules| rules.at_exec(subject));
        let decided_by = match at_exec {
            Some(AtExec::Kill) => Some(Decision::Kernel),
            Some(AtExec::Hold) => Some(Decision::Hold),
            _ => None,
        };
        if let Some(protection) = self.protection(subject) {
            return (Verdict::Spared, Some(Decision::Kernel), protection);
        }
        match finding.action {
            Action::Kill => {
                let allowed = self.judge.allow().allowing(line, &self.place);
                match allowed {
                    Some((_, by)) => (
                        Verdict::Spared,
                        decided_by,
                        format!(
                            "the pattern `{}` of group `{}` allows it",
                            by.pattern, by.group
                        ),
                    ),
                    None => (
                        Verdict::Killed,
                        decided_by,
                        format!("`{name}` and all others together have a score of {score}"),
                    ),
                }
            }
            Action::Alert => (
                Verdict::Spared,
                decided_by,
                format!("it is told, and runs: a score of {score} is below 100"),
            ),
            Action::Spare | Action::Clean => (
                Verdict::Spared,
                decided_by,
                "it only names what a detection is about".to_owned(),
            ),
        }
    }

    fn verdict(
        &self,
        subject: &Subject<'_>,
        line: &[u8],
        patterns: &[PatternReport],
    ) -> (Verdict, Option<Decision>, String) {
        let ruling = self.judge.rule(subject, &self.place);
        if matches!(ruling, Ruling::Clean) {
            return (
                Verdict::Clean,
                None,
                "no banned string stands in it as a word, and no detection finds anything".into(),
            );
        }
        if let Some(protection) = self.protection(subject) {
            return (Verdict::Spared, Some(Decision::Kernel), protection);
        }
        let meaning = self.judge.table().allow_prefix(line);
        let decided_by = match meaning {
            Some(AllowMeaning::Allows(_)) => Decision::Kernel,
            Some(AllowMeaning::MayAllow) => Decision::Hold,
            None if self.holds_all => Decision::Hold,
            None => Decision::Kernel,
        };
        let elsewhere = patterns
            .iter()
            .any(|pattern| pattern.bearing == Bearing::Elsewhere);
        match ruling {
            Ruling::Clean => unreachable!("returned above"),
            Ruling::Allowed { by, .. } => {
                let because = format!(
                    "the pattern `{}` of group `{}` allows it",
                    by.pattern, by.group
                );
                (Verdict::Spared, Some(decided_by), because)
            }
            Ruling::Banned { .. } => {
                let because = if elsewhere {
                    "a banned string stands in it, and the patterns that match it count elsewhere \
                     only"
                } else {
                    "a banned string stands in it, and no allow pattern matches it"
                };
                (Verdict::Killed, Some(decided_by), because.into())
            }
        }
    }

    /// Why the process is never killed, if it is not.
    fn protection(&self, subject: &Subject<'_>) -> Option<String> {
        let protect = &self.config.protect;
        let executable = protect
            .executables
            .iter()
            .find(|path| path.as_os_str().as_bytes() == subject.path)
            .map(|path| format!("`guard.protect.executables` names {}", path.display()));
        let namespace = || {
            let found = protect
                .namespaces
                .iter()
                .find(|name| Some(name.as_str()) == self.place.namespace)?;
            Some(format!("`guard.protect.namespaces` names {found}"))
        };
        executable.or_else(namespace)
    }

    fn match_report(&self, found: &Match, texts: &Texts) -> MatchReport {
        let facts = self.judge.string(found.string);
        MatchReport {
            string: facts
                .map(|facts| facts.banned.text.clone())
                .unwrap_or_default(),
            group: facts.map(|facts| facts.group.clone()).unwrap_or_default(),
            reason: facts.and_then(|facts| facts.banned.reason.clone()),
            origin: facts
                .map(|facts| written(&facts.banned.origin))
                .unwrap_or_default(),
            region: found.region.as_str(),
            start: found.at.start,
            end: found.at.end,
            text: texts.of(found.region),
        }
    }

    fn near_misses(&self, line: &[u8], subject: &Subject<'_>) -> Vec<NearMiss> {
        // With the arguments joined, a string that spans two of them is found as well.
        let joined = Subject {
            arguments: line,
            ..*subject
        };
        let near = self.judge.near_misses(&joined);
        let strings = near.iter().filter_map(|number| self.judge.string(*number));
        strings
            .filter_map(|facts| {
                let needle = facts.banned.text.as_bytes();
                let (text, start) = [line, subject.path]
                    .into_iter()
                    .find_map(|text| Some((text, occurrence(needle, text)?)))?;
                let end = start + needle.len();
                let is_word = |byte: &u8| word::is_word_byte(*byte);
                let before = text[..start]
                    .iter()
                    .rev()
                    .take_while(|byte| is_word(byte))
                    .count();
                let after = text[end..].iter().take_while(|byte| is_word(byte)).count();
                Some(NearMiss {
                    string: facts.banned.text.clone(),
                    group: facts.group.clone(),
                    word: String::from_utf8_lossy(&text[start - before..end + after]).into_owned(),
                    start,
                    end,
                })
            })
            .take(MAX_LISTED)
            .collect()
    }

    fn patterns(&self, line: &[u8]) -> Vec<PatternReport> {
        let bearing = |rule: &Rule<'_>, scope: &Scope| {
            if rule.rules.allowing(line, &self.place).is_some() {
                return Some(Bearing::Applies);
            }
            // A place that satisfies the scope: a glob matches its own text.
            let inside = Place {
                namespace: scope.namespace.as_deref(),
                image: scope.image.as_deref(),
                container: scope.container.as_deref(),
                is_host: scope.host,
            };
            if rule.rules.allowing(line, &inside).is_some() {
                return Some(Bearing::Elsewhere);
            }
            let starts = |prefix: &AllowPrefix| {
                line.get(..prefix.text.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(&prefix.text))
            };
            (rule.holds_all || rule.prefixes.iter().any(starts)).then_some(Bearing::CouldApply)
        };
        let reports = self.rules.iter().filter_map(|rule| {
            let allowed = rule.rules.rules().first()?;
            let Scope {
                namespace,
                image,
                container,
                host,
            } = allowed.scope.clone();
            Some(PatternReport {
                pattern: allowed.pattern.clone(),
                group: rule.group.to_owned(),
                origin: written(rule.origin),
                bearing: bearing(rule, &allowed.scope)?,
                scope: ScopeReport {
                    namespace,
                    image,
                    container,
                    host,
                },
            })
        });
        reports.collect()
    }
}

fn report(sign: &Sign<'_>) -> DetectionReport {
    DetectionReport {
        detection: sign.detection.name.clone(),
        action: sign.action.as_str(),
        score: sign.score,
        matched: sign.matched.clone(),
        why: sign.why.clone(),
    }
}

fn written(origin: &Origin) -> String {
    format!("{}:{}:{}", origin.file, origin.line, origin.column)
}

fn occurrence(needle: &[u8], text: &[u8]) -> Option<usize> {
    text.windows(needle.len().max(1))
        .position(|window| window.eq_ignore_ascii_case(needle))
}
