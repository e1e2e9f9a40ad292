//! The results as a page: docs/benchmarks.md, and the same text for the terminal.

use std::fmt::Write as _;

use comfy_table::{Table, presets};

use super::figures::{Percentiles, Spread};
use super::machine::Machine;
use super::measure::{BYTES, DEATH_STRINGS, Effort, ListRow, Results, StormCell, TARGET};

/// What the figures should come to.
const MOST_RATIO: f64 = 1.01;
const MOST_DEATH_MS: f64 = 1.0;
const MOST_AGENT_US: f64 = 5.0;
const MOST_KERNEL_US: f64 = 3.0;
const MOST_GROWTH: f64 = 1.5;
const MOST_RESIDENT_MIB: f64 = 20.0;
const MOST_RELOAD_MS: f64 = 100.0;

/// A figure beside what it should come to.
struct Goal {
    what: String,
    most: f64,
    reached: f64,
    unit: &'static str,
}

impl Goal {
    fn row(&self) -> [String; 4] {
        let Self {
            what,
            most,
            reached,
            unit,
        } = self;
        let verdict = if reached <= most {
            "reached".to_owned()
        } else {
            format!("**missed** by {}", short(reached - most))
        };
        [
            what.clone(),
            format!("at most {most}{unit}"),
            format!("{}{unit}", short(*reached)),
            verdict,
        ]
    }
}

/// The page.
pub fn page(machine: &Machine, effort: &Effort, results: &Results) -> String {
    [
        head(machine, effort),
        goals(results),
        storms(results),
        lists(results),
        deaths(effort, results),
        INCUMBENT.to_owned(),
    ]
    .join("\n")
}

fn head(machine: &Machine, effort: &Effort) -> String {
    let Machine {
        cpu,
        cores,
        kernel,
        memory_mib,
        load,
        date,
    } = machine;
    let Effort {
        pairs,
        execs,
        deaths,
        benign,
        holds,
        ..
    } = effort;
    format!(
        "# Benchmarks of the exec guard

Written by `make bench-guard` (`cargo xtask bench-guard --record`) on {date}: {cpu}, {cores} cores, \
{memory_mib} MiB, {kernel}, load {load} when it began. The release `davy`, in enforce mode, unpinned.

What is compared is this machine without the guard, in the same run. Storms come in {pairs} pairs, \
one with the guard and one without, next to each other in time, in alternating order. A storm is \
{execs} times vfork, execve and waitpid (a fifth of that for the longest arguments), by one process \
that stays on one processor, of a static program that does nothing but exit: the cheapest exec there \
is, so the ratio is the worst there is. Told are the median and, in brackets, the middle half of the \
pairs. Strings are 8 to 24 random letters, digits, dots and dashes. Deaths: {deaths} of each kind; \
agent: {benign} benign execs; holds: {holds}.
"
    )
}

fn goals(results: &Results) -> String {
    let (strings, bytes) = TARGET;
    let at = |wanted: usize| results.lists.iter().find(|row| row.strings == wanted);
    let cell = |row: &ListRow| {
        BYTES
            .iter()
            .zip(&row.cells)
            .find(|(length, _)| **length == bytes)
            .map(|(_, cell)| (cell.cpu_ratio.median, cell.kernel_ns.median, cell.exec_ns))
    };
    let (ratio, kernel, exec) =
        at(strings)
            .and_then(cell)
            .unwrap_or((f64::NAN, f64::NAN, f64::NAN));
    let kernels: Vec<f64> = results
        .lists
        .iter()
        .filter_map(cell)
        .map(|(_, ns, _)| ns)
        .collect();
    let fastest = kernels.iter().copied().fold(f64::INFINITY, f64::min);
    let slowest = kernels.iter().copied().fold(0.0, f64::max);
    let row = at(strings);
    let of_row = |figure: fn(&ListRow) -> f64| row.map_or(f64::NAN, figure);
    let [_, _, killed] = results.killed;
    let under = format!("{} strings and {bytes} bytes", grouped(strings));
    let goals = [
        goal(
            "banned `echo`s that printed",
            0.0,
            (results.printed_in_turn + results.printed_four) as f64,
            "",
        ),
        goal(
            &format!(
                "exec to reaped death, p99, {} strings",
                grouped(DEATH_STRINGS)
            ),
            MOST_DEATH_MS,
            killed / 1e6,
            " ms",
        ),
        goal(
            &format!("storm of the least program, {under}"),
            MOST_RATIO,
            ratio,
            "",
        ),
        goal(
            &format!("the same without the noise, by its share of an exec, {under}"),
            MOST_RATIO,
            1.0 + kernel / exec,
            "",
        ),
        goal(
            &format!("storm of `/bin/true`, {under}"),
            MOST_RATIO,
            results.ordinary.cpu_ratio.median,
            "",
        ),
        goal(
            "agent's processor time for a benign exec",
            MOST_AGENT_US,
            results.agent_ns_per_exec / 1e3,
            " µs",
        ),
        goal(
            &format!("time in the kernel for an exec, {under}"),
            MOST_KERNEL_US,
            kernel / 1e3,
            " µs",
        ),
        goal(
            &format!("the same, longest list to shortest, {bytes} bytes"),
            MOST_GROWTH,
            slowest / fastest,
            "",
        ),
        goal(
            &format!("agent's resident memory, {} strings", grouped(strings)),
            MOST_RESIDENT_MIB,
            of_row(|row| row.resident_kib as f64 / 1024.0),
            " MiB",
        ),
        goal(
            &format!("reload, {} strings", grouped(strings)),
            MOST_RELOAD_MS,
            of_row(|row| row.reload.median),
            " ms",
        ),
    ];
    let mut table = table(&["", "target", "measured", ""]);
    for goal in &goals {
        table.add_row(goal.row());
    }
    format!("## Targets\n\n{table}\n")
}

