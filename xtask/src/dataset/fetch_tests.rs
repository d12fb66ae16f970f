//! End-to-end tests of downloads from local servers, correct and faulty, and with full disks.

use std::path::Path;
use std::time::Duration;

use fs_err as fs;

use super::archive_tests::{file, good_items, good_set, tar_gz};
use super::test_server::{Request, Response, Server};
use super::{DataSet, Fetch, Source};

/// A separate data folder for each test.
struct Data {
    folder: tempfile::TempDir,
    set: DataSet,
}

impl Data {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), set: good_set() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn fetch(&self, source: Source) -> anyhow::Result<std::path::PathBuf> {
        Fetch { name: "set", set: &self.set, data: self.path(), pause: Duration::ZERO }.run(&source)
    }

    fn fetch_url(&self, server: &Server) -> anyhow::Result<std::path::PathBuf> {
        self.fetch(Source::Mirror(server.url.clone()))
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != ".set.lock").collect();
        names.sort();
        names
    }

    fn assert_only_the_set(&self) {
        assert_eq!(self.names(), ["set"]);
        assert_eq!(fs::read(self.path().join("set/dataset/images/a.jpg")).unwrap(), [7; 3000]);
        assert!(self.fetch(Source::Archive("not read".into())).is_ok(), "the existing data set is accepted");
    }
}

fn range_from(byte: usize) -> Request {
    Request { from: Some(byte), if_range: None }
}

#[test]
fn a_complete_download_is_checked_unpacked_and_not_repeated() {
    let archive = tar_gz(&good_items());
    let server = Server::start(move |_, request| Response::file(&archive, request));
    let data = Data::new();
    assert_eq!(data.fetch_url(&server).unwrap(), data.path().join("set"));
    data.assert_only_the_set();
    data.fetch_url(&server).unwrap();
    assert_eq!(server.requests(), [Request::default()]);
}

#[test]
fn an_interrupted_download_is_resumed() {
    let archive = tar_gz(&good_items());
    let server = Server::start(move |i, request| {
        let response = Response::file(&archive, request).header("ETag: \"v1\"");
        if i == 0 { response.cut(100) } else { response }
    });
    let data = Data::new();
    data.fetch_url(&server).unwrap();
    data.assert_only_the_set();
    let resumed = Request { from: Some(100), if_range: Some("\"v1\"".into()) };
    assert_eq!(server.requests(), [Request::default(), resumed]);
}

#[test]
fn a_later_run_resumes_an_earlier_download() {
    let archive = tar_gz(&good_items());
    let good = archive.clone();
    // The responses contain no new bytes: the first run fails and keeps its 100 bytes.
    let bad =
        Server::start(move |i, request| Response::file(&archive, request).cut(if i == 0 { 100 } else { 0 }));
    let data = Data::new();
    let error = format!("{:#}", data.fetch_url(&bad).unwrap_err());
    assert!(error.contains("cut off at byte 100"), "{error}");
    assert!(error.ends_with("(hint: the same command continues from byte 100)"), "{error}");
    assert_eq!(bad.requests().len(), 4);
    assert_eq!(data.names(), ["set.tar.gz.part", "set.tar.gz.part.json"]);

    let server = Server::start(move |_, request| Response::file(&good, request));
    data.fetch_url(&server).unwrap();
    data.assert_only_the_set();
    assert_eq!(server.requests(), [range_from(100)]);
}

#[test]
fn a_part_that_is_already_complete_is_used() {
    let archive = tar_gz(&good_items());
    let data = Data::new();
    fs::write(data.path().join("set.tar.gz.part"), &archive).unwrap();
    let n = archive.len();
    let server = Server::start(move |_, request| Response::file(&archive, request));
    data.fetch_url(&server).unwrap();
    data.assert_only_the_set();
    assert_eq!(server.requests(), [range_from(n)]);
}

#[test]
fn a_server_without_ranges_is_read_from_the_start() {
    let archive = tar_gz(&good_items());
    let server = Server::start(move |i, _| {
        let response = Response::new("200 OK", &archive);
        if i == 0 { response.cut(100) } else { response }
    });
    let data = Data::new();
    data.fetch_url(&server).unwrap();
    data.assert_only_the_set();
    assert_eq!(server.requests(), [Request::default(), range_from(100)]);
}

#[test]
fn a_file_that_changed_on_the_server_is_read_from_the_start() {
    let archive = tar_gz(&good_items());
    for changed in ["ETag: W/\"v2\"", "Last-Modified: Tue, 02 Jan 2024 00:00:00 GMT"] {
        let archive = archive.clone();
        let server = Server::start(move |i, request| match i {
            0 => Response::file(&archive, request)
                .header("ETag: W/\"v1\"")
                .header("Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT")
                .cut(100),
            _ => Response::file(&archive, request).header(changed),
        });
        let data = Data::new();
        data.fetch_url(&server).unwrap();
        data.assert_only_the_set();
        assert_eq!(server.requests(), [Request::default(), range_from(100), Request::default()], "{changed}");
    }
}

#[test]
fn a_part_of_another_version_is_detected_by_the_digest() {
    let archive = tar_gz(&good_items());
    let data = Data::new();
    // As if left by another tool: without metadata, and with wrong bytes.
    fs::write(data.path().join("set.tar.gz.part"), [0; 100]).unwrap();
    let server = Server::start(move |_, request| Response::file(&archive, request));
    data.fetch_url(&server).unwrap();
    data.assert_only_the_set();
    assert_eq!(server.requests(), [range_from(100), Request::default()]);
}

