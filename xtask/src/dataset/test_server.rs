//! A local HTTP server for tests: it serves one file, correctly or with faults, and records the requests.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// The parts of a request that the tests check.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Request {
    /// N of `Range: bytes=N-`.
    pub(super) from: Option<usize>,
    /// `If-Range`.
    pub(super) if_range: Option<String>,
}

/// A response.
pub(super) struct Response {
    status: &'static str,
    headers: Vec<String>,
    body: Vec<u8>,
    /// Send at most this many bytes of the body, then close the connection.
    cut_at: Option<usize>,
}

impl Response {
    /// Creates a response with a `Content-Length`.
    pub(super) fn new(status: &'static str, body: &[u8]) -> Self {
        Self {
            status,
            headers: vec![format!("Content-Length: {}", body.len())],
            body: body.to_vec(),
            cut_at: None,
        }
    }

    /// Creates the response of a correct server: the complete file, or the requested part.
    pub(super) fn file(file: &[u8], request: &Request) -> Self {
        match request.from {
            None => Self::new("200 OK", file),
            Some(from) if from >= file.len() => Self::new("416 Range Not Satisfiable", b"")
                .header(format!("Content-Range: bytes */{}", file.len())),
            Some(from) => {
                let range = format!("Content-Range: bytes {from}-{}/{}", file.len() - 1, file.len());
                Self::new("206 Partial Content", &file[from..]).header(range)
            }
        }
    }

    /// Adds a header line.
    pub(super) fn header(mut self, line: impl Into<String>) -> Self {
        self.headers.push(line.into());
        self
    }

    /// Removes the length of the body; it ends with the connection.
    pub(super) fn without_length(mut self) -> Self {
        self.headers.retain(|line| !line.starts_with("Content-Length"));
        self
    }

    /// Closes the connection after `n` bytes of the body.
    pub(super) fn cut(mut self, n: usize) -> Self {
        self.cut_at = Some(n);
        self
    }
}

/// A running server; it runs until the test process ends.
pub(super) struct Server {
    /// Its address with a file name.
    pub(super) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Responds to each request with `response(number of the request from 0, request)`.
    pub(super) fn start(response: impl Fn(usize, &Request) -> Response + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/set.tar.gz", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for (i, stream) in listener.incoming().enumerate() {
                let stream = stream.unwrap();
                let request = read_request(&stream);
                log.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
                // The client may close the connection first; this is not an error of the server.
                let _ = send(&stream, &response(i, &request));
            }
        });
        Self { url, requests }
    }

    /// The requests so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read_request(stream: &TcpStream) -> Request {
    let mut request = Request::default();
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        let Some((name, value)) = line.split_once(": ") else {
            if line.is_empty() { break } else { continue }
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let from = value.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')).unwrap();
                request.from = Some(from.parse().unwrap());
            }
            "if-range" => request.if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    request
}

fn send(mut stream: &TcpStream, response: &Response) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {}\r\n", response.status)?;
    for line in &response.headers {
        write!(stream, "{line}\r\n")?;
    }
    write!(stream, "Connection: close\r\n\r\n")?;
    let n = response.cut_at.unwrap_or(response.body.len());
    stream.write_all(&response.body[..n])?;
    stream.flush()
}
