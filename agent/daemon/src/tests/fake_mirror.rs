//! A mirror over plain HTTP that dies, lies or knows no ranges when it is told to.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

/// How content is served.
#[derive(Debug, Clone, Default)]
pub(in crate::tests) struct Behaviour {
    /// `Range` is ignored.
    pub no_ranges: bool,
    /// After so many bytes of an answer, the connection closes.
    pub cut_after: Option<usize>,
    /// Everything is answered so.
    pub refusal: Option<&'static str>,
}

/// What tests change and look at.
#[derive(Debug, Default)]
pub(in crate::tests) struct Mirror {
    pub files: BTreeMap<String, Vec<u8>>,
    pub behaviour: Behaviour,
    /// Path and range of every request.
    pub requests: Vec<(String, Option<String>)>,
}

pub(in crate::tests) struct FakeMirror {
    pub address: String,
    shared: Arc<Mutex<Mirror>>,
}

impl FakeMirror {
    pub(in crate::tests) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let shared = Arc::<Mutex<Mirror>>::default();
        let mirror = Self { address, shared: shared.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        mirror
    }

    pub(in crate::tests) fn shared(&self) -> MutexGuard<'_, Mirror> {
        self.shared.lock().unwrap()
    }

    pub(in crate::tests) fn put(&self, path: &str, content: &[u8]) {
        self.shared().files.insert(path.to_owned(), content.to_owned());
    }
}

fn serve(stream: TcpStream, shared: &Mutex<Mirror>) {
    let mut stream = BufReader::new(stream);
    let (mut request, mut range) = (String::new(), None);
    stream.read_line(&mut request).unwrap();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("range") => range = Some(value.to_owned()),
            Some(_) => {}
            None => break,
        }
    }
    let Some(path) = request.split(' ').nth(1).map(|path| path.trim_start_matches('/').to_owned()) else { return };
    let mut mirror = shared.lock().unwrap();
    mirror.requests.push((path.clone(), range.clone()));
    let file = mirror.files.get(&path).map(Vec::as_slice);
    let answer = answer(file, range.as_deref(), &mirror.behaviour);
    drop(mirror);
    // Whoever has read enough hangs up.
    let _ = stream.get_mut().write_all(&answer);
}

/// What a server that behaves so answers to a request for this file.
pub(in crate::tests) fn answer(file: Option<&[u8]>, range: Option<&str>, behaviour: &Behaviour) -> Vec<u8> {
    if let Some(refusal) = behaviour.refusal {
        return format!("HTTP/1.1 {refusal}\r\nretry-after: 120\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .into_bytes();
    }
    let Some(file) = file else {
        return b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec();
    };
    let from = range.filter(|_| !behaviour.no_ranges).map(|range| {
        let from = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
        from.unwrap().parse::<usize>().unwrap()
    });
    let (head, body) = match from {
        None => ("200 OK".to_owned(), file),
        Some(from) if from >= file.len() => ("416 Range Not Satisfiable".to_owned(), &b""[..]),
        Some(from) => {
            let (last, all) = (file.len() - 1, file.len());
            (format!("206 Partial Content\r\ncontent-range: bytes {from}-{last}/{all}"), &file[from..])
        }
    };
    let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let sent = &body[..behaviour.cut_after.unwrap_or(body.len()).min(body.len())];
    [head.as_bytes(), sent].concat()
}
