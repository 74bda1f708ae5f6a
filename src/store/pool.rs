//! Connections to PostgreSQL: as many as were configured, and each with a known state.
//!
//! The driver's own pool pings the server twice whenever a connection is returned, opens another
//! connection where one is about to be free, and keeps connections to a server that became read-only. This one knows
//! whether a statement is running, waits for its own connections, and closes all of them once one of them learns that
//! the server is not the right one any more.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgQueryResult, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Executor as _, Row as _};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, Statement, Values};
use sea_query_sqlx::SqlxValues;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::warn;

use super::error::{is_about_a_value, is_about_prepared_statements, is_transient, means_another_server};
use super::session::Session;
use super::{ACQUIRE_TIMEOUT, PING_TIMEOUT, TEST_AFTER_IDLE};

/// An idle connection is closed after this time, so that other programs can use it.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// A server with free connections connects faster than this.
const SLOW: Duration = Duration::from_millis(250);
/// The pause before another attempt to connect to a server that accepts no connections just now.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The connections of one purpose. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: PgConnectOptions,
    statement_timeout: Option<Duration>,
    /// See [`Session::is_pooled`].
    is_pooled: AtomicBool,
    permits: Arc<Semaphore>,
    /// The idle ones; the one that was returned last is at the end.
    idle: Mutex<VecDeque<Idle>>,
    returned: Notify,
    /// How many tasks have a permit and wait for a connection.
    waiting: AtomicUsize,
    /// How many attempts to connect are in progress.
    connecting: AtomicUsize,
    /// Connections of an earlier generation are closed instead of used.
    generation: AtomicU64,
    is_closed: AtomicBool,
    /// How many tasks wait because the server refuses more connections.
    refused: AtomicUsize,
    /// The pools of other purposes, whose connections the server counts too.
    siblings: Mutex<Vec<Weak<Inner>>>,
}

struct Idle {
    connection: PgConnection,
    since: Instant,
    generation: u64,
}

impl std::fmt::Debug for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Idle").field("since", &self.since).finish_non_exhaustive()
    }
}

/// An attempt to connect; it goes on if this is dropped.
type Attempt = oneshot::Receiver<Result<Idle, sqlx::Error>>;

/// A connection in use. It goes back to the pool when it is dropped, unless a statement was running.
pub(super) struct PooledConnection {
    pool: Pool,
    connection: Option<PgConnection>,
    generation: u64,
    state: State,
    /// Given back with the connection.
    permit: Option<OwnedSemaphorePermit>,
}

/// What the server has to do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    Free,
    /// It has a transaction open, perhaps one that has failed.
    InTransaction,
    /// It was sent a statement, and has not answered yet.
    Busy,
}

