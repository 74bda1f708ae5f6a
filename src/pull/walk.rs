//! From page to page through a provider's list, or through a file.

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
use crate::providers::directory::{Directory, Next, Position};
use crate::providers::file::FileUser;

/// Users of a file that are handed on together: a page.
pub(super) const FILE_PAGE: usize = 500;
/// Pages of a file that are read ahead.
const READ_AHEAD: usize = 2;
/// How often a download is begun again before the run stops.
const DOWNLOADS: u32 = 8;
const PAUSE_AFTER_BROKEN_DOWNLOAD: Duration = Duration::from_secs(1);

/// What is done with the pages of a walk.
pub(super) trait Visitor {
    /// A page, and where the walk continues after it; `None` at its end.
    async fn page(
        &mut self,
        users: Vec<Value>,
        next: Option<&Position>,
        total: Option<u64>,
    ) -> Result<(), PullError>;

    /// The provider is still preparing its list.
    fn preparing(&mut self, percent: Option<u64>);
}

/// Walks from a position to the provider's documented end of the list.
pub(super) async fn walk(
    client: &ApiClient,
    source: &Source,
    mut position: Option<Position>,
    visitor: &mut impl Visitor,
) -> Result<(), PullError> {
    let directory = client.directory();
    let mut broken_downloads = 0;
    let mut ahead = None;
    let mut repetition = Repetition::new();
    loop {
        let answer = match ahead.take() {
            Some(answer) => answer,
            None => client.send(&directory.request(position.as_ref())).await,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(ApiError::Answered { answer, words }) => {
                match directory.after_refusal(position.as_ref(), &answer) {
                    Some(elsewhere) => {
                        repetition.page::<Option<&Value>>(None)?;
                        position = Some(elsewhere);
                        continue;
                    }
                    None => return Err(ApiError::Answered { answer, words }.into()),
                }
            }
            Err(error) => return Err(error.into()),
        };
        let page = directory.read(position.as_ref(), &answer)?;
        match page.next {
            Next::End => return visitor.page(page.users, None, page.total).await,
            Next::At(next) => {
                repetition.page(page.users.iter().map(|user| source.id_of(user)))?;
                // The next page is on its way while this one is written.
                let request = directory.request(Some(&next));
                let written = visitor.page(page.users, Some(&next), page.total);
                let ((), answer) = tokio::try_join!(written, async { Ok(client.send(&request).await) })?;
                ahead = Some(answer);
                position = Some(next);
            }
            Next::After { pause, at, percent } => {
                visitor.page(page.users, Some(&at), page.total).await?;
                visitor.preparing(percent);
                tokio::time::sleep(pause).await;
                position = Some(at);
            }
            Next::Download { url, at } => {
                let before = directory.lines_read(&at);
                let mut at = at;
                match read_download(client, directory, &url, &mut at, visitor).await {
                    Ok(()) => return visitor.page(Vec::new(), None, None).await,
                    Err(error) if !is_broken(&error) => return Err(error),
                    Err(error) => {
                        // One that came further than the last is no failure of its own.
                        let is_further = directory.lines_read(&at) > before;
                        broken_downloads = if is_further { 1 } else { broken_downloads + 1 };
                        if broken_downloads == DOWNLOADS {
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

/// Whether another download may be whole.
fn is_broken(error: &PullError) -> bool {
    matches!(error, PullError::File(_) | PullError::Api(ApiError::Unavailable(_)))
}

async fn read_download(
    client: &ApiClient,
    directory: &dyn Directory,
    url: &str,
    at: &mut Position,
    visitor: &mut impl Visitor,
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
        visitor.page(users, Some(&next), None).await?;
        *at = next;
    }
    Ok(())
}

/// Reads a file on a thread of its own, some pages ahead, without its first users.
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
            // Nobody receives any more when the run has stopped.
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
