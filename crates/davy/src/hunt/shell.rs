//! The interactive shell: one question after another over the same logs, with completion.
//!
//! What must stay true: a question that is wrong, or is broken off with Ctrl-C, ends nothing but
//! itself; what was not read is said after each, as after a single query.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use davylamp_hunt::engine::{Engine, is_finished, questions};
use davylamp_hunt::functions;
use davylamp_hunt::read::{Given, LOGS};
use davylamp_hunt::table::{Kind, Table};
use reedline::{
    ColumnarMenu, Completer, CompletionResult, DefaultPrompt, DefaultPromptSegment, Emacs,
    FileBackedHistory, KeyCode, KeyModifiers, MenuBuilder, Reedline, ReedlineEvent, ReedlineMenu,
    Signal, Span, Suggestion, ValidationResult, Validator, default_emacs_keybindings,
};

use super::args::{Output, SqlArgs};
use super::asked::Asked;
use crate::failure::Failure;
use crate::output::{ColourChoice, counted, emit, note};

/// Questions that are remembered.
const HISTORY: usize = 1000;

/// What the menu of completions is called within the editor.
const MENU: &str = "words";

const HELP: &str = "\
A question ends with a semicolon; Tab completes tables, columns and functions.
  \\d            the tables, and how many objects each has
  \\d TABLE      its columns
  \\df           the functions of the field
  \\f FORM       print rows as table, json, jsonl or csv
  \\q            leave; so does Ctrl-D. Ctrl-C breaks off a question
";

/// Words that are completed beside the names of tables, columns and functions.
const WORDS: [&str; 41] = [
    "AND",
    "AS",
    "ASC",
    "AVG",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COALESCE",
    "COUNT",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "FROM",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MAX",
    "MIN",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "SELECT",
    "SUM",
    "THEN",
    "UNION",
    "WHEN",
    "WHERE",
    "WITH",
    "EXPLAIN",
];

/// Asks what is typed, until its end.
pub(super) async fn ask(asked: &Asked, args: &SqlArgs) -> Result<ExitCode, Failure> {
    let mut editor = editor()?;
    let prompt = DefaultPrompt::new(
        DefaultPromptSegment::Basic("davy".to_owned()),
        DefaultPromptSegment::Empty,
    );
    note(&format!("{}\\h for help", held(asked.engine())));
    let mut form = args.output;
    loop {
        // Reading blocks; nothing else runs meanwhile but what it waits for.
        let typed = tokio::task::block_in_place(|| editor.read_line(&prompt)).map_err(broken)?;
        let line = match typed {
            Signal::Success(line) => line,
            Signal::CtrlD => break,
            _ => continue,
        };
        match line.trim().trim_end_matches(';').trim_end() {
            "" => {}
            "\\q" | "exit" | "quit" => break,
            command if command.starts_with('\\') => {
                emit(command_of(asked.engine(), command, &mut form))?;
            }
            _ => answer(asked, &line, form, args.logs.strict).await?,
        }
    }
    asked.tell_spent();
    Ok(ExitCode::SUCCESS)
}

fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(
        anyhow!(error).context("the terminal cannot be used"),
        "give the query as an argument: davy hunt sql \"SELECT …\" --logs WHERE",
    )
}

fn editor() -> Result<Reedline, Failure> {
    let mut keys = default_emacs_keybindings();
    let complete = ReedlineEvent::UntilFound(vec![
        ReedlineEvent::Menu(MENU.to_owned()),
        ReedlineEvent::MenuNext,
    ]);
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
    let menu = Box::new(ColumnarMenu::default().with_name(MENU));
    let editor = Reedline::create()
        .with_completer(Box::new(Words::new()?))
        .with_partial_completions(true)
        .with_quick_completions(true)
        .with_menu(ReedlineMenu::EngineCompleter(menu))
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_validator(Box::new(Whole))
        .with_ansi_colors(ColourChoice::Auto.on_stdout());
    let kept = history().map(|path| FileBackedHistory::with_file(HISTORY, path));
    Ok(match kept {
        Some(Ok(history)) => editor.with_history(Box::new(history)),
        Some(Err(error)) => {
            note(&format!("questions are not remembered: {error}"));
            editor
        }
        None => editor,
    })
}

