//! Logs of accounts that were attacked, or were not, with the truth beside them.
//!
//! A [`Story`] is drawn by lot from a seed: who works in some accounts, what their machines do all day,
//! and what an intruder does among it. It is written as AWS would deliver it, and as the flight
//! recorder would see it; `truth.json` and `labels.tsv` say what really happened.
//!
//! What must stay true: the same seed and options give the same bytes; memory does not grow with the
//! number of events; what is modelled is AWS and people, not what some analysis looks for, so nothing
//! here knows how a case is made.
//!
//! Deliberately not here: signed digest files, data events, and the text of programs.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

mod agents;
mod background;
mod beside;
mod calendar;
mod calls;
mod cast;
mod config;
mod dice;
mod event;
mod identity;
mod ids;
mod layout;
mod places;
mod recorder;
mod regions;
mod scenario;
mod sensors;
mod truth;
mod world;

pub use event::Hand;
pub use scenario::Scenario;
pub use truth::{
    CostBasis, Credential, FILE as TRUTH_FILE, Instance, LABELS as LABELS_FILE, Left, Origin,
    Principal, Tampering, Truth, Verdict, Workload, Written, labels,
};

use background::Background;
use calendar::{DAY_SECS, HOUR_SECS};
use cast::{Cast, Machine};
use config::Config;
use dice::Dice;
use event::Event;
use layout::Layout;
use recorder::Recorder;
use scenario::Played;
use sensors::Sensors;
use world::World;

/// Whether CloudTrail writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrailPlan {
    /// Never.
    Never,
    /// Since somebody found out.
    Late,
    /// Until the intruder stopped it.
    Stopped,
    /// All the time.
    Whole,
}

/// How often the recorder looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecorderPlan {
    /// Never.
    Never,
    /// Each hour.
    Hourly,
    /// Each day.
    Daily,
}

/// What AWS Config delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigPlan {
    /// Nothing: it is off.
    Never,
    /// What has changed, each six hours.
    History,
    /// That, and a snapshot each day.
    Daily,
}

/// The envelope of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Files of a trail: `{"Records":[…]}`.
    Files,
    /// Answers of LookupEvents: `{"Events":[…]}`, each with its record as a text.
    LookupEvents,
    /// EventBridge's, one a line.
    EventBridge,
}

/// What a story has, beside its seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What happens; by lot if nothing is said.
    pub scenario: Option<Scenario>,
    /// Accounts, at least one.
    pub accounts: usize,
    /// People, at least four.
    pub users: usize,
    /// Roles in each account, at least eleven.
    pub roles: usize,
    /// Machines of the owner.
    pub instances: usize,
    /// Days before the attack; with none there is nothing to compare it with.
    pub history_days: i64,
    /// Days the attack goes unnoticed.
    pub attack_days: i64,
    /// About how many events machines make in all, beside those of people; what people and intruders do
    /// comes on top.
    pub machine_events: u64,
    /// Whether CloudTrail writes; by lot if nothing is said.
    pub trail: TrailPlan,
    /// Whether the recorder looks.
    pub recorder: RecorderPlan,
    /// What AWS Config delivers.
    pub config: ConfigPlan,
    /// Whether there are findings, and detectors to be switched off.
    pub guardduty: bool,
    /// Whether there are flow logs of machines.
    pub flow: bool,
    /// Whether there are logs of DNS queries.
    pub dns: bool,
    /// How many of a hundred events are delivered twice. Seen in a real set: 21.
    pub repeated_percent: u64,
    /// Whether files are out of order, late, and of several members of gzip.
    pub has_disorder: bool,
    /// Whether some services write records of older versions.
    pub has_old_versions: bool,
    /// The envelope.
    pub form: Form,
    /// Whether digests and insights lie beside the events.
    pub has_beside: bool,
    /// Minutes of events in a file.
    pub file_minutes: i64,
    /// Whether [`LABELS_FILE`] is written.
    pub labels: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scenario: None,
            accounts: 1,
            users: 8,
            roles: 12,
            instances: 10,
            history_days: 12,
            attack_days: 14,
            machine_events: 8_000,
            trail: TrailPlan::Whole,
            recorder: RecorderPlan::Never,
            config: ConfigPlan::Never,
            guardduty: false,
            flow: false,
            dns: false,
            repeated_percent: 20,
            has_disorder: true,
            has_old_versions: true,
            form: Form::Files,
            has_beside: true,
            file_minutes: 60,
            labels: true,
        }
    }
}

