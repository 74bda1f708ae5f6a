//! The `usersync` program.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use usersync::Cli;

/// A delivery allocates many small objects that another thread frees; this allocator is faster at that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    usersync::run(Cli::parse()).await
}
