//! Detections: what is looked for in a process as it is started, and on the wire, as data.
//!
//! One file holds a detection with its reason, what it sees, what is done, and its cases. What a word
//! means where, and what is seen on the wire, is said in `docs/detections.md`; crate `detect` puts it
//! to use.
//!
//! What must stay true: whatever is read without a fault is an automaton of bounded size, which can
//! be packed into a table for the kernel and takes one step a byte.
//!
//! Deliberately not here: cryptnono's lists, whose meaning is their own (see
//! [`blocklist`](crate::blocklist)).

use std::collections::BTreeMap;
use std::sync::Arc;

use davylamp_model::finding::Severity;

use crate::indicators::Confidence;
pub use crate::playbook::cases::CaseKind;
use crate::problem::Faults;
use crate::source::{Source, Text};

mod expression;
pub mod file;
mod lint;
mod read;
mod shipped;

pub use expression::{bytes_of as expression_bytes, ends_itself, start_of, text_of};
pub use shipped::{SHIPPED, shipped};

/// A literal may have this many bytes: the longest things worth naming, wallet addresses, stay near
/// 110.
pub const MAX_LITERAL_BYTES: usize = 512;

/// The automaton of one expression may have this many bytes: many stand in one table of the kernel.
pub const MAX_EXPRESSION_TABLE_BYTES: usize = 256 << 10;

/// A detection may have this many sets of words.
pub const MAX_WORD_SETS: usize = 16;

/// The score that is enough by itself to act on.
pub const FULL_SCORE: u8 = 100;

/// One detection with its cases.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The detection.
    pub detection: Detection,
    /// Which command lines it must find, and which it must not.
    pub cases: Vec<Case>,
}

/// What is looked for, and what is done where it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// Its name, for the behaviour it sees: `miner-program`.
    pub name: String,
    /// One line about it.
    pub title: String,
    /// Why this finds mining, with the source of each fact.
    pub reason: String,
    /// The ATT&CK techniques it finds.
    pub techniques: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is, from 1 to [`FULL_SCORE`]. Scores of several detections add up.
    pub score: u8,
    /// What it may do once the score is full.
    pub response: Response,
    /// Whether a tool that only reads or names what it is given is spared.
    pub spares_mentions: bool,
    /// Known benign causes.
    pub benign: Vec<String>,
    /// What to do next.
    pub next: Vec<String>,
    /// What it sees on the wire, or in a program's file. Empty for one of command lines.
    pub sees: Vec<Wire>,
    /// The words it is about. Empty for one of the wire.
    pub words: Vec<Words>,
    /// Which sets of words must be found together: numbers of `words`. Any one rule is enough.
    pub rules: Vec<Vec<usize>>,
    /// The numbers by which a behaviour is judged, by their names ([`Wire::parameters`]).
    pub parameters: BTreeMap<String, u64>,
    /// The names that it is about: of modules that it looks for, or of what excuses it; of resolvers.
    pub names: Vec<String>,
}

/// What a detection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Response {
    /// Tell.
    Alert,
    /// Kill before the first instruction.
    Kill,
}

/// Words of one meaning: any of them counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What they are, within the detection.
    pub name: String,
    /// Where they count.
    pub place: Place,
    /// Texts, whatever the case of A to Z.
    pub literals: Vec<String>,
    /// Regular expressions over bytes, whose case counts unless they say otherwise. A space stands
    /// for the border between two arguments as well.
    pub expressions: Vec<String>,
    /// What must be right about a text that matches.
    pub checksum: Option<Checksum>,
    /// Domains of pools that are known with this confidence or more, and all below them.
    pub domains: Option<Confidence>,
}

/// A checksum within a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Checksum {
    /// Bitcoin's, in base58: the last four bytes begin the double SHA-256 of those before.
    Base58Check,
}

/// Where a word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// As the name of the program or script that runs: its file name but for version, platform and
    /// extension.
    Program,
    /// In the arguments behind the program's name.
    Argument,
    /// In the program's path, the arguments or the environment.
    Anywhere,
}

