//! The `loc` command: flags and glue. No algorithm lives here; this is the only crate that prints.

mod args;
mod commands;
mod output;
mod outputs;
mod signals;

use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use args::{Cli, Command, DataCommand, WeightsCommand};
use output::{Exit, Output};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let output = Output::new(cli.color);
    if let Err(error) = signals::survive_file_limits() {
        output.error(&error.into());
        return Exit::Failed.code();
    }
    let result = match cli.command {
        Command::Data { command } => match command {
            DataCommand::Check(args) => commands::data::check(&args, &output),
            DataCommand::Stats(args) => commands::data::stats(&args, &output),
            DataCommand::Show(args) => commands::data::show(&args, &output),
            DataCommand::Split(args) => commands::data::split(&args, &output),
            DataCommand::Sample(args) => commands::data::sample(&args, &output),
        },
        Command::Train(args) => commands::train::run(&args, &output),
        Command::LrFind(args) => commands::lr_find::run(&args, &output),
        Command::Val(args) => commands::val::run(&args, &output),
        Command::Predict(args) => commands::predict::run(&args, &output),
        Command::Export(args) => commands::export::run(&args, &output),
        Command::Import(args) => commands::import::run(&args, &output),
        Command::Info(args) => commands::info::run(&args, &output),
        Command::Weights { command } => match command {
            WeightsCommand::List => commands::weights::list(&output),
            WeightsCommand::Add(args) => commands::weights::add(&args, &output),
            WeightsCommand::Fetch(args) => commands::weights::fetch(&args, &output),
        },
    };
    match result {
        Ok(exit) => exit.code(),
        // Whoever read our output has gone (`| head`): there is nobody to tell.
        Err(error) if output::is_broken_pipe(&error) => Exit::Ok.code(),
        Err(error) => {
            output.error(&error);
            Exit::of(&error).code()
        }
    }
}

/// A usage error; `epochs=50` is answered with the flag it stands for.
fn usage(error: &clap::Error) -> ExitCode {
    let shown = error.print();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return if shown.is_ok() { Exit::Ok.code() } else { Exit::Failed.code() };
    }
    if let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
        && let Some((key, value)) = argument.split_once('=')
        && !key.starts_with('-')
    {
        Output::plain(&format!("hint: did you mean `--{} {value}`?", key.replace('_', "-")));
    }
    Exit::Usage.code()
}
