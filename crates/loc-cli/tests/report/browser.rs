//! The page in a browser: no message on the console, and nothing serious for axe-core. The page's security policy forbids
//! every request, so one would be a message. Skipped, and counted, where there is no browser or no axe-core
//! (`npm install -g axe-core`).

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
fn a_browser_reports_no_problem_of_the_page() {
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

    let Some(axe) = axe() else {
        skip::say(Reason::Program("axe-core"), "axe-core is not installed: accessibility is not checked");
        return;
    };
    for run in ["hostile", "plain"] {
        let page = fs::read_to_string(desk.path(run).join("report.html")).unwrap();
        let found = audit(browser, &desk, &page, &axe);
        assert_eq!(found, "nothing serious", "{run}");
    }
    // A picture without a text is found: the check above can fail.
    let spoilt = page.replace("</main>", "<img src=\"data:,\"></main>");
    assert!(audit(browser, &desk, &spoilt, &axe).contains("image-alt"));
}

/// The script of axe-core, where npm installs it for all.
fn axe() -> Option<String> {
    let output = Command::new("npm").args(["root", "-g"]).stdin(Stdio::null()).output().ok()?;
    let root = String::from_utf8(output.stdout).ok()?;
    fs::read_to_string(Path::new(root.trim()).join("axe-core/axe.min.js")).ok()
}

/// What axe-core finds in a page that is serious or critical. The page's policy would forbid the script.
fn audit(browser: &str, desk: &Desk, page: &str, axe: &str) -> String {
    const RUN: &str = "axe.run().then(found => {
        const serious = found.violations.filter(v => ['serious', 'critical'].includes(v.impact));
        const text = serious.map(v => v.id + ': ' + v.nodes[0].html).join('\\n') || 'nothing serious';
        document.title = 'axe says: ' + text;
    })";
    let (before, rest) = page.split_once("<meta http-equiv=").unwrap();
    let (_, after) = rest.split_once('>').unwrap();
    // In front of the scripts: what they hold must not be taken for the page's end.
    let scripts = format!("<script>{axe}</script><script>addEventListener('load', () => {RUN})</script>");
    let path = desk.path("axe.html");
    fs::write(&path, format!("{before}{scripts}{after}")).unwrap();
    let (document, log) = open(browser, desk, &path);
    let found = document.split("<title>axe says: ").nth(1).and_then(|rest| rest.split("</title>").next());
    found.unwrap_or_else(|| panic!("axe did not run: {log}")).to_owned()
}