/// Asks every question of what was typed. One that fails is told.
async fn answer(asked: &Asked, typed: &str, form: Output, is_strict: bool) -> Result<(), Failure> {
    let all = match questions(typed) {
        Ok(all) => all,
        Err(error) => {
            super::failure(error).print(ColourChoice::Auto);
            return Ok(());
        }
    };
    for question in all {
        let asking = super::ask(asked, question, form, None, is_strict);
        let answered = tokio::select! {
            answered = asking => answered,
            _ = tokio::signal::ctrl_c() => {
                asked.stop().await;
                note("broken off");
                return Ok(());
            }
        };
        if let Err(failure) = answered {
            failure.print(ColourChoice::Auto);
        }
    }
    Ok(())
}

/// What a command that starts with a backslash answers.
fn command_of(engine: Option<&Engine>, command: &str, form: &mut Output) -> String {
    let mut words = command.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("\\h" | "\\?"), None, None) => HELP.to_owned(),
        (Some("\\d"), None, None) => tables(engine),
        (Some("\\d"), Some(name), None) => match table(name) {
            Some(table) => columns(table),
            None => format!("there is no table {name}; \\d lists them\n"),
        },
        (Some("\\df"), None, None) => match known_functions() {
            Ok(all) => all.iter().fold(String::new(), |mut text, it| {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{:<32} {}", it.usage, it.about);
                text
            }),
            Err(failure) => {
                failure.print(ColourChoice::Auto);
                String::new()
            }
        },
        (Some("\\f"), Some(name), None) => {
            *form = match name {
                "table" => Output::Table,
                "json" => Output::Json,
                "jsonl" => Output::Jsonl,
                "csv" => Output::Csv,
                _ => return format!("there is no form {name}: table, json, jsonl or csv\n"),
            };
            String::new()
        }
        _ => format!("there is no such command\n{HELP}"),
    }
}

fn known_functions() -> Result<Vec<functions::Function>, Failure> {
    Ok(functions::all(&Given::shipped()?.indicators))
}

fn table(name: &str) -> Option<&'static Table> {
    let mut tables = LOGS.iter().map(|log| log.table());
    tables.find(|table| table.name.eq_ignore_ascii_case(name))
}

/// The tables that have objects, in a few words.
fn held(engine: Option<&Engine>) -> String {
    let mut text = String::new();
    for (table, count) in engine.into_iter().flat_map(Engine::objects) {
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{table}: {}; ", objects(count));
        }
    }
    text
}

fn objects(count: usize) -> String {
    counted(count as u64, "object", "objects")
}

fn tables(engine: Option<&Engine>) -> String {
    let mut text = String::new();
    for log in LOGS {
        let table = log.table();
        let holds = engine.map(|engine| {
            let of_it = engine.objects().filter(|(name, _)| *name == table.name);
            objects(of_it.map(|(_, count)| count).sum())
        });
        let holds = holds.unwrap_or_default();
        let _ = writeln!(text, "{:<18} {holds:>14}  {}", table.name, table.about);
    }
    text
}

fn columns(table: &Table) -> String {
    let mut text = String::new();
    for column in table.columns {
        let kind = match column.kind {
            Kind::Text => "text",
            Kind::Integer => "integer",
            Kind::Float => "float",
            Kind::Boolean => "boolean",
            Kind::Time => "time",
        };
        let _ = writeln!(text, "{:<28} {kind:<8} {}", column.name, column.about);
    }
    text
}

/// Where questions are remembered: they may name people, so the folder is its owner's.
fn history() -> Option<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let state = std::env::var_os("XDG_STATE_HOME").filter(|it| !it.is_empty());
    let folder = state.map(PathBuf::from).or_else(home)?.join("davylamp");
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&folder).ok()?;
    Some(folder.join("hunt-history"))
}

/// A question is whole with its semicolon, a command with its line.
struct Whole;

impl Validator for Whole {
    fn validate(&self, typed: &str) -> ValidationResult {
        let text = typed.trim();
        let is_command = text.is_empty() || text.starts_with('\\');
        match is_command || matches!(text, "exit" | "quit") || is_finished(text) {
            true => ValidationResult::Complete,
            false => ValidationResult::Incomplete,
        }
    }
}

/// What can be completed.
struct Words {
    tables: Vec<&'static str>,
    /// Columns of every table, and functions, each once and in order.
    names: Vec<String>,
}