impl std::fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PooledConnection").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Pool {
    /// No connection yet.
    pub(super) fn new(options: PgConnectOptions, session: Session, max_connections: usize) -> Self {
        Self(Arc::new(Inner {
            options,
            statement_timeout: session.statement_timeout,
            is_pooled: AtomicBool::new(session.is_pooled),
            permits: Arc::new(Semaphore::new(max_connections)),
            idle: Mutex::default(),
            returned: Notify::new(),
            waiting: AtomicUsize::new(0),
            connecting: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            refused: AtomicUsize::new(0),
            siblings: Mutex::default(),
        }))
    }

    pub(super) fn session(&self) -> Session {
        let Inner { is_pooled, statement_timeout, .. } = &*self.0;
        Session { is_pooled: is_pooled.load(Ordering::Acquire), statement_timeout: *statement_timeout }
    }

    /// A pooler in transaction mode turns out to be between: from now on nothing outlives a transaction.
    fn switch_to_pooled(&self) {
        let mut switched = false;
        for inner in std::iter::once(Arc::clone(&self.0)).chain(self.siblings()) {
            switched |= !inner.is_pooled.swap(true, Ordering::AcqRel);
        }
        if switched {
            warn!(
                "the database is behind a pooler in transaction mode, which was not so at the start: prepared \
                 statements are not used any more. Start usersync again, with `?pgbouncer=true` at the end of the \
                 URL, to be sure that no other session state is expected"
            );
        }
        self.invalidate();
    }

    /// Connects two pools: each closes idle connections when the other one needs them.
    pub(super) fn join(&self, other: &Self) {
        for (one, other) in [(self, other), (other, self)] {
            lock(&one.0.siblings).push(Arc::downgrade(&other.0));
        }
    }

    fn siblings(&self) -> Vec<Arc<Inner>> {
        lock(&self.0.siblings).iter().filter_map(Weak::upgrade).collect()
    }

    /// A connection: an idle one, else a new one, else the next that is returned.
    pub(super) async fn acquire(&self) -> Result<PooledConnection, DbErr> {
        let until = tokio::time::Instant::now() + ACQUIRE_TIMEOUT;
        let permit = tokio::time::timeout_at(until, Arc::clone(&self.0.permits).acquire_owned()).await;
        let permit =
            permit.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?.map_err(closed)?;
        let began = tokio::time::Instant::now();
        let _waiting = Counted::new(&self.0.waiting);
        let (mut attempt, mut last) = (None, None);
        loop {
            // Before the idle ones are checked, so that a connection that is returned meanwhile is not missed.
            let returned = self.0.returned.notified();
            if let Some(idle) = self.idle_one().await {
                return Ok(self.give_out(idle.connection, idle.generation, permit));
            }
            attempt = attempt.or_else(|| self.start_connecting());
            tokio::select! {
                () = returned => {}
                connected = self.wait_for(&mut attempt, began) => {
                    attempt = None;
                    match connected {
                        None => {}
                        Some(Ok(Idle { connection, generation, .. })) => {
                            return Ok(self.give_out(connection, generation, permit));
                        }
                        Some(Err(error)) if is_transient(&error) => {
                            last = Some(error);
                            self.wait_for_another().await;
                        }
                        Some(Err(error)) => return Err(DbErr::Conn(RuntimeErr::SqlxError(error.into()))),
                    }
                }
                () = tokio::time::sleep_until(until) => return Err(timeout_error(last)),
            }
            if tokio::time::Instant::now() >= until {
                return Err(timeout_error(last));
            }
        }
    }

    /// The result of an attempt to connect; `None` if it took too long, or, after a moment, if there is no attempt. A
    /// pooler without a free connection makes us wait: then the other pools close their idle ones.
    async fn wait_for(
        &self,
        attempt: &mut Option<Attempt>,
        began: tokio::time::Instant,
    ) -> Option<Result<Idle, sqlx::Error>> {
        let Some(attempt) = attempt else {
            if began.elapsed() >= SLOW {
                self.wait_for_another().await;
            } else {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            return None;
        };
        if let Ok(connected) = tokio::time::timeout_at(began + SLOW, &mut *attempt).await {
            return connected.ok();
        }
        let _refused = self.claim_from_siblings();
        attempt.await.ok()
    }

    /// Begins to connect, unless there is an attempt for each task that waits: so there are never more connections than
    /// permits.
    ///
    /// The attempt goes on if a connection is returned meanwhile: to give it up would cost the server as much, and again
    /// and again while the connections are a few too few. The new one is then idle.
    fn start_connecting(&self) -> Option<Attempt> {
        let waiting = self.0.waiting.load(Ordering::Acquire);
        let one_more = |attempts| (attempts < waiting).then_some(attempts + 1);
        self.0.connecting.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        let (result, attempt) = oneshot::channel();
        let pool = self.clone();
        tokio::spawn(async move {
            let generation = pool.0.generation.load(Ordering::Acquire);
            let connected = tokio::time::timeout(ACQUIRE_TIMEOUT, pool.connect()).await;
            let connected = connected.map(|connected| {
                connected.map(|connection| Idle { connection, since: Instant::now(), generation })
            });
            if let Ok(connected) = connected
                && let Err(Ok(unwanted)) = result.send(connected)
            {
                pool.keep(unwanted);
                pool.0.returned.notify_one();
            }
            pool.0.connecting.fetch_sub(1, Ordering::AcqRel);
        });
        Some(attempt)
    }

    /// Lets a connection wait for its next use, unless it cannot be used any more.
    fn keep(&self, idle: Idle) {
        let inner = &self.0;
        let is_current = idle.generation == inner.generation.load(Ordering::Acquire);
        let is_wanted_elsewhere =
            self.siblings().iter().any(|sibling| sibling.refused.load(Ordering::Acquire) > 0);
        if is_current && !is_wanted_elsewhere && !inner.is_closed.load(Ordering::Acquire) {
            self.idle().push_back(idle);
        }
    }

    /// While the result lives, the other pools close idle connections, and those that are returned.
    fn claim_from_siblings(&self) -> Counted<'_> {
        let refused = Counted::new(&self.0.refused);
        for sibling in self.siblings() {
            lock(&sibling.idle).clear();
        }
        refused
    }

    /// Waits a moment for a connection that is returned here, or closed by another pool.
    async fn wait_for_another(&self) {
        let _refused = self.claim_from_siblings();
        let soon = tokio::time::sleep(RETRY_PAUSE);
        tokio::select! { () = self.0.returned.notified() => {}, () = soon => {} }
    }

    /// An idle connection that still works.
    async fn idle_one(&self) -> Option<Idle> {
        loop {
            let mut idle = self.idle().pop_back()?;
            let is_current = idle.generation == self.0.generation.load(Ordering::Acquire);
            let is_young = idle.since.elapsed() < TEST_AFTER_IDLE;
            if is_current && (is_young || is_alive(&mut idle.connection).await) {
                return Some(idle);
            }
        }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        if self.0.is_closed.load(Ordering::Acquire) {
            return Err(sqlx::Error::PoolClosed);
        }
        let mut connection = PgConnection::connect_with(&self.0.options).await?;
        if self.session().is_pooled {
            // A pooler accepts every client, and only then makes it wait for a server connection.
            connection.ping().await?;
        } else {
            connection.execute(AssertSqlSafe(self.session().settings("SET"))).await?;
        }
        Ok(connection)
    }

    fn give_out(
        &self,
        connection: PgConnection,
        generation: u64,
        permit: OwnedSemaphorePermit,
    ) -> PooledConnection {
        let (pool, connection) = (self.clone(), Some(connection));
        PooledConnection { pool, connection, generation, state: State::Free, permit: Some(permit) }
    }

    /// Closes connections that have been unused for a while.
    pub(super) async fn close_idle(&self) {
        let mut old = Vec::new();
        {
            let mut idle = self.idle();
            while idle.front().is_some_and(|one| one.since.elapsed() >= IDLE_TIMEOUT) {
                old.extend(idle.pop_front());
            }
        }
        close_all(old).await;
    }

    /// Closes every idle connection, so that another purpose may have its place.
    pub(super) async fn close_all_idle(&self) {
        let idle: Vec<Idle> = self.idle().drain(..).collect();
        close_all(idle).await;
    }

    /// Gives out no more connections, and closes those that are idle or returned.
    pub(super) async fn close(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.permits.close();
        self.close_all_idle().await;
    }

    /// The server is not the right one any more: every connection to it is closed once it is idle.
    pub(super) fn invalidate(&self) {
        for inner in std::iter::once(Arc::clone(&self.0)).chain(self.siblings()) {
            inner.generation.fetch_add(1, Ordering::AcqRel);
            lock(&inner.idle).clear();
        }
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        lock(&self.0.idle)
    }
}