/// What can be seen beside the command line: on the wire, in a program's file, and in what a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wire {
    /// Stratum version 1.
    Stratum,
    /// The dialect of CryptoNote, as XMRig speaks it.
    CryptoNote,
    /// The dialects of Ethereum: ethproxy and EthereumStratum.
    EthereumStratum,
    /// Stratum version 2 in the clear.
    Stratum2,
    /// What has the lengths of Stratum version 2's encrypted handshake.
    Stratum2Handshake,
    /// Work asked of a node: `getblocktemplate`, `getwork`.
    BlockTemplate,
    /// The name of a pool is looked up.
    PoolNameLookup,
    /// A TLS greeting names a pool.
    PoolNameInTls,
    /// A long, thin, even flow.
    ThinFlow,
    /// The same, begun with a TLS greeting that names nobody.
    ThinFlowInTlsWithoutName,
    /// A connection to the address of a pool.
    PoolAddress,
    /// Names are asked for by TLS or HTTPS.
    EncryptedDns,
    /// A thread computes in all directed rounding modes, as programs of RandomX do.
    RandomXRounding,
    /// A thread computes in a directed rounding mode.
    DirectedRounding,
    /// A process has much memory in huge pages.
    HugePages,
    /// A container computes at one rate for long.
    SteadyUse,
    /// A process reaches many destinations within a while.
    ManyDestinations,
    /// A process connects to an address that the operator has banned.
    BannedAddress,
    /// A process in a container has a graphics card open and maps no framework for it.
    GpuWithoutFramework,
    /// A process has much executable memory that is of no file.
    AnonymousCode,
    /// A process has mapped a module that mines.
    MiningModule,
    /// A program's or script's file holds what a miner cannot do without.
    MinerFile,
    /// A program's file is packed.
    PackedFile,
    /// A program has no file: it lies in memory, or its file is deleted.
    FilelessProgram,
}

/// What is sent in a case of the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// What the client sends first, each a segment.
    pub sent: Vec<String>,
    /// What the server sends first.
    pub received: Vec<String>,
    /// The name that is looked up.
    pub asks: Option<String>,
    /// The name in a TLS greeting; empty for one that names nobody.
    pub greets: Option<String>,
    /// The server's address and port, where they matter.
    pub reaches: Option<String>,
    /// How long both go on with short messages, in seconds.
    pub lasts_secs: u32,
    /// How often, in seconds.
    pub every_secs: u32,
}

/// What a process or its container was seen to do. What was not looked at is 0, or `None` where 0
/// says something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Context switches of one thread while it rounded to the nearest, as nearly all programs do.
    pub nearest: u64,
    /// While it rounded down.
    pub down: u64,
    /// While it rounded up.
    pub up: u64,
    /// While it rounded toward zero.
    pub to_zero: u64,
    /// For how long, in seconds.
    pub lasts_secs: u64,
    /// Memory of the process in huge pages of the pool, in MiB.
    pub huge_mib: u64,
    /// Executable memory of the process that is of no file, in MiB.
    pub executable_mib: u64,
    /// The files that the process maps, by their names without folders.
    pub maps: Vec<String>,
    /// What the container used in each sample, in percent of one processor. The latest is last.
    pub cpu_percent: Vec<u64>,
    /// The time between two samples, in seconds.
    pub every_secs: u64,
    /// How many addresses and ports the process connected to within `lasts_secs`.
    pub destinations: u64,
    /// The banned address that it connects to, if it does.
    pub banned: Option<String>,
    /// Whether the process has a graphics card open to compute on it.
    pub uses_gpu: bool,
    /// How busy it keeps the card, in percent, where that is known.
    pub gpu_percent: Option<u64>,
    /// Whether the process is in a container.
    pub in_container: bool,
}

/// A command line, traffic, a file or what was observed, and what must come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What the case shows.
    pub kind: CaseKind,
    /// What it is, as a clause.
    pub name: String,
    /// The command line, as in a shell.
    pub command: Option<String>,
    /// Variables of its environment, `NAME=value`.
    pub environment: Vec<String>,
    /// What goes over the wire.
    pub traffic: Option<Traffic>,
    /// What is seen of a process that runs.
    pub observed: Option<Observed>,
    /// The file that is started.
    pub file: Option<file::FileCase>,
    /// What must come of it by this detection alone.
    pub action: Action,
}

/// What comes of a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Nothing is found.
    Clean,
    /// Something is found in the arguments of a tool that only reads or names it.
    Spare,
    /// It is told.
    Alert,
    /// It is killed.
    Kill,
}

