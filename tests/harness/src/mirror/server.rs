//! A web server for a folder, on loopback: it counts what is asked for, and can be told to misbehave.

use anyhow::Result;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What the server does, besides serving the files of its folder.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// It sends entity tags and answers 304 to whoever has them.
    pub entity_tags: bool,
    /// It ends files whose path contains this after half of their bytes.
    pub cut: Option<String>,
    /// It sends whoever asks for a path that contains the first to the second.
    pub redirect: Option<(String, String)>,
    /// It sends from where it is asked to (`Range: bytes=1000-`), unless the file is another one by now (`If-Range`).
    pub ranges: bool,
}

/// What is asked for.
#[derive(Debug, Default)]
struct Request {
    path: String,
    /// `If-None-Match`
    known: Option<String>,
    /// The first byte of `Range`; none if that is none, or of another kind.
    from: Option<usize>,
    /// `If-Range`
    of: Option<String>,
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    behaviour: Mutex<Behaviour>,
    requests: Mutex<Vec<String>>,
    stopped: AtomicBool,
}

impl Server {
    /// Starts serving a folder.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(folder: &Path, behaviour: Behaviour) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            behaviour: Mutex::new(behaviour),
            requests: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if served.stopped.load(Ordering::Relaxed) {
                    break;
                }
                // A client that hangs up is its own affair.
                let _ = stream.map(|stream| served.answer(stream));
            }
        });
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// The address of the folder.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The paths that were asked for since the last call.
    #[must_use]
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes it do something else from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Request {
    fn read(stream: &TcpStream) -> std::io::Result<Self> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let line = lines.next().transpose()?.unwrap_or_default();
        let mut request = Self { path: line.split(' ').nth(1).unwrap_or_default().to_owned(), ..Self::default() };
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            match line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value)) {
                Some((name, value)) if name == "if-none-match" => request.known = Some(value.to_owned()),
                Some((name, value)) if name == "if-range" => request.of = Some(value.to_owned()),
                Some((name, value)) if name == "range" => {
                    let from = value.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
                    request.from = from.and_then(|from| from.parse().ok());
                }
                _ => {}
            }
        }
        Ok(request)
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let request = Request::read(&stream)?;
        let path = &request.path;
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        let behaviour = self.behaviour.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, to)) = behaviour.redirect.filter(|(from, _)| path.contains(from)) {
            let head =
                format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return stream.write_all(head.as_bytes());
        }
        let Ok(body) = std::fs::read(self.folder.join(path.trim_start_matches('/'))) else {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        let tag = format!("\"{}\"", super::hex_digest(&body));
        if behaviour.entity_tags && request.known.as_ref() == Some(&tag) {
            return stream.write_all(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
        }
        let is_of_it = request.of.as_ref().is_none_or(|of| *of == tag);
        let from = request.from.filter(|_| behaviour.ranges && is_of_it);
        let length = body.len();
        let (status, range) = match from {
            None => ("200 OK", String::new()),
            Some(from) if from < length => {
                ("206 Partial Content", format!("Content-Range: bytes {from}-{}/{length}\r\n", length - 1))
            }
            Some(_) => ("416 Range Not Satisfiable", format!("Content-Range: bytes */{length}\r\n")),
        };
        let body = &body[from.unwrap_or_default().min(length)..];
        let sent = if behaviour.cut.is_some_and(|cut| path.contains(&cut)) { body.len() / 2 } else { body.len() };
        let tag = if behaviour.entity_tags { format!("ETag: {tag}\r\n") } else { String::new() };
        let accepted = if behaviour.ranges { "Accept-Ranges: bytes\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {status}\r\n{tag}{accepted}{range}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body[..sent])
    }
}