fn goal(what: &str, most: f64, reached: f64, unit: &'static str) -> Goal {
    Goal {
        what: what.to_owned(),
        most,
        reached,
        unit,
    }
}

fn storms(results: &Results) -> String {
    let mut table = table(&[
        "strings",
        "bytes",
        "processor time to no guard",
        "time to no guard",
        "in the kernel, µs",
        "share of an exec",
    ]);
    let mut add = |strings: String, bytes: usize, cell: &StormCell| {
        table.add_row([
            strings,
            grouped(bytes),
            spread(&cell.cpu_ratio, 1.0, 3),
            spread(&cell.wall_ratio, 1.0, 3),
            spread(&cell.kernel_ns, 1e3, 2),
            format!("{:.1} %", 100.0 * cell.kernel_ns.median / cell.exec_ns),
        ]);
    };
    for row in &results.lists {
        for (bytes, cell) in BYTES.iter().zip(&row.cells) {
            add(grouped(row.strings), *bytes, cell);
        }
    }
    add(
        format!("{}, `/bin/true`", grouped(TARGET.0)),
        TARGET.1,
        &results.ordinary,
    );
    format!(
        "## Exec storm

Time in the kernel is by the kernel's own statistics of the program (`kernel.bpf_stats_enabled`), \
taken apart from the pairs. Its share of an exec without a guard does not suffer from the noise that \
the ratios have.

{table}
"
    )
}

fn lists(results: &Results) -> String {
    let mut table = table(&[
        "strings",
        "table, KiB",
        "start to ready, ms",
        "reload, ms",
        "agent resident, MiB",
        "at most, MiB",
    ]);
    for row in &results.lists {
        table.add_row([
            grouped(row.strings),
            grouped(row.table_bytes as usize / 1024),
            spread(&row.load, 1.0, 0),
            spread(&row.reload, 1.0, 1),
            format!("{:.1}", row.resident_kib as f64 / 1024.0),
            format!("{:.1}", row.peak_kib as f64 / 1024.0),
        ]);
    }
    format!("## Lists\n\nResident memory is taken after a reload.\n\n{table}\n")
}

fn deaths(effort: &Effort, results: &Results) -> String {
    let mut table = table(&["", "p50, µs", "p90, µs", "p99, µs"]);
    let mut add = |what: &str, percentiles: &Percentiles| {
        let [p50, p90, p99] = percentiles.map(|ns| format!("{:.0}", ns / 1e3));
        table.add_row([what.to_owned(), p50, p90, p99]);
    };
    add(
        "execve to reaped death, killed by the guard",
        &results.killed,
    );
    add("the same program ends by itself", &results.unharmed);
    add("held by one expression, until released", &results.hold);
    format!(
        "## Deaths and holds

Under {} strings, on any processor.

{table}

Of {echoes} banned `/bin/echo`s, {} printed one after the other, and {} of {echoes} four at a time. \
The agent used {:.2} µs of processor time for each benign exec, all else that it did meanwhile included.
",
        grouped(DEATH_STRINGS),
        results.printed_in_turn,
        results.printed_four,
        results.agent_ns_per_exec / 1e3,
        echoes = grouped(effort.echoes),
    )
}

/// Facts about cryptnono from the project's own earlier runs of it.
const INCUMBENT: &str = "## The incumbent

Not measured in this run; from running cryptnono with harmless strings on a machine of this kind: \
execve to death p99 4 to 22 ms, 15 to 98 % of rapid `echo`s printed, 110 to 280 µs of processor time \
for each benign exec, about 200 MiB resident.
";

fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::ASCII_MARKDOWN)
        .set_header(headings.to_vec());
    table
}

/// `median (low to high)`, divided by `unit`.
fn spread(spread: &Spread, unit: f64, places: usize) -> String {
    let [low, median, high] = [spread.low, spread.median, spread.high]
        .map(|figure| format!("{:.places$}", figure / unit));
    format!("{median} ({low} to {high})")
}

/// As few digits as say enough beside a target.
fn short(figure: f64) -> String {
    let mut text = String::new();
    let places = if figure.fract() == 0.0 {
        0
    } else if figure < 10.0 {
        3
    } else {
        1
    };
    write!(text, "{figure:.places$}").expect("a string takes what is written");
    text
}

/// With commas between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_is_said_to_be_missed() {
        let row = |reached| goal("x", 2.0, reached, " ms").row().concat();
        assert!(row(2.0).ends_with("reached"));
        assert!(row(3.0).ends_with("**missed** by 1"));
        assert!(row(f64::NAN).contains("missed"));
        assert!(goal("x", 0.0, 1.0, "").row()[3].contains("missed"));
    }

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(100_000), "100,000");
        assert_eq!(grouped(1_000), "1,000");
    }
}