impl Options {
    fn file_secs(&self) -> i64 {
        self.file_minutes.max(1) * 60
    }
}

/// The day of the first story, 2 March 2026, a Monday.
const FIRST_DAY: i64 = 20_514;

/// How many days later a story may begin.
const LATER_DAYS: i64 = 120;

/// A story, before it is written.
#[derive(Debug)]
pub struct Story {
    seed: u64,
    options: Options,
    cast: Cast,
    /// What the scenario has happen, by time; the rest is made while it is written.
    script: Vec<Event>,
    truth: Truth,
    /// The machines of the intruder, in the order of the truth's instances.
    fleet: Vec<Machine>,
}

impl Story {
    /// Draws a story by lot.
    pub fn new(seed: u64, options: &Options) -> Self {
        let mut dice = Dice::of(seed, "story", 0);
        let scenario = options.scenario.unwrap_or_else(|| dice.one(Scenario::ALL));
        let day = FIRST_DAY + dice.between(0, LATER_DAYS);
        let attack =
            (day + options.history_days) * DAY_SECS + dice.between(2 * HOUR_SECS, 20 * HOUR_SECS);
        let start = match options.history_days {
            0 => calendar::hour_of(attack) * HOUR_SECS,
            _ => day * DAY_SECS,
        };
        let mut cast = Cast::draw(seed, options, start);
        let Played {
            events: script,
            mut truth,
            fleet,
        } = scenario::play(scenario, seed, options, &mut cast, attack);
        truth.seed = seed;
        truth.accounts.clone_from(&cast.accounts);
        Self {
            seed,
            options: options.clone(),
            cast,
            script,
            truth,
            fleet,
        }
    }

    /// What really happens in it.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Writes its logs and its truth below a folder, and returns the truth with what was written.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, dir: &Path) -> io::Result<Truth> {
        let (start, end) = self.truth.span;
        let background = Background::new(self.seed, &self.cast, &self.options, self.truth.span);
        let mut world = World::default();
        for effect in self.cast.things(&self.options) {
            world.apply(start, &effect);
        }
        let mut layout = Layout::new(dir, self.seed, &self.options, start)?;
        let mut recorder = Recorder::new(&self.cast.accounts);
        let mut config = Config::new(dir, self.seed, &self.options);
        config.begin(&self.cast.accounts, &mut world, start);
        let mut script = self.script.iter().peekable();
        let mut pending: Vec<Event> = Vec::new();
        let sensors = Sensors::new(
            self.seed,
            &self.options,
            &self.cast,
            &self.fleet,
            &self.truth,
        );
        let mut snapshots = 0;
        for hour in calendar::hour_of(start)..calendar::hour_of(end) {
            let (from, until) = (hour * HOUR_SECS, (hour + 1) * HOUR_SECS);
            let is_due = match self.options.recorder {
                RecorderPlan::Never => false,
                RecorderPlan::Hourly => true,
                RecorderPlan::Daily => from % DAY_SECS == 0,
            };
            if self.options.recorder == RecorderPlan::Never {
                // Nobody asks what has changed, so nothing is to be remembered of it.
                world.take_changed();
            }
            if is_due {
                world.pass(from);
                recorder.snapshot(dir, &mut world, from)?;
                snapshots += 1;
            }
            background.hour(hour, &mut pending);
            while let Some(event) = script.next_if(|event| event.at < until) {
                pending.push(event.clone());
            }
            pending.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
            let later = pending.partition_point(|event| event.at < until);
            sensors.hour(dir, hour, &world)?;
            for event in pending.drain(..later) {
                let was_logging = world.is_logging(&event.account);
                sensors.call(dir, &event, &world)?;
                world.see(&event);
                config.see(Some(&event), &mut world);
                if was_logging || world.is_logging(&event.account) {
                    layout.deliver(&event)?;
                } else {
                    layout.written.unlogged += 1;
                }
            }
            world.pass(until);
            config.see(None, &mut world);
            config.deliver(until)?;
        }
        let first = self.truth.instances.first();
        let has_insights = self.options.has_beside && self.options.trail == TrailPlan::Whole;
        if let (true, Some(first)) = (has_insights, first) {
            beside::insight(dir, &first.account, &first.region, first.start)?;
        }
        config.finish(end)?;
        let mut truth = self.truth.clone();
        truth.written = layout.finish()?;
        truth.written.snapshots = snapshots;
        std::fs::write(dir.join(TRUTH_FILE), serde_json::to_vec_pretty(&truth)?)?;
        Ok(truth)
    }
}
