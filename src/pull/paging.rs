//! Reads a provider's list, or a file, page by page.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::client::ApiClient;
use super::error::{ApiError, PullError};
use super::file::{FileError, FileUsers};
use super::repetition::Repetition;
use crate::providers::Source;
use crate::providers::directory::{Continuation, Directory, ListError, Next, Position};
use crate::providers::file::FileUser;

/// How many users of a file are processed together, as a page.
pub(super) const FILE_PAGE: usize = 500;
/// How many pages of a file are read ahead.
const READ_AHEAD: usize = 2;
/// How many downloads may fail before the run stops.
const MAX_DOWNLOADS: u32 = 8;
const PAUSE_AFTER_BROKEN_DOWNLOAD: Duration = Duration::from_secs(1);

/// Handles the pages of a list.
pub(super) trait PageHandler {
    /// Handles a page. `next` is the position after it; `None` at the end of the list.
    async fn page(
        &mut self,
        users: Vec<Value>,
        next: Option<&Position>,
        total: Option<u64>,
    ) -> Result<(), PullError>;

    /// The provider is still preparing its list.
    fn preparing(&mut self, percent: Option<u64>);

    /// A note for the operator.
    fn note(&mut self, text: &str);
}

/// Reads from a position to the provider's documented end of the list.
pub(super) async fn read_list(
    client: &ApiClient,
    source: &Source,
    mut position: Option<Position>,
    handler: &mut impl PageHandler,
) -> Result<(), PullError> {
    let directory = client.directory();
    let mut broken_downloads = 0;
    let mut ahead = None;
    let mut repetition = Repetition::new();
    // What an earlier call has requested may have failed since then.
    let mut may_request_again = position.is_some();
    loop {
        let answer = match ahead.take() {
            Some(answer) => answer,
            None => client.send(&directory.request(position.as_ref())).await,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(ApiError::Answered { answer, words }) => {
                match directory.after_refusal(position.as_ref(), &answer) {
                    Some(Continuation { at, why }) => {
                        repetition.page::<Option<&Value>>(None)?;
                        handler.note(why);
                        position = Some(at);
                        continue;
                    }
                    None => return Err(ApiError::Answered { answer, words }.into()),
                }
            }
            Err(error) => return Err(error.into()),
        };
        let page = match directory.read(position.as_ref(), &answer) {
            Err(ListError::NotPrepared(why)) if may_request_again => {
                handler.note(&format!("{why}; requesting another one"));
                position = None;
                may_request_again = false;
                continue;
            }
            page => page?,
        };
        may_request_again = false;
        match page.next {
            Next::End => return handler.page(page.users, None, page.total).await,
            Next::At(next) => {
                repetition.page(page.users.iter().map(|user| source.id_of(user)))?;
                // The next page is requested while this one is written.
                let request = directory.request(Some(&next));
                let written = handler.page(page.users, Some(&next), page.total);
                let ((), answer) = tokio::try_join!(written, async { Ok(client.send(&request).await) })?;
                ahead = Some(answer);
                position = Some(next);
            }
            Next::After { pause, at, percent } => {
                handler.page(page.users, Some(&at), page.total).await?;
                handler.preparing(percent);
                tokio::time::sleep(pause).await;
                position = Some(at);
            }
            Next::Download { url, at } => {
                let before = directory.lines_read(&at);
                let mut at = at;
                match read_download(client, directory, &url, &mut at, handler).await {
                    Ok(()) => return handler.page(Vec::new(), None, None).await,
                    Err(error) if !is_broken(&error) => return Err(error),
                    Err(error) => {
                        // A download that got further than the one before is not counted as another failure.
                        let is_further = directory.lines_read(&at) > before;
                        broken_downloads = if is_further { 1 } else { broken_downloads + 1 };
                        if broken_downloads == MAX_DOWNLOADS {
                            return Err(error);
                        }
                        tokio::time::sleep(PAUSE_AFTER_BROKEN_DOWNLOAD).await;
                    }
                }
                position = Some(at);
            }
        }
    }
}

/// Whether another download may succeed.
fn is_broken(error: &PullError) -> bool {
    matches!(error, PullError::File(_) | PullError::Api(ApiError::Unavailable(_)))
}

async fn read_download(
    client: &ApiClient,
    directory: &dyn Directory,
    url: &str,
    at: &mut Position,
    handler: &mut impl PageHandler,
) -> Result<(), PullError> {
    let reader = StreamReader::new(client.download(url).await?);
    let mut pages = read_ahead(SyncIoBridge::new(reader), directory.lines_read(at));
    while let Some(page) = pages.recv().await {
        let users = page?.into_iter().map(|user| match user {
            FileUser::Object(user) => Ok(user),
            FileUser::Record(_) => Err(FileError::NotUsers("CSV instead of JSON")),
        });
        let users: Vec<Value> = users.collect::<Result<_, _>>()?;
        let next = directory.after_lines(at, users.len() as u64);
        handler.page(users, Some(&next), None).await?;
        *at = next;
    }
    Ok(())
}

/// Reads a file on a separate thread, some pages ahead. The first `skipped` users are left out.
pub(super) fn read_ahead(
    source: impl Read + Send + 'static,
    skipped: u64,
) -> mpsc::Receiver<Result<Vec<FileUser>, FileError>> {
    let (pages, receiver) = mpsc::channel(READ_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut users = match FileUsers::new(source) {
            Ok(users) => users,
            Err(error) => return drop(pages.blocking_send(Err(error))),
        };
        for _ in 0..skipped {
            match users.next() {
                Some(Ok(_)) => {}
                Some(Err(error)) => return drop(pages.blocking_send(Err(error))),
                None => return,
            }
        }
        loop {
            let mut page = Vec::with_capacity(FILE_PAGE);
            let mut error = None;
            while page.len() < FILE_PAGE && error.is_none() {
                match users.next() {
                    Some(Ok(user)) => page.push(user),
                    Some(Err(wrong)) => error = Some(wrong),
                    None => break,
                }
            }
            let is_last = page.len() < FILE_PAGE;
            // The receiver is dropped after the run has stopped.
            if !page.is_empty() && pages.blocking_send(Ok(page)).is_err() {
                return;
            }
            if let Some(error) = error {
                return drop(pages.blocking_send(Err(error)));
            }
            if is_last {
                return;
            }
        }
    });
    receiver
}
