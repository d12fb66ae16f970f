//! Downloads one URL to a `.part` file over HTTP(S), and resumes earlier downloads. Archives are handled elsewhere.
//!
//! The server's metadata of the file (ETag, date, size) is stored next to the part. A part is continued only if this
//! metadata does not contradict the server's current response. The caller must check the bytes.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow};
use fs_err as fs;
use serde::{Deserialize, Serialize};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::archive::looks_like_html;
use super::progress::Progress;

/// The number of attempts without a new byte before the download fails.
const TRIES: u32 = 4;
/// An attempt fails if the server sends nothing for this long.
const TIMEOUT: Duration = Duration::from_secs(60);

const OTHER_SOURCES: &str = "(hint: `--url` takes a mirror, `--archive` a local file)";

/// A download and its target.
pub(super) struct Download<'a> {
    pub(super) url: &'a str,
    pub(super) part: &'a Path,
    /// The maximum size in bytes; larger files are refused.
    pub(super) max_bytes: u64,
    /// The pause before the second attempt; it doubles with each further one.
    pub(super) pause: Duration,
}

/// A part file that is complete according to the HTTP headers.
#[derive(Debug)]
pub(super) struct Finished {
    /// Whether its bytes come from more than one response.
    pub(super) resumed: bool,
}

/// The server's metadata of a version of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Version {
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
    size: Option<u64>,
}

/// Why an attempt ended without the complete file.
enum Stop {
    /// Another attempt may succeed.
    Retry(anyhow::Error),
    /// No further attempt can succeed.
    Fatal(anyhow::Error),
}

