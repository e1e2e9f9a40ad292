//! What calls: the user agents that tools really send.

use super::dice::Dice;

/// A tool in one of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agent {
    /// `aws`, which names the command it runs.
    Cli {
        /// Its version.
        version: String,
        /// What it runs on.
        system: &'static str,
    },
    /// A web browser at the console.
    Browser(&'static str),
    /// Whatever says the same at every call.
    Fixed(String),
}

const SYSTEMS: &[&str] = &[
    "Python/3.11.8 Darwin/23.4.0 exe/x86_64",
    "Python/3.11.8 Linux/6.5.0-27-generic exe/x86_64.ubuntu.22",
    "Python/3.11.6 Windows/10 exe/AMD64",
    "Python/3.12.4 Darwin/24.1.0 source/arm64",
];

const BROWSERS: &[&str] = &[
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/127.0.0.0 Safari/537.36 Edg/127.0.0.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
];

/// Tools of intruders: mostly scripts on rented machines.
const INTRUDERS: &[&str] = &[
    "Boto3/1.26.90 Python/3.9.2 Linux/5.10.0-21-amd64 Botocore/1.29.90",
    "Boto3/1.34.84 md/Botocore#1.34.84 ua/2.0 os/linux#5.15.0-102-generic md/arch#x86_64 lang/python#3.10.12 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.34.84",
    "aws-sdk-go/1.44.298 (go1.20.4; linux; amd64)",
    "aws-cli/1.22.34 Python/3.10.12 Linux/5.15.0-84-generic botocore/1.23.34",
    "python-requests/2.28.1",
    "aws-cli/2.4.6 Python/3.8.8 Windows/10 exe/AMD64 prompt/off",
    "Boto3/1.28.17 Python/3.11.4 Windows/10 Botocore/1.31.17",
];

impl Agent {
    /// Somebody's command line.
    pub fn cli(dice: &mut Dice) -> Self {
        Self::Cli {
            version: format!("2.{}.{}", dice.between(13, 17), dice.between(0, 40)),
            system: dice.one(SYSTEMS),
        }
    }

    /// Somebody's browser.
    pub fn browser(dice: &mut Dice) -> Self {
        Self::Browser(dice.one(BROWSERS))
    }

    /// An intruder's tool.
    pub fn intruder(dice: &mut Dice) -> Self {
        Self::Fixed((dice.one(INTRUDERS)).to_owned())
    }

    /// Terraform, as the owner runs it.
    pub fn terraform() -> Self {
        Self::fixed(
            "APN/1.0 HashiCorp/1.0 Terraform/1.7.5 (+https://www.terraform.io) terraform-provider-aws/5.44.0 \
             (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.26.0 os/linux lang/go#1.21.8 \
             md/GOOS#linux md/GOARCH#amd64",
        )
    }

    /// A tool that says the same at every call.
    pub fn fixed(text: &str) -> Self {
        Self::Fixed(text.to_owned())
    }

    /// What stands in the record of a call.
    pub fn text(&self, service: &str, action: &str) -> String {
        match self {
            Self::Cli { version, system } => {
                format!(
                    "aws-cli/{version} {system} prompt/off command/{service}.{}",
                    dashed(action)
                )
            }
            Self::Browser(text) => (*text).to_owned(),
            Self::Fixed(text) => text.clone(),
        }
    }

    /// Whether it is a person at the console.
    pub fn is_browser(&self) -> bool {
        matches!(self, Self::Browser(_))
    }
}

/// `describe-instances` for `DescribeInstances`.
fn dashed(action: &str) -> String {
    let mut dashed = String::with_capacity(action.len() + 4);
    for (at, letter) in action.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            dashed.push('-');
        }
        dashed.push(letter.to_ascii_lowercase());
    }
    dashed
}
