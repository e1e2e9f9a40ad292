//! Indicators that would do harm: what they match is what everybody uses.
//!
//! A list that somebody brings may hold anything: a typing error, a shared host, or an entry that was
//! put there so that a defender blocks himself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Value, normal};

/// Networks wider than this hold whole providers.
const MIN_BITS_V4: u8 = 16;
const MIN_BITS_V6: u8 = 32;

/// Ports below this are of well-known services.
const FIRST_TELLING_PORT: u16 = 1024;

/// Ports of web servers, which say nothing.
const WEB_PORTS: &[u16] = &[
    3000, 3128, 5000, 8000, 8008, 8080, 8081, 8443, 8888, 9090, 9443,
];

/// Where nobody but the owner has a host: refused with everything below.
const OWN: &[&str] = &[
    "anaconda.com",
    "anaconda.org",
    "apache.org",
    "apple.com",
    "archive.org",
    "arxiv.org",
    "bing.com",
    "cern.ch",
    "conda.io",
    "cran.r-project.org",
    "crates.io",
    "debian.org",
    "docker.com",
    "docker.io",
    "duckduckgo.com",
    "facebook.com",
    "fedoraproject.org",
    "gcr.io",
    "ghcr.io",
    "gnu.org",
    "golang.org",
    "google.com",
    "icloud.com",
    "ietf.org",
    "instagram.com",
    "jupyter.org",
    "k8s.io",
    "kernel.org",
    "kubernetes.io",
    "letsencrypt.org",
    "linkedin.com",
    "live.com",
    "microsoft.com",
    "mozilla.org",
    "mybinder.org",
    "nasa.gov",
    "netflix.com",
    "nih.gov",
    "npmjs.com",
    "npmjs.org",
    "ntp.org",
    "nvidia.com",
    "office.com",
    "openai.com",
    "orcid.org",
    "ossf.io",
    "paypal.com",
    "pypi.org",
    "python.org",
    "pythonhosted.org",
    "pytorch.org",
    "quay.io",
    "r-project.org",
    "redhat.com",
    "reddit.com",
    "rust-lang.org",
    "slack.com",
    "stackoverflow.com",
    "twitter.com",
    "ubuntu.com",
    "w3.org",
    "whatsapp.com",
    "wikimedia.org",
    "wikipedia.org",
    "windows.com",
    "windowsupdate.com",
    "x.com",
    "yahoo.com",
    "youtube.com",
    "zenodo.org",
    "zoom.us",
];

/// Where strangers have hosts, pages or files of their own: refused itself, but not what lies below.
const SHARED: &[&str] = &[
    "akamaiedge.net",
    "akamai.net",
    "amazon.com",
    "amazonaws.com",
    "azure.com",
    "azureedge.net",
    "bitbucket.org",
    "box.com",
    "cloudflare.com",
    "cloudfront.net",
    "digitaloceanspaces.com",
    "discord.com",
    "discordapp.com",
    "dropbox.com",
    "fastly.net",
    "figshare.com",
    "firebaseio.com",
    "gist.github.com",
    "git.io",
    "github.com",
    "githubusercontent.com",
    "gitlab.com",
    "googleapis.com",
    "googleusercontent.com",
    "hetzner.com",
    "heroku.com",
    "herokuapp.com",
    "huggingface.co",
    "ibm.com",
    "infura.io",
    "ipfs.io",
    "kaggle.com",
    "linode.com",
    "medium.com",
    "notion.site",
    "oracle.com",
    "ovh.net",
    "pastebin.com",
    "raw.githubusercontent.com",
    "readthedocs.io",
    "sourceforge.net",
    "t.me",
    "telegram.org",
    "transfer.sh",
    "vercel.app",
    "wordpress.com",
];

