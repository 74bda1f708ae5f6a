//! What differs between operating systems: how a program is told to stop, and how a file is kept private.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
};

/// SIGTERM and SIGINT. The handlers are installed first of all, because the kernel ignores these signals for
/// the first process of a container unless it handles them.
#[cfg(unix)]
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

#[cfg(unix)]
impl StopSignals {
    pub(super) fn install() -> io::Result<Self> {
        let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        Ok(Self { terminate: terminate?, interrupt: interrupt? })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ctrl-C and Ctrl-Break, and the end of the console's window or of the system.
///
/// After the last two Windows ends the process within seconds, however much is left to do.
#[cfg(windows)]
pub(super) struct StopSignals {
    interrupt: CtrlC,
    interrupt_by_break: CtrlBreak,
    close: CtrlClose,
    shutdown: CtrlShutdown,
}

#[cfg(windows)]
impl StopSignals {
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            interrupt_by_break: ctrl_break()?,
            close: ctrl_close()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.interrupt_by_break.recv() => {}
            _ = self.close.recv() => {}
            _ = self.shutdown.recv() => {}
        }
    }
}

/// Creates or empties a file that only its owner can read.
#[cfg(unix)]
pub(super) fn create_private(file: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)
}

/// Creates or empties a file. Who can read it is inherited from its directory: in a user's profile the owner, the
/// system and administrators.
#[cfg(windows)]
pub(super) fn create_private(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(file)
}
