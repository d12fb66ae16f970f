//! Tests training in a difficult environment: full disks, limits, signals, terminals, concurrent trainings.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;
#[path = "../../../xtask/src/skip.rs"]
mod skip;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Desk, Ran};
use fs_err as fs;

const TRAIN: [&str; 11] =
    ["train", "--recipe", "scratch", "--data", "shapes", "--imgsz", "188", "--batch", "4", "--epochs", "3"];

/// Runs `loc` under a limit; `ulimit` are the arguments of that command.
fn limited(desk: &Desk, ulimit: &str, args: &[&str]) -> Ran {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit {ulimit} && exec \"$0\" \"$@\"")).arg(env!("CARGO_BIN_EXE_loc"));
    Ran::of(command.args(args).current_dir(desk.path("")).stdin(Stdio::null()).output().unwrap())
}

fn temporaries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    entries.filter(|name| name.starts_with('.') && name != ".lock").collect()
}

/// Asserts that a failed save was an error that names its reason, left no temporary files, and that the run can be
/// resumed.
fn assert_resumable_after_failed_save(desk: &Desk, ran: &Ran, reason: &str, uninterrupted: &str) {
    assert_eq!(ran.code, 1, "{ran:?}");
    for part in [reason, "runs/train/exp", "hint", "cannot be written"] {
        assert!(ran.stderr.contains(part), "no {part:?}: {ran:?}");
    }
    let run = desk.path("runs/train/exp");
    assert_eq!(temporaries(&run), [""; 0]);
    assert_eq!(temporaries(&run.join("weights")), [""; 0]);
    if run.join("config.toml").is_file() {
        if run.join("weights/last.safetensors").is_file() {
            desk.ok(&["info", "runs/train/exp/weights/last.safetensors"]);
        }
        desk.ok(&["train", "--resume", "runs/train/exp"]);
        let last = |run: &str| fs::read(desk.path(run).join("weights/last.safetensors")).unwrap();
        assert!(last("runs/train/exp") == last(uninterrupted), "the model has other bytes");
    }
}

#[test]
fn a_disk_that_is_full_while_saving_keeps_the_old_checkpoint() {
    let desk = Desk::new();
    desk.shapes(15);
    let uninterrupted = desk.ok(&[&TRAIN[..], &["--name", "uninterrupted"]].concat());
    let disk = desk.path("runs/train/exp");
    fs::create_dir_all(&disk).unwrap();
    let mount = |options: &str| {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&disk).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    // The disk has space for the first save (two files of 1.7 MB, and a state of 6.7 MB), but not for the second.
    if !mount("size=16m") {
        return skip::say(skip::Reason::Mount, "a small disk cannot be mounted");
    }
    let ran = desk.run(&[&TRAIN[..], &["--exist-ok"]].concat());
    let unmounted = std::panic::catch_unwind(|| {
        assert!(disk.join("weights/last.safetensors").is_file(), "the first save: {ran:?}");
        assert!(mount("remount,size=64m"));
        assert_resumable_after_failed_save(&desk, &ran, "No space left on device", uninterrupted.trim());
    });
    assert!(Command::new("umount").arg(&disk).status().unwrap().success());
    unmounted.unwrap();
}

