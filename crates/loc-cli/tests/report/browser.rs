//! The page in a browser: no message on the console, no request, nothing serious for axe-core. Skipped, and counted, where
//! there is no browser.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;

use crate::common::Desk;
use crate::made::{Made, hostile};
use crate::skip::{self, Reason};

/// A Chromium by any of its names.
fn browser() -> Option<&'static str> {
    ["chromium", "google-chrome", "chromium-browser", "chrome"].into_iter().find(|name| {
        let mut command = Command::new(name);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

/// Opens a page; its document after loading, and what was written to the console.
fn open(browser: &str, desk: &Desk, page: &Path) -> (String, String) {
    let profile = format!("--user-data-dir={}", desk.path("profile").display());
    let output = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args(["--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000", "--dump-dom", &profile])
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_browser_has_nothing_to_say_about_the_page() {
    let Some(browser) = browser() else {
        skip::say(
            Reason::Program("chromium"),
            "no Chromium is installed: the report is not opened in a browser",
        );
        return;
    };
    let desk = Desk::new();
    hostile(&desk, "hostile");
    Made::new(&desk, "plain").answers(10, 0.5).write(&[]);
    for run in ["hostile", "plain"] {
        desk.ok(&["report", run]);
        let page: PathBuf = desk.path(run).join("report.html");
        let (document, log) = open(browser, &desk, &page);
        assert!(document.contains("Report of"), "{run}: {document}{log}");
        let console: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(console.is_empty(), "{run}: {console:?}");
        assert!(!document.contains("<script"), "{run}: a name became a script");
    }
    // The browser does report what the policy forbids: the check above can fail.
    let page = fs::read_to_string(desk.path("plain/report.html")).unwrap();
    let spoilt = desk.path("spoilt.html");
    fs::write(&spoilt, page.replace("<main", "<script>1</script><main")).unwrap();
    assert!(open(browser, &desk, &spoilt).1.contains("CONSOLE"), "a forbidden script is not reported");
}