impl PooledConnection {
    pub(super) fn session(&self) -> Session {
        self.pool.session()
    }

    /// Runs a statement as it is, such as `BEGIN` or `COMMIT`.
    pub(super) async fn run(&mut self, sql: &str) -> Result<PgQueryResult, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        self.run_tracked(async |connection| connection.execute(sql).await).await
    }

    pub(super) async fn execute(&mut self, statement: Statement) -> Result<PgQueryResult, sqlx::Error> {
        let persistent = !self.session().is_pooled;
        let query = query(statement).persistent(persistent);
        self.run_tracked(async |connection| query.execute(connection).await).await
    }

    pub(super) async fn fetch_all(&mut self, statement: Statement) -> Result<Vec<PgRow>, sqlx::Error> {
        let persistent = !self.session().is_pooled;
        let query = query(statement).persistent(persistent);
        self.run_tracked(async |connection| query.fetch_all(connection).await).await
    }

    /// Begins a transaction by this statement.
    pub(super) async fn begin(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.run(sql).await?;
        self.state = State::InTransaction;
        Ok(())
    }

    /// Ends the transaction by this statement.
    pub(super) async fn end(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.run(sql).await?;
        self.state = State::Free;
        Ok(())
    }

    /// Ends the transaction by this statement, and gives the connection back.
    pub(super) async fn finish(mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.end(sql).await
    }

    /// The server process that answers now.
    pub(super) async fn process(&mut self) -> Result<i32, sqlx::Error> {
        // Without parameters it is no prepared statement.
        let sql = "SELECT pg_backend_pid()";
        self.run_tracked(async |connection| connection.fetch_one(sql).await?.try_get(0)).await
    }

    /// The server process that answers now, which is noted in a setting of the session.
    pub(super) async fn mark_process(&mut self) -> Result<i32, sqlx::Error> {
        let sql = "SELECT pg_backend_pid(), set_config('usersync.process', pg_backend_pid()::text, false)";
        self.run_tracked(async |connection| connection.fetch_one(sql).await?.try_get(0)).await
    }

    /// The server process that answers now, if the session still has the note of [`Self::mark_process`].
    pub(super) async fn marked_process(&mut self) -> Result<Option<i32>, sqlx::Error> {
        let sql =
            "SELECT pg_backend_pid(), current_setting('usersync.process', true) = pg_backend_pid()::text";
        let row = self.run_tracked(async |connection| connection.fetch_one(sql).await).await?;
        let is_marked: Option<bool> = row.try_get(1)?;
        row.try_get(0).map(|process| is_marked.unwrap_or_default().then_some(process))
    }

    fn give_back(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| self.state == State::Free) {
            self.pool.keep(Idle { connection, since: Instant::now(), generation: self.generation });
        }
        drop(self.permit.take());
        self.pool.0.returned.notify_one();
    }

    /// Runs something on the connection, which is used again only if the work was completed.
    async fn run_tracked<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let before = std::mem::replace(&mut self.state, State::Busy);
        let Some(connection) = self.connection.as_mut() else { return Err(sqlx::Error::PoolClosed) };
        let result = work(connection).await;
        match &result {
            Err(error) if means_another_server(error) => {
                self.connection = None;
                self.pool.invalidate();
            }
            Err(error) if is_about_prepared_statements(error) => {
                self.connection = None;
                self.pool.switch_to_pooled();
            }
            Err(error) if !matches!(error, sqlx::Error::Database(_)) && !is_about_a_value(error) => {
                self.connection = None;
            }
            _ => self.state = before,
        }
        result
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if self.state != State::InTransaction {
            return self.give_back();
        }
        // Without a runtime the connection is closed, which ends the transaction too.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (connection, permit) = (self.connection.take(), self.permit.take());
        // If the rollback does not end in time, the connection is closed.
        let state = State::Busy;
        let returned =
            Self { pool: self.pool.clone(), connection, permit, state, generation: self.generation };
        runtime.spawn(async move {
            tokio::time::timeout(PING_TIMEOUT, returned.finish("ROLLBACK")).await.ok();
        });
    }
}

/// Adds one to a number, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(number: &'a AtomicUsize) -> Self {
        number.fetch_add(1, Ordering::AcqRel);
        Self(number)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done under the lock, so a panic elsewhere does no harm.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn query(statement: Statement) -> sqlx::query::Query<'static, sqlx::Postgres, SqlxValues> {
    let values = statement.values.unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

async fn is_alive(connection: &mut PgConnection) -> bool {
    matches!(tokio::time::timeout(PING_TIMEOUT, connection.ping()).await, Ok(Ok(())))
}

async fn close_all(idle: Vec<Idle>) {
    for Idle { connection, .. } in idle {
        tokio::time::timeout(PING_TIMEOUT, connection.close()).await.ok();
    }
}

fn timeout_error(last: Option<sqlx::Error>) -> DbErr {
    match last {
        Some(error) => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
        None => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
    }
}

fn closed(_: tokio::sync::AcquireError) -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)
}
