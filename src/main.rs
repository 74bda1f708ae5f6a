//! The `usersync` program.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use usersync::Cli;

/// Deliveries are many small pieces of memory, made by one thread and given back by another, which this allocator
/// is quicker at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    usersync::run(Cli::parse()).await
}