#[test]
fn a_limit_on_file_sizes_is_an_error_and_does_not_kill_the_process() {
    let desk = Desk::new();
    desk.shapes(15);
    let uninterrupted = desk.ok(&[&TRAIN[..], &["--name", "uninterrupted"]].concat());
    for blocks in ["1", "1000"] {
        let ran = limited(&desk, &format!("-f {blocks}"), &[&TRAIN[..], &["--exist-ok"]].concat());
        assert_resumable_after_failed_save(&desk, &ran, "File too large", uninterrupted.trim());
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_at_the_start() {
    let desk = Desk::new();
    desk.shapes(15);
    fs::write(desk.path("file"), "").unwrap();
    desk.fails(&[&TRAIN[..], &["--project", "file/runs"]].concat(), 1, &["file/runs", "hint", "--project"]);
    // Root ignores permissions, so the test then runs the command as another user.
    let unwritable = desk.path("closed");
    fs::create_dir(&unwritable).unwrap();
    let mut command = desk.command(&[&TRAIN[..], &["--project", "closed/runs"]].concat());
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if root {
        fs::set_permissions(desk.path(""), Permissions::from_mode(0o755)).unwrap();
        command.uid(65534).gid(65534);
    } else {
        fs::set_permissions(&unwritable, Permissions::from_mode(0o555)).unwrap();
    }
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.code, 1, "{ran:?}");
    for part in ["closed", "ermission denied", "hint"] {
        assert!(ran.stderr.contains(part), "no {part:?}: {ran:?}");
    }
    assert!(!ran.stderr.contains("epochs\n"), "the error comes before training: {ran:?}");
}

#[test]
fn a_batch_that_does_not_fit_in_memory_is_an_error_before_allocation() {
    if !Path::new("/proc/self/limits").is_file() {
        return skip::say(skip::Reason::Proc, "/proc has no limits of the process");
    }
    let desk = Desk::new();
    desk.shapes(40);
    let args = ["train", "--data", "shapes", "--imgsz", "188", "--batch", "100000", "--epochs", "1"];
    let ran = limited(&desk, "-v 1500000", &args);
    assert_eq!(ran.code, 2, "{ran:?}");
    for part in ["batch is 100000", "MiB of memory", "MiB are available", "is the largest that fits", "hint"]
    {
        assert!(ran.stderr.contains(part), "no {part:?}: {ran:?}");
    }
    assert!(!desk.path("runs").exists());
    // A batch larger than the data set that fits in memory is accepted.
    desk.ok(&["train", "--data", "shapes", "--imgsz", "188", "--batch", "64", "--epochs", "1"]);
}

/// Starts a training that does not end by itself, and waits for its first epoch.
fn endless(desk: &Desk, name: &str) -> std::process::Child {
    let args =
        ["train", "--data", "shapes", "--imgsz", "188", "--epochs", "100000", "--batch", "4", "--name", name];
    let child = desk.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !desk.path(&format!("runs/train/{name}/results.csv")).is_file() {
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

fn send(signal: &str, child: &std::process::Child) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let desk = Desk::new();
    desk.shapes(15);
    let pipe = desk.path("pipe.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let args = [&TRAIN[..], &["--config", "pipe.toml"]].concat();
    let mut child = desk.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // As soon as the pipe is open for writing, `loc` is reading it: the signal handler is installed, and the process
    // waits.
    let (opened, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || opened.send(fs::OpenOptions::new().write(true).open(pipe).unwrap()));
    let writer = wait.recv_timeout(Duration::from_secs(60)).unwrap();
    send("TERM", &child);
    // Two signals at the same time may both count as the first one, so the second is repeated.
    let sent = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(sent.elapsed() < Duration::from_secs(60), "it continues after the second signal");
        std::thread::sleep(Duration::from_millis(50));
        send("INT", &child);
    }
    drop(writer);
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert!(ran.code == 130 || ran.code == 143, "{ran:?}");
    assert!(!desk.path("runs").exists(), "{ran:?}");
}

#[test]
fn the_error_of_a_second_training_names_the_process_that_has_the_run() {
    let desk = Desk::new();
    desk.shapes(15);
    let mut child = endless(&desk, "exp");
    let holder = format!("locked by pid {} since 2", child.id());
    desk.fails(&["train", "--resume", "runs/train/exp"], 1, &[&holder, "runs/train/exp", "hint"]);
    desk.fails(&[&TRAIN[..], &["--exist-ok"]].concat(), 1, &[&holder]);
    child.kill().unwrap();
    child.wait().unwrap();
    // The lock ends with the process that holds it.
    desk.fails(&["train", "--resume", "runs/train/exp", "--lr", "9"], 2, &["lr: 0.001 → 9"]);
}

#[test]
fn a_closed_output_pipe_causes_no_panic() {
    let desk = Desk::new();
    desk.shapes(15);
    let model = desk.model();
    let script = format!("\"$0\" predict -m {model} shapes/images --format jsonl | head -n 1; echo \"$?\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_loc")]).current_dir(desk.path(""));
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("error"), "{ran:?}");
    // A closed stdout or stderr does not stop a training either.
    let script = format!("\"$0\" {} --name quiet 2>&1 | head -n 1 > first; cat first", TRAIN.join(" "));
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_loc")]).current_dir(desk.path(""));
    assert!(Ran::of(command.output().unwrap()).stdout.contains("12 photos train"));
    assert!(desk.path("runs/train/quiet/weights/epoch-003.safetensors").is_file());
}

