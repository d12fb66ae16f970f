//! The `loc` command: flags and glue. No algorithm lives here; this is the only crate that prints.

mod args;
mod commands;
mod output;
mod outputs;
mod plots;
mod processes;
mod remedy;
mod report;
mod signals;
mod suggestions;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use args::{Cli, Command, DataCommand, ShardCommand, WeightsCommand};
use output::{Exit, Output, Usage};
use suggestions::Suggestion;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let output = Output::new(cli.color);
    if let Err(error) = loc_net::Level::requested() {
        let error = Usage(error.to_string()).into();
        output.error(&error);
        return Exit::of(&error).code();
    }
    if let Err(error) = signals::survive_file_limits() {
        output.error(&error.into());
        return Exit::Failed.code();
    }
    let result = match cli.command {
        Command::Data { command } => match command {
            DataCommand::Check(args) => commands::data::check(&args, &output),
            DataCommand::Stats(args) => commands::data::stats(&args, &output),
            DataCommand::Show(args) => commands::data::show(&args, &output),
            DataCommand::Audit(args) => commands::audit::run(&args, &output),
            DataCommand::Split(args) => commands::data::split(&args, &output),
            DataCommand::Convert(args) => commands::data::convert(&args, &output),
            DataCommand::Sample(args) => commands::data::sample(&args, &output),
        },
        Command::Train(args) => commands::train::run(&args, &output),
        Command::LrFind(args) => commands::lr_find::run(&args, &output),
        Command::Val(args) => commands::val::run(&args, &output),
        Command::Calibrate(args) => commands::calibrate::run(&args, &output),
        Command::Predict(args) => commands::predict::run(&args, &output),
        Command::Shard { command } => match command {
            ShardCommand::Plan(args) => commands::shard::plan(&args, &output),
            ShardCommand::Run(args) => commands::shard::run(&args, &output),
            ShardCommand::Merge(args) => commands::shard::merge(&args, &output),
        },
        Command::Export(args) => commands::export::run(&args, &output),
        Command::Import(args) => commands::import::run(&args, &output),
        Command::Info(args) => commands::info::run(&args, &output),
        Command::Report(args) => commands::report::run(&args, &output),
        Command::Weights { command } => match command {
            WeightsCommand::List => commands::weights::list(&output),
            WeightsCommand::Add(args) => commands::weights::add(&args, &output),
            WeightsCommand::Fetch(args) => commands::weights::fetch(&args, &output),
        },
    };
    match result {
        Ok(exit) => exit.code(),
        // The reader of the output has ended (`| head`): no error is printed.
        Err(error) if output::is_broken_pipe(&error) => Exit::Ok.code(),
        Err(error) => {
            output.error(&error);
            Exit::of(&error).code()
        }
    }
}

/// The command line as it was meant to be written: what clap takes, unless it is another tool's.
fn parse() -> Result<Cli, ExitCode> {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let mut root = Cli::command();
    root.build();
    let suggestion = suggestions::suggest(&args, &root);
    let hint = |suggestion: &Suggestion| {
        for hint in &suggestion.hints {
            Output::hint(hint);
        }
    };
    match (Cli::try_parse(), suggestion) {
        (Ok(cli), None) => Ok(cli),
        (Ok(cli), Some(suggestion)) => {
            Output::new(cli.color).error(&Usage(suggestion.reason.clone()).into());
            hint(&suggestion);
            Err(Exit::Usage.code())
        }
        (Err(error), suggestion) => {
            let shown = error.print();
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
                return Err(if shown.is_ok() { Exit::Ok.code() } else { Exit::Failed.code() });
            }
            suggestion.iter().for_each(hint);
            Err(Exit::Usage.code())
        }
    }
}
