//! An EC2 that gives prepared answers and remembers what it was asked: for what moto lacks.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use davylamp_testkit::moto::MotoAccount;

use super::stage::Stage;

type Answer = dyn Fn(&str, &str) -> String + Send + Sync;

/// The double. It ends with the test's process.
pub struct Canned {
    pub stage: Stage,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    /// `answer` is given the call's name and form, and gives the XML.
    pub async fn start(answer: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let answer: Arc<Answer> = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        let account = MotoAccount {
            id: "123456789012".to_owned(),
            access_key: "ASIADAVYLAMPTEST0000".to_owned(),
            secret: "test".to_owned(),
            session_token: "test".to_owned(),
            endpoint,
        };
        Self {
            stage: Stage::of(account).await,
            asked,
        }
    }

    /// The forms of all calls of this name, in order.
    pub fn asked(&self, action: &str) -> Vec<String> {
        let asked = self.asked.lock().expect("nobody panics with it");
        let of_it = format!("Action={action}&");
        asked
            .iter()
            .filter(|form| form.starts_with(&of_it))
            .cloned()
            .collect()
    }
}

fn serve(mut stream: std::net::TcpStream, seen: &Mutex<Vec<String>>, answer: &Answer) {
    let mut reader = BufReader::new(stream.try_clone().expect("the same connection"));
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut form = vec![0; length];
    if reader.read_exact(&mut form).is_err() {
        return;
    }
    let form = String::from_utf8_lossy(&form).into_owned();
    let action = form.strip_prefix("Action=").unwrap_or_default();
    let action = action.split('&').next().unwrap_or_default().to_owned();
    let body = answer(&action, &form);
    seen.lock().expect("nobody panics with it").push(form);
    let status = if body.contains("<Errors>") {
        "400 Bad Request"
    } else {
        "200 OK"
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // A client that has gone needs no answer.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

/// An error as EC2 gives it.
pub fn error(code: &str) -> String {
    format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors>\
         <RequestID>r</RequestID></Response>"
    )
}