#[test]
fn a_part_longer_than_the_file_is_discarded() {
    let archive = tar_gz(&good_items());
    let data = Data::new();
    let too_long = archive.len() + 1;
    fs::write(data.path().join("set.tar.gz.part"), vec![0; too_long]).unwrap();
    let server = Server::start(move |_, request| Response::file(&archive, request));
    data.fetch_url(&server).unwrap();
    data.assert_only_the_set();
    assert_eq!(server.requests(), [range_from(too_long), Request::default()]);
}

#[test]
fn a_wrong_digest_is_refused_and_nothing_is_left() {
    let mut items = good_items();
    items[3] = file("repo-372ebf/dataset/annot/a.xml", b"<A/>");
    let archive = tar_gz(&items);
    let data = Data::new();
    let path = data.path().join("elsewhere.tar.gz");
    fs::write(&path, &archive).unwrap();
    let server = Server::start(move |_, request| Response::file(&archive, request));
    let sources = [Source::Mirror(server.url.clone()), Source::Archive(path)];
    for source in sources {
        let error = data.fetch(source).unwrap_err().to_string();
        assert!(error.contains("its contents differ from those of set; nothing was unpacked"), "{error}");
        assert!(error.contains(&format!("expected {} (4 files)", data.set.sha256)), "{error}");
        assert!(error.contains("\n  found    "), "{error}");
        assert_eq!(data.names(), ["elsewhere.tar.gz"]);
    }
}

#[test]
fn a_folder_that_is_not_the_set_is_not_changed() {
    let archive = tar_gz(&good_items());
    let server = Server::start(move |_, request| Response::file(&archive, request));
    let data = Data::new();
    data.fetch_url(&server).unwrap();
    let photo = data.path().join("set/dataset/images/a.jpg");
    fs::write(&photo, "mine").unwrap();
    let error = data.fetch_url(&server).unwrap_err().to_string();
    assert!(error.contains("exists, but differs from the published data set"), "{error}");
    assert!(error.ends_with("(hint: move or remove the folder and run this again)"), "{error}");
    assert_eq!(fs::read(photo).unwrap(), b"mine");
}

#[test]
fn a_web_page_instead_of_the_file_is_refused() {
    let page = b"<!doctype html><title>Sign in</title>";
    for header in ["Content-Type: text/html; charset=utf-8", "Content-Type: application/gzip"] {
        let server = Server::start(move |_, _| Response::new("200 OK", page).header(header));
        let data = Data::new();
        let error = data.fetch_url(&server).unwrap_err().to_string();
        assert!(error.contains("the server sent an HTML page, not the file"), "{error}");
        assert_eq!((server.requests().len(), data.names().len()), (1, 0), "{header}");
    }
}

#[test]
fn a_permanent_error_ends_at_once_and_a_temporary_one_is_retried() {
    let server = Server::start(|_, _| Response::new("404 Not Found", b""));
    let error = Data::new().fetch_url(&server).unwrap_err().to_string();
    assert!(
        error.contains("the server responded with 404 Not Found (hint: `--url` takes a mirror"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);

    let archive = tar_gz(&good_items());
    let server = Server::start(move |i, request| match i {
        0 => Response::new("503 Service Unavailable", b""),
        1 => Response::new("429 Too Many Requests", b""),
        _ => Response::file(&archive, request),
    });
    let data = Data::new();
    data.fetch_url(&server).unwrap();
    data.assert_only_the_set();
}

#[test]
fn a_file_that_is_far_too_large_is_refused() {
    let announced = Server::start(|_, _| Response::new("200 OK", &vec![0; (1 << 20) + 1]));
    let unannounced = Server::start(|_, _| Response::new("200 OK", &vec![0; 2 << 20]).without_length());
    for server in [announced, unannounced] {
        let data = Data::new();
        let error = data.fetch_url(&server).unwrap_err().to_string();
        assert!(error.ends_with("larger than 1048576 bytes, so it is not the file"), "{error}");
        assert_eq!(data.names().len(), 0);
    }
}

#[test]
fn a_download_without_a_length_ends_with_the_connection() {
    let archive = tar_gz(&good_items());
    let server = Server::start(move |_, _| Response::new("200 OK", &archive).without_length());
    let data = Data::new();
    data.fetch_url(&server).unwrap();
    data.assert_only_the_set();
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_with_the_file_and_is_not_retried() {
    let archive = tar_gz(&good_items());
    let server = Server::start(move |_, request| Response::file(&archive, request));
    let data = Data::new();
    std::os::unix::fs::symlink("/dev/full", data.path().join("set.tar.gz.part")).unwrap();
    let error = format!("{:#}", data.fetch_url(&server).unwrap_err());
    assert!(
        error.contains(
            "set.tar.gz.part at byte 0 (hint: free disk space, then run the same command to continue)"
        ),
        "{error}"
    );
    assert!(error.contains("No space left on device"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn plain_http_is_only_for_urls_that_were_typed() {
    let archive = tar_gz(&good_items());
    let server = Server::start(move |_, request| Response::file(&archive, request));
    let to_http = format!("Location: {}", server.url);
    let redirect = Server::start(move |_, _| Response::new("302 Found", b"").header(to_http.clone()));
    let data = Data::new();
    data.fetch_url(&redirect).unwrap();
    data.assert_only_the_set();
    let error = Data::new().fetch(Source::Mirror("ftp://host/set.tar.gz".into())).unwrap_err();
    assert!(error.to_string().contains("downloading ftp://host/set.tar.gz"), "{error:#}");
}

#[test]
fn two_downloads_of_one_set_exclude_each_other() {
    let data = Data::new();
    let lock = fs::File::create(data.path().join(".set.lock")).unwrap();
    lock.file().lock().unwrap();
    let error = data.fetch(Source::Archive("any".into())).unwrap_err().to_string();
    assert!(error.starts_with("another fetch of set is running"), "{error}");
}
