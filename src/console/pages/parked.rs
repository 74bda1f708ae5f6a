//! Parked deliveries by cause, and their replay.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::console::access::{Admin, Post};
use crate::console::failure::Failure;
use crate::console::layout::{At, Layout, at_most, delivery_link, html, link, see};
use crate::console::state::Console;
use crate::console::tasks::{Task, Working};
use crate::store::{ParkedCause, Which};
use crate::sync::{Preview, Replay, Replayed};

/// Parked deliveries that the page looks through.
const SEARCHED: usize = 2_000;
/// Deliveries that a preview reads.
const PREVIEWED: u64 = 500;
/// The name of the work, of which one is done at a time.
const TASK: &str = "replay of parked deliveries";

#[derive(Template)]
#[template(path = "parked.html")]
struct Page {
    layout: Layout,
    causes: Vec<Cause>,
    total: String,
    replay_all: String,
    task: Option<Task>,
}

struct Cause {
    source: String,
    reason: String,
    count: usize,
    first: At,
    last: At,
    example: String,
    replay: String,
}

#[derive(Template)]
#[template(path = "parked_replay.html")]
struct PreviewPage {
    layout: Layout,
    which: Group,
    preview: Preview,
    limit: u64,
}

/// Which parked deliveries: all of them if both are empty.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::console) struct Group {
    #[serde(default)]
    source: String,
    #[serde(default)]
    reason: String,
}

impl Group {
    fn which(&self) -> Which {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Which { parked: true, source: text(&self.source), since: None, reason: text(&self.reason) }
    }
}

pub(super) async fn show(console: web::Data<Console>, admin: Admin) -> Result<HttpResponse, Failure> {
    // Before the deliveries, so that the end of a replay is not shown with those that it has read.
    let task = console.tasks().get(TASK);
    let (causes, searched) = console.store().journal().parked_causes(SEARCHED as u64).await?;
    let is_running = task.as_ref().is_some_and(|task| task.result.is_none());
    let replay = format!("{}/parked/replay", console.base());
    let cause = |cause: ParkedCause| {
        let ParkedCause { source, reason, count, first, last, example } = cause;
        let reason = reason.unwrap_or_default();
        Cause {
            replay: link(&replay, &[("source", &source), ("reason", &reason)]),
            example: delivery_link(console.base(), &example),
            source,
            reason,
            count,
            first: At(first),
            last: At(last),
        }
    };
    let here = format!("{}/parked", console.base());
    let layout = Layout::new(&console, &admin, "/parked", "Parked").refreshed(is_running.then_some(3), &here);
    let causes = causes.into_iter().map(cause).collect();
    html(&Page { layout, causes, total: at_most(searched, SEARCHED), replay_all: replay.clone(), task })
}

/// What a replay would find; nothing is written.
pub(super) async fn preview(
    console: web::Data<Console>,
    admin: Admin,
    query: web::Query<Group>,
) -> Result<HttpResponse, Failure> {
    let which = query.into_inner();
    let replay = Replay::by(console.writer().clone());
    let preview = replay.preview(&which.which(), PREVIEWED).await;
    let preview = preview.map_err(|error| Failure::Unavailable(error.to_string()))?;
    let layout = Layout::new(&console, &admin, "/parked", "Replay parked deliveries");
    html(&PreviewPage { layout, which, preview, limit: PREVIEWED })
}

pub(super) async fn replay(console: web::Data<Console>, post: Post<Group>) -> Result<HttpResponse, Failure> {
    let Post { admin, form } = post;
    let target = match (form.source.as_str(), form.reason.as_str()) {
        ("", _) => "all".to_owned(),
        (source, reason) => format!("{source}: {reason}"),
    };
    let page = format!("{}/parked", console.base());
    let working = console.tasks().begin(TASK).ok_or_else(|| {
        Failure::not_done("A replay of parked deliveries is in progress. Wait until it has ended.", &page)
    })?;
    admin.audit(&console, "replay parked deliveries", Some(target)).await?;
    let (working, stop, console) = (working.start(), console.jobs().stopping(), console.as_ref().clone());
    console.jobs().clone().spawn_once("replay started in the console", async move {
        stop.run_until_cancelled(replay_all(&console, &form.which(), working)).await.unwrap_or_default();
    });
    Ok(see(&page))
}

async fn replay_all(console: &Console, which: &Which, working: Working) {
    let replay = Replay::by(console.writer().clone());
    let replayed = replay.journal(which, |done| working.progress(done)).await;
    // Requests of this process that wait for a user may have to look again.
    console.feed().wake_all();
    working.end(match replayed {
        Ok(Replayed { outcomes, without_source, .. }) => {
            let mut words: Vec<String> =
                outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
            if without_source > 0 {
                words.push(format!("{without_source} of sources that are not configured"));
            }
            Ok(if words.is_empty() { "nothing to replay".to_owned() } else { words.join(", ") })
        }
        Err(error) => {
            tracing::error!(%error, "a replay that was started in the console has stopped");
            Err("the database did not answer; replay again to continue".to_owned())
        }
    });
}
