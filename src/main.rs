//! The `usersync` program.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use usersync::cli::{self, Cli};

/// Deliveries are many small pieces of memory, made by one thread and given back by another, which this allocator
/// is quicker at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