impl Download<'_> {
    /// Downloads until the file is complete, the server refuses the request, or several attempts receive no new bytes.
    pub(super) fn run(&self, name: &str) -> Result<Finished> {
        let agent = agent(self.url);
        let mut failures = 0;
        let mut most = self.received()?;
        loop {
            let error = match self.attempt(&agent, name) {
                Ok(finished) => return Ok(finished),
                Err(Stop::Fatal(error)) => return Err(error),
                Err(Stop::Retry(error)) => error,
            };
            let received = self.received()?;
            failures = if received > most { 1 } else { failures + 1 };
            most = most.max(received);
            if failures >= TRIES {
                let hint = format!("(hint: the same command continues from byte {received})");
                return Err(anyhow!("downloading {}: {error:#} {hint}", self.url));
            }
            let pause = self.pause * 2_u32.pow(failures - 1);
            eprintln!("{name}: {error:#}; trying again in {} s", pause.as_secs());
            std::thread::sleep(pause);
        }
    }

    /// Removes the part and its metadata.
    pub(super) fn discard(&self) -> Result<()> {
        for path in [self.part, &self.metadata_file()] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn received(&self) -> Result<u64> {
        match fs::metadata(self.part) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// One request.
    fn attempt(&self, agent: &Agent, name: &str) -> Result<Finished, Stop> {
        let received = self.received().map_err(Stop::Fatal)?;
        let known = self.known_version();
        let mut request = agent.get(self.url).header("Accept-Encoding", "identity");
        if received > 0 {
            request = request.header("Range", format!("bytes={received}-"));
            // A weak ETag is not allowed in this header; the ETag of the response is compared below.
            if let Some(etag) =
                known.as_ref().and_then(|v| v.etag.as_ref()).filter(|tag| tag.starts_with('"'))
            {
                request = request.header("If-Range", etag);
            }
        }
        let response = request.call().map_err(|error| self.refused(error))?;
        let now = self.version_of(&response);
        let start = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT => {
                let start = content_range(&response).and_then(|range| range.start);
                let same = known.is_none_or(|known| known.agrees_with(&now));
                if start != Some(received) || !same {
                    return Err(self.start_again("the file on the server has changed"));
                }
                received
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let whole = content_range(&response).and_then(|range| range.total) == Some(received);
                if whole && known.is_none_or(|known| known.agrees_with(&now)) {
                    return Ok(Finished { resumed: true });
                }
                return Err(self.start_again("the server does not have the rest of this file"));
            }
            status => return Err(self.bad_status(status)),
        };
        if received > 0 && start == 0 {
            eprintln!("{name}: the server sends the file from the start");
        }
        self.receive(response, start, &now, name)?;
        Ok(Finished { resumed: start > 0 })
    }

    /// Writes the body of a response to the part, from byte `start` on.
    fn receive(&self, response: Response<Body>, start: u64, now: &Version, name: &str) -> Result<(), Stop> {
        let mime = response.body().mime_type();
        if mime.is_some_and(|mime| mime.eq_ignore_ascii_case("text/html")) {
            return Err(self.html());
        }
        if now.size.is_some_and(|size| size > self.max_bytes) {
            return Err(self.too_large());
        }
        self.write_metadata(now).map_err(Stop::Fatal)?;
        let mut file = self.open(start).map_err(|error| self.unwritable(error, start))?;
        let mut body = response.into_body().into_reader();
        let mut progress = Progress::new(name, start, now.size);
        let mut buffer = vec![0; 64 << 10];
        let mut at = start;
        loop {
            let n = match body.read(&mut buffer) {
                Ok(n) => n,
                Err(error) => {
                    return Err(Stop::Retry(anyhow!(error).context(format!("cut off at byte {at}"))));
                }
            };
            if n == 0 {
                break;
            }
            if at == 0 && looks_like_html(&buffer[..n]) {
                return Err(self.discard().map_or_else(Stop::Fatal, |()| self.html()));
            }
            file.write_all(&buffer[..n]).map_err(|error| self.unwritable(error, at))?;
            at += n as u64;
            if at > self.max_bytes {
                return Err(self.discard().map_or_else(Stop::Fatal, |()| self.too_large()));
            }
            progress.at(at);
        }
        match now.size {
            Some(size) if at < size => Err(Stop::Retry(anyhow!("cut off at byte {at} of {size}"))),
            Some(size) if at > size => Err(self.start_again("the server sent more bytes than it announced")),
            _ => Ok(()),
        }
    }

    fn open(&self, start: u64) -> io::Result<fs::File> {
        if start == 0 {
            fs::File::create(self.part)
        } else {
            fs::OpenOptions::new().append(true).open(self.part)
        }
    }

    fn metadata_file(&self) -> PathBuf {
        self.part.with_added_extension("json")
    }

    /// The server's metadata from the start of this part; `None` if unknown, or if it was for another URL.
    fn known_version(&self) -> Option<Version> {
        let text = fs::read(self.metadata_file()).ok()?;
        serde_json::from_slice(&text).ok().filter(|known: &Version| known.url == self.url)
    }

    fn write_metadata(&self, version: &Version) -> Result<()> {
        let text = serde_json::to_vec(version)?;
        Ok(fs::write(self.metadata_file(), text)?)
    }

    fn version_of(&self, response: &Response<Body>) -> Version {
        let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let size = match response.status() {
            StatusCode::OK => response.body().content_length(),
            _ => content_range(response).and_then(|range| range.total),
        };
        let url = self.url.to_owned();
        Version { url, etag: header("etag"), last_modified: header("last-modified"), size }
    }

    fn start_again(&self, why: &str) -> Stop {
        match self.discard() {
            Ok(()) => Stop::Retry(anyhow!("{why}; downloading from the start")),
            Err(error) => Stop::Fatal(error),
        }
    }

    fn bad_status(&self, status: StatusCode) -> Stop {
        let error = anyhow!("the server responded with {status}");
        let later = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        if later || status.is_server_error() {
            return Stop::Retry(error);
        }
        Stop::Fatal(anyhow!("downloading {}: {error} {OTHER_SOURCES}", self.url))
    }

    fn refused(&self, error: ureq::Error) -> Stop {
        let unusable = matches!(
            error,
            ureq::Error::BadUri(_)
                | ureq::Error::Http(_)
                | ureq::Error::RequireHttpsOnly(_)
                | ureq::Error::TooManyRedirects
                | ureq::Error::InvalidProxyUrl
        );
        if unusable {
            Stop::Fatal(anyhow!(error).context(format!("downloading {}", self.url)))
        } else {
            Stop::Retry(anyhow!(error))
        }
    }

    fn html(&self) -> Stop {
        Stop::Fatal(anyhow!("{}: the server sent an HTML page, not the file {OTHER_SOURCES}", self.url))
    }

    fn too_large(&self) -> Stop {
        Stop::Fatal(anyhow!("{}: larger than {} bytes, so it is not the file", self.url, self.max_bytes))
    }

    /// An error of writing, usually a full disk: the part is kept, so that the download can be resumed.
    fn unwritable(&self, error: io::Error, at: u64) -> Stop {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let hint = if full { " (hint: free disk space, then run the same command to continue)" } else { "" };
        let place = format!("writing {} at byte {at}{hint}", self.part.display());
        Stop::Fatal(anyhow!(error).context(place))
    }
}

impl Version {
    /// Returns whether all values that both versions have are equal.
    fn agrees_with(&self, other: &Self) -> bool {
        fn same<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        same(self.etag.as_ref(), other.etag.as_ref())
            && same(self.last_modified.as_ref(), other.last_modified.as_ref())
            && same(self.size, other.size)
    }
}

/// The header `Content-Range: bytes START-END/TOTAL`; each part may be `*`.
struct ContentRange {
    start: Option<u64>,
    total: Option<u64>,
}

fn content_range(response: &Response<Body>) -> Option<ContentRange> {
    let text = response.headers().get("content-range")?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-').and_then(|(start, _)| start.parse().ok());
    Some(ContentRange { start, total: total.parse().ok() })
}

/// Redirects from HTTPS must stay HTTPS; `http://` is allowed only if the user typed it.
fn agent(url: &str) -> Agent {
    Agent::config_builder()
        .https_only(!url.starts_with("http://"))
        .http_status_as_error(false)
        .timeout_connect(Some(TIMEOUT))
        .timeout_recv_response(Some(TIMEOUT))
        .timeout_per_read(Some(TIMEOUT))
        .user_agent(concat!("loc-xtask/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}
