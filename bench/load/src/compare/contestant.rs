//! Who takes turns, and what is asked of each.

use std::path::PathBuf;

use anyhow::Context;

use super::{Options, Route};
use crate::pgbench::Pgbench;
use crate::program::Program;
use crate::scratch::Scratch;

/// One who takes turns.
pub(super) struct ProgramSpec {
    pub(super) title: &'static str,
    /// Whether it is usersync, and not a peer.
    pub(super) own: bool,
    /// Whether its database is on the PostgreSQL server.
    pub(super) on_server: bool,
    /// Whether it has tables of its own, not usersync's.
    pub(super) has_own_tables: bool,
    pub(super) kind: Kind,
}

/// What is done with it.
pub(super) enum Kind {
    /// It is sent deliveries.
    Webhooks(Program),
    /// It is given users, and asked for them; one of its answers is kept in this file.
    CurrentUser(Program, Option<PathBuf>),
    /// It is asked for users, and has only the first one's answer.
    Memory(Program),
    /// It makes its own transactions.
    Pgbench(Pgbench),
}

impl ProgramSpec {
    fn own(title: &'static str, kind: Kind) -> Self {
        Self { title, own: true, on_server: true, has_own_tables: false, kind }
    }

    fn peer(title: &'static str, kind: Kind) -> Self {
        Self { title, own: false, on_server: true, has_own_tables: false, kind }
    }

    fn without_server(self) -> Self {
        Self { on_server: false, ..self }
    }

    fn with_own_tables(self) -> Self {
        Self { has_own_tables: true, ..self }
    }

    /// Its title as a name for a directory or a database.
    pub(super) fn identifier(&self) -> String {
        self.title.to_lowercase().replace(' ', "_")
    }
}

/// Everyone for this route, usersync first.
pub(super) fn contestants(options: &Options, scratch: &Scratch) -> anyhow::Result<Vec<ProgramSpec>> {
    match options.route {
        Route::Webhooks => for_webhooks(options),
        Route::CurrentUser => for_current_user(options, scratch),
    }
}

fn for_webhooks(options: &Options) -> anyhow::Result<Vec<ProgramSpec>> {
    let usersync = options.subject.executable()?;
    let program = Program::usersync(usersync.clone(), &options.subject.commit);
    let mut all = vec![ProgramSpec::own("usersync", Kind::Webhooks(program))];
    if let Some(other) = other(options)? {
        all.push(ProgramSpec::peer("other", Kind::Webhooks(other)));
    }
    if !options.only_other {
        let peers = peers(options)?;
        let pgbench = Pgbench::new(options.pgbench.clone(), usersync, &peers)?;
        all.push(ProgramSpec::peer("pgbench", Kind::Pgbench(pgbench)));
        let fastify = Program::fastify(options.node.clone(), &peers);
        all.push(ProgramSpec::peer("fastify", Kind::Webhooks(fastify)).with_own_tables());
    }
    Ok(all)
}

fn for_current_user(options: &Options, scratch: &Scratch) -> anyhow::Result<Vec<ProgramSpec>> {
    let answer = scratch.file("answer");
    let usersync =
        || Ok::<_, anyhow::Error>(Program::usersync(options.subject.executable()?, &options.subject.commit));
    let mut all = vec![
        ProgramSpec::own("usersync on PostgreSQL", Kind::CurrentUser(usersync()?, Some(answer.clone()))),
        ProgramSpec::own("usersync on SQLite", Kind::CurrentUser(usersync()?, None)).without_server(),
    ];
    if let Some(other) = other(options)? {
        all.push(ProgramSpec::peer("other", Kind::CurrentUser(other, None)));
    }
    if !options.only_other {
        let memory = Program::memory(answer)?;
        all.push(ProgramSpec::peer("memory", Kind::Memory(memory)).without_server());
        let fastify = Program::fastify(options.node.clone(), &peers(options)?);
        all.push(ProgramSpec::peer("fastify", Kind::CurrentUser(fastify, None)).with_own_tables());
    }
    Ok(all)
}

fn other(options: &Options) -> anyhow::Result<Option<Program>> {
    let Some(other) = &options.other else { return Ok(None) };
    let other = other.canonicalize().context("--other names no file")?;
    Ok(Some(Program::other_usersync(other)))
}

fn peers(options: &Options) -> anyhow::Result<PathBuf> {
    options.peers.canonicalize().context("--peers names no directory")
}