impl Words {
    fn new() -> Result<Self, Failure> {
        let tables: Vec<&Table> = LOGS.iter().map(|log| log.table()).collect();
        let columns = tables.iter().flat_map(|table| table.columns);
        let mut names: Vec<String> = columns.map(|column| column.name.to_owned()).collect();
        let called = |usage: &str| {
            usage
                .split_inclusive('(')
                .next()
                .unwrap_or(usage)
                .to_owned()
        };
        names.extend(known_functions()?.iter().map(|it| called(it.usage)));
        names.extend(WORDS.map(str::to_owned));
        names.extend(tables.iter().map(|table| table.name.to_owned()));
        names.sort();
        names.dedup();
        let tables = tables.iter().map(|table| table.name).collect();
        Ok(Self { tables, names })
    }

    /// What a word that ends at a position may become, and where it starts.
    fn of(&self, line: &str, position: usize) -> (usize, Vec<String>) {
        let before = &line[..position];
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let start = before.trim_end_matches(is_part).len();
        let (head, word) = before.split_at(start);
        let follows = head.trim_end().rsplit(char::is_whitespace).next();
        let asks_table = follows.is_some_and(|it| {
            let it = it.to_ascii_uppercase();
            matches!(it.as_str(), "FROM" | "JOIN" | "\\D")
        });
        if word.is_empty() && !asks_table {
            return (start, Vec::new());
        }
        let begins = |name: &str| {
            let head = name.get(..word.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        let fitting = match asks_table {
            true => self
                .tables
                .iter()
                .filter(|it| begins(it))
                .map(|it| (*it).to_owned())
                .collect(),
            false => self.names.iter().filter(|it| begins(it)).cloned().collect(),
        };
        (start, fitting)
    }
}

impl Completer for Words {
    fn complete(&mut self, line: &str, position: usize) -> CompletionResult {
        let (start, fitting) = self.of(line, position);
        let span = Span::new(start, position);
        let suggestion = |value: String| Suggestion {
            value,
            span,
            ..Suggestion::default()
        };
        let all: Vec<Suggestion> = fitting.into_iter().map(suggestion).collect();
        CompletionResult::fresh(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_completed_by_what_stands_before() {
        let words = Words::new().expect("what ships is good");
        let of = |line: &str| words.of(line, line.len()).1;
        assert_eq!(of("SELECT * FROM cloudtrail_"), ["cloudtrail_digest"]);
        assert!(of("select * from ").contains(&"vpc_flow".to_owned()));
        assert_eq!(of("\\d dns"), ["dns_query"]);
        assert!(of("SELECT event_n").contains(&"event_name".to_owned()));
        assert_eq!(of("SELECT is_pub"), ["is_public("]);
        assert!(of("SELECT a FROM b WHE").contains(&"WHERE".to_owned()));
        assert!(of("SELECT ").is_empty());
        let (start, _) = words.of("SELECT count(dst", 16);
        assert_eq!(start, 13);
        // Nothing breaks within a letter of several bytes.
        assert!(of("SELECT 'é").is_empty());
    }

    #[test]
    fn a_question_goes_on_over_lines_until_its_semicolon() {
        let is_whole = |text: &str| matches!(Whole.validate(text), ValidationResult::Complete);
        for whole in [
            "",
            "\\d",
            "\\d vpc_flow",
            "quit",
            "SELECT 1;",
            "SELECT 1; -- so\n",
        ] {
            assert!(is_whole(whole), "{whole}");
        }
        for part in ["SELECT 1", "SELECT ';", "SELECT 1; SELECT 2", "-- a; b"] {
            assert!(!is_whole(part), "{part}");
        }
    }

    #[test]
    fn commands_are_answered_without_logs() {
        let mut form = Output::Table;
        let mut say = |command: &str| command_of(None, command, &mut form);
        assert!(say("\\d").contains("cloudtrail"));
        assert!(say("\\d CloudTrail").contains("event_name"));
        assert!(say("\\d nowhere").contains("no table nowhere"));
        assert!(say("\\df").contains("in_cidr("));
        assert!(say("\\x").contains("no such command"));
        assert!(say("\\f html").contains("no form html"));
        assert_eq!(say("\\f csv"), "");
        assert_eq!(form, Output::Csv);
    }
}