#[test]
fn without_a_suitable_terminal_progress_is_printed_as_plain_lines() {
    let desk = Desk::new();
    desk.shapes(15);
    let plain = |text: &str| !text.contains('\u{1b}') && !text.contains('█') && !text.contains('\r');
    let mut command = desk.command(&TRAIN);
    let ran = Ran::of(command.env("LC_ALL", "C").env("COLUMNS", "1").output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(plain(&ran.stderr) && ran.stderr.contains("3/3"), "{ran:?}");
    // In a terminal made by `script`, if that program is available.
    let call = format!("{} {}", env!("CARGO_BIN_EXE_loc"), TRAIN.join(" "));
    for (locale, bars) in [("C", false), ("C.UTF-8", true)] {
        let mut command = Command::new("script");
        command.args(["-qec", &call, "/dev/null"]).current_dir(desk.path("")).stdin(Stdio::null());
        command.env("LC_ALL", locale).env("TERM", "xterm").env("COLUMNS", "1").env("NO_COLOR", "1");
        let Ok(output) = command.output() else {
            return skip::say(
                skip::Reason::Program("script"),
                "there is no program `script`, which makes a terminal",
            );
        };
        let ran = Ran::of(output);
        assert_eq!(ran.code, 0, "{locale}: {ran:?}");
        assert!(ran.stdout.contains("3/3"), "{locale}: {ran:?}");
        assert_eq!(ran.stdout.contains('\u{1b}'), bars, "{locale}: {ran:?}");
    }
}

#[test]
fn the_error_for_an_invalid_value_names_key_value_and_range() {
    let desk = Desk::new();
    desk.shapes(6);
    let cases: [(&str, &[&str]); 22] = [
        ("learning_rate = 0.1", &["learning_rate", "line 1"]),
        ("epoch = 3", &["unknown field `epoch`", "did you mean `epochs`?", "line 1"]),
        ("batchsize = 3", &["batchsize", "did you mean `batch`?"]),
        ("lr = \"fast\"", &["lr", "line 1"]),
        ("lr = 0", &["lr is 0", "above 0"]),
        ("lr = -0.5", &["lr is -0.5", "above 0"]),
        ("lr = nan", &["lr is NaN", "above 0"]),
        ("lr = inf", &["lr is inf", "above 0"]),
        ("batch = 0", &["batch is 0", "1 or more"]),
        ("batch = -4", &["batch", "-4"]),
        ("batch = 2.5", &["batch", "2.5"]),
        ("epochs = 0", &["epochs is 0", "1 or more"]),
        ("val = 0.0", &["val is 0", "above 0 and below 1"]),
        ("val = 1.0", &["val is 1", "above 0 and below 1"]),
        ("val = nan", &["val is NaN", "above 0 and below 1"]),
        ("momentum = 1.0", &["momentum is 1", "below 1"]),
        ("seed = -1", &["seed", "-1"]),
        ("schedule = \"cosin\"", &["cosin", "constant", "step", "cosine"]),
        ("optimizer = \"adam\"", &["adam", "sgd", "adamw"]),
        ("keep = \"last:0\"", &["last:0", "1 or more"]),
        ("restarts = [5, 3]", &["restarts is [5, 3]", "increasing"]),
        ("[augment]\nflip = 2.0", &["augment.flip is 2", "0 to 1"]),
    ];
    for (text, words) in cases {
        fs::write(desk.path("c.toml"), format!("{text}\n")).unwrap();
        desk.fails(&["train", "--data", "shapes", "--config", "c.toml"], 2, words);
    }
    fs::write(desk.path("c.toml"), "lr = 0.1\nlr = 0.2\n").unwrap();
    desk.fails(
        &["train", "--data", "shapes", "--config", "c.toml"],
        2,
        &["c.toml", "line 2", "duplicate key"],
    );
    assert!(!desk.path("runs").exists(), "no run folder was created");
}

fn with_isa(desk: &Desk, isa: &str, args: &[&str]) -> Ran {
    Ran::of(desk.command(args).env("LOC_ISA", isa).output().unwrap())
}

#[test]
fn a_resume_with_another_instruction_set_is_refused_unless_it_is_allowed() {
    let desk = Desk::new();
    let ran = with_isa(&desk, "sse9", &["info", "model.safetensors"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    for part in ["LOC_ISA", "sse9", "hint", "portable"] {
        assert!(ran.stderr.contains(part), "no {part:?}: {ran:?}");
    }
    desk.shapes(16);
    let mut args = TRAIN.to_vec();
    args[10] = "1";
    assert_eq!(with_isa(&desk, "portable", &args).code, 0);
    let json = fs::read_to_string(desk.path("runs/train/exp/run.json")).unwrap();
    assert!(json.contains("\"isa\": \"portable\""), "{json}");
    let best = loc_net::Level::available()[0].name();
    if best == "portable" {
        return skip::say(skip::Reason::Processor, "a second instruction set");
    }
    let resume = ["train", "--resume", "runs/train/exp", "--epochs", "2"];
    let ran = with_isa(&desk, best, &resume);
    assert_eq!(ran.code, 2, "{ran:?}");
    for part in ["portable", best, "`LOC_ISA=portable`", "--allow-other-isa"] {
        assert!(ran.stderr.contains(part), "no {part:?}: {ran:?}");
    }
    assert_eq!(with_isa(&desk, "portable", &resume).code, 0);
    let mut allowed = resume.to_vec();
    allowed[4] = "3";
    allowed.push("--allow-other-isa");
    assert_eq!(with_isa(&desk, best, &allowed).code, 0);
    let info = desk.ok(&["info", "runs/train/exp/weights/last.safetensors"]);
    assert!(info.contains(&format!("kernels    {best}")), "{info}");
}
