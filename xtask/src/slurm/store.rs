//! An S3 server of this machine alone (moto), on the loopback interface. It ends with the value.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::python::Python;
use crate::workspace::Workspace;

/// The folder of the script and of its `requirements.txt`.
const SCRIPTS: &str = "xtask/s3";
/// Longest wait for the server.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running server.
pub(super) struct Store {
    process: Child,
    port: u16,
    log: std::path::PathBuf,
}

/// Installs the server; returns why that is not possible on this machine: no Python, or no package index.
pub(super) fn install(workspace: &Workspace) -> Result<Python> {
    let folder = workspace.metadata()?.target_directory.join("s3");
    fs::create_dir_all(&folder)?;
    Python::install(workspace, "python3", &folder, SCRIPTS)
}

impl Store {
    /// Starts the server with the files of a folder in the bucket `loc`.
    pub(super) fn start(python: &Python, files: &Path, log: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let words = python.script("server.py", &[port.to_string().into(), files.into()]);
        let output = fs::File::create(log)?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        command.stdout(output.file().try_clone()?).stderr(output.into_file());
        let process = command.spawn().context("starting the S3 server")?;
        let store = Self { process, port, log: log.to_owned() };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if start.elapsed() > PATIENCE {
                bail!("the S3 server does not answer: {}", fs::read_to_string(log)?);
            }
            sleep(Duration::from_millis(100));
        }
        Ok(store)
    }

    /// The variables with which programs find the server.
    pub(super) fn variables(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", "loc".into()),
            ("AWS_SECRET_ACCESS_KEY", "loc".into()),
        ]
    }

    /// The bytes of an object of the bucket.
    pub(super) fn get(&self, key: &str) -> Result<Vec<u8>> {
        let url = format!("http://127.0.0.1:{}/loc/{key}", self.port);
        // The server wants to know who asks, and does not check it.
        let get =
            || Ok(ureq::get(&url).header("Authorization", "AWS loc:loc").call()?.body_mut().read_to_vec()?);
        // The server refuses some requests, but not two in a row.
        get().or_else(|_: anyhow::Error| get()).with_context(|| url.clone())
    }

    /// How many requests the server has refused.
    pub(super) fn refused(&self) -> Result<usize> {
        Ok(fs::read_to_string(&self.log)?.lines().filter(|line| line.starts_with("503 ")).count())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
