//! smoke
use davylamp_guard::config;
fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let file = std::env::args().nth(1).map(|p| std::fs::read_to_string(p).unwrap());
    let c = config::load(file.as_deref().map(|t| ("smoke.toml", t)), &[]).unwrap();
    if let Err(e) = davylamp_guard::agent::run(c, "here".into()) { eprintln!("{e:?}"); }
}