/// Public resolvers: everything that is looked up goes there.
const RESOLVERS: &[&str] = &[
    "1.0.0.1",
    "1.1.1.1",
    "8.8.4.4",
    "8.8.8.8",
    "9.9.9.9",
    "149.112.112.112",
    "208.67.220.220",
    "208.67.222.222",
    "2001:4860:4860::8844",
    "2001:4860:4860::8888",
    "2606:4700:4700::1001",
    "2606:4700:4700::1111",
    "2620:fe::9",
    "2620:fe::fe",
];

/// Why an indicator must not be one, in words; nothing where it may.
pub fn of(value: &Value) -> Option<String> {
    match value {
        Value::Domain(name) => domain(name),
        Value::Address(address) | Value::AddressPort(address, _) => self::address(*address),
        Value::Network(first, bits) => network(*first, *bits),
        Value::Port(port) => (*port < FIRST_TELLING_PORT || WEB_PORTS.contains(port))
            .then(|| "the port is a well-known service's or a web server's".to_owned()),
    }
}

fn domain(name: &str) -> Option<String> {
    let is_suffix = psl::suffix(name.as_bytes())
        .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes().len() == name.len());
    if is_suffix {
        return Some("anybody can register a name under it (publicsuffix.org)".to_owned());
    }
    let bare = name.strip_prefix("www.").unwrap_or(name);
    let lies_in = |domain: &&&str| {
        bare.strip_suffix(**domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if let Some(domain) = OWN.iter().find(lies_in) {
        return Some(format!("everybody uses {domain}"));
    }
    if SHARED.contains(&bare) {
        return Some("everybody uses it; name what lies below it".to_owned());
    }
    let special = [
        "local",
        "localhost",
        "internal",
        "lan",
        "home.arpa",
        "in-addr.arpa",
        "ip6.arpa",
        "test",
        "invalid",
        "example",
    ];
    let is_special = special.iter().any(|end| {
        name.strip_suffix(end)
            .is_some_and(|rest| rest.ends_with('.'))
    });
    is_special.then(|| "the name is of no public host (RFC 6761)".to_owned())
}

fn address(address: IpAddr) -> Option<String> {
    let is_resolver = RESOLVERS
        .iter()
        .any(|known| known.parse::<IpAddr>() == Ok(address));
    if is_resolver {
        return Some("it is a public resolver's".to_owned());
    }
    let why = match address.to_canonical() {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    };
    why.map(str::to_owned)
}

fn v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (0, ..) => Some("it is no host's address"),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Some("the range is private (RFC 1918)"),
        (100, 64..=127, _) => Some("the range is shared within providers (RFC 6598)"),
        (127, ..) => Some("it is this machine"),
        (169, 254, _) => Some("it is link-local, where clouds have their metadata"),
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => Some("the range is for documentation"),
        (198, 18..=19, _) => Some("the range is for benchmarks"),
        (224..=255, ..) => Some("it is no host's address"),
        _ => None,
    }
}

fn v6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Some("it is this machine"),
        [0xfc00..=0xfdff, ..] => Some("the range is private (RFC 4193)"),
        [0xfe80..=0xfebf, ..] => Some("it is link-local"),
        [0xff00..=0xffff, ..] => Some("it is no host's address"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("the range is for documentation"),
        _ => None,
    }
}

fn network(first: IpAddr, bits: u8) -> Option<String> {
    let least = match first {
        IpAddr::V4(_) => MIN_BITS_V4,
        IpAddr::V6(_) => MIN_BITS_V6,
    };
    if bits < least {
        return Some(format!(
            "a network of less than {least} bits holds whole providers"
        ));
    }
    let holds = |text: &&&str| {
        let known = text.parse::<IpAddr>().ok();
        known.is_some_and(|known| {
            known.is_ipv4() == first.is_ipv4()
                && normal::network(known, bits) == Some((first, bits))
        })
    };
    if let Some(resolver) = RESOLVERS.iter().find(holds) {
        return Some(format!("the public resolver {resolver} lies in it"));
    }
    address(first)
}