impl Place {
    /// Every place with its name in a file.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Program, "program"),
        (Self::Argument, "argument"),
        (Self::Anywhere, "anywhere"),
    ];
}

impl Wire {
    /// Everything that can be seen, with its name in files and answers.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Stratum, "stratum"),
        (Self::CryptoNote, "cryptonote"),
        (Self::EthereumStratum, "ethereum-stratum"),
        (Self::Stratum2, "stratum-2"),
        (Self::Stratum2Handshake, "stratum-2-handshake"),
        (Self::BlockTemplate, "block-template"),
        (Self::PoolNameLookup, "pool-name-lookup"),
        (Self::PoolNameInTls, "pool-name-in-tls"),
        (Self::ThinFlow, "thin-flow"),
        (
            Self::ThinFlowInTlsWithoutName,
            "thin-flow-in-tls-without-name",
        ),
        (Self::PoolAddress, "pool-address"),
        (Self::EncryptedDns, "encrypted-dns"),
        (Self::RandomXRounding, "randomx-rounding"),
        (Self::DirectedRounding, "directed-rounding"),
        (Self::HugePages, "huge-pages"),
        (Self::SteadyUse, "steady-use"),
        (Self::ManyDestinations, "many-destinations"),
        (Self::BannedAddress, "banned-address"),
        (Self::GpuWithoutFramework, "gpu-without-framework"),
        (Self::AnonymousCode, "anonymous-code"),
        (Self::MiningModule, "mining-module"),
        (Self::MinerFile, "miner-file"),
        (Self::PackedFile, "packed-file"),
        (Self::FilelessProgram, "fileless-program"),
    ];

    /// Whether it is seen in what a process does as it runs.
    pub fn is_behaviour(self) -> bool {
        matches!(
            self,
            Self::RandomXRounding
                | Self::DirectedRounding
                | Self::HugePages
                | Self::SteadyUse
                | Self::ManyDestinations
                | Self::BannedAddress
                | Self::GpuWithoutFramework
                | Self::AnonymousCode
                | Self::MiningModule
        )
    }

    /// The parameters that it is judged by, all of which its detection must give.
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::RandomXRounding => &["least_each", "least_share_percent", "least_secs"],
            Self::DirectedRounding => &["least", "least_share_percent", "least_secs"],
            Self::HugePages | Self::AnonymousCode => &["least_mib"],
            Self::SteadyUse => &[
                "least_percent",
                "share_percent",
                "window_secs",
                "within_percent",
            ],
            Self::ManyDestinations => &["more_than", "within_secs"],
            Self::GpuWithoutFramework => &["least_percent"],
            _ => &[],
        }
    }

    /// Whether it is seen in a program's file, and not on the wire.
    pub fn is_of_file(self) -> bool {
        matches!(
            self,
            Self::MinerFile | Self::PackedFile | Self::FilelessProgram
        )
    }

    /// Its name in files and answers.
    pub fn as_str(self) -> &'static str {
        let known = Self::ALL.iter().find(|(seen, _)| *seen == self);
        known.map_or("", |(_, name)| name)
    }
}

impl Detection {
    /// Whether it is about programs' files.
    pub fn is_of_files(&self) -> bool {
        self.sees.iter().any(|seen| seen.is_of_file())
    }
}

impl Checksum {
    /// Every checksum with its name in a file.
    pub const ALL: &[(Self, &str)] = &[(Self::Base58Check, "base58check")];
}

impl Response {
    /// Every response with its name in a file.
    pub const ALL: &[(Self, &str)] = &[(Self::Alert, "alert"), (Self::Kill, "kill")];
}

impl Action {
    /// Every action with its name in files and answers.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Clean, "clean"),
        (Self::Spare, "spare"),
        (Self::Alert, "alert"),
        (Self::Kill, "kill"),
    ];

    /// Its name in files and answers.
    pub fn as_str(self) -> &'static str {
        let known = Self::ALL.iter().find(|(action, _)| *action == self);
        known.map_or("", |(_, name)| name)
    }
}

/// Reads one detection.
///
/// # Errors
/// Every fault of the text.
pub fn parse(source: Source<'_>) -> Result<Parsed, Faults> {
    let text = Arc::new(Text::new(source.name, source.text));
    read::file(&text)
}

#[cfg(test)]
mod tests;
