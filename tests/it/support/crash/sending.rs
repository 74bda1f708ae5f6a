//! Senders that never give up, and the record of their answers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;
use usersync::internals::clock::Clock;

use super::{History, Message};
use crate::support::app::SECRET;
use crate::support::client::{Answer, signed_at};

/// How many send at the same time.
const SENDERS: usize = 16;
/// How long an answer may take, whatever fault the database has.
const SLOWEST: Duration = Duration::from_secs(5);

/// Everything that was sent, and everything that was answered.
pub(crate) struct SharedMessages(Mutex<SentMessages>);

/// The content of the record.
pub(crate) struct SentMessages {
    history: History,
    pub(crate) sent: BTreeMap<String, Sent>,
    acknowledged: Vec<String>,
    again: VecDeque<Arc<Message>>,
    pub(crate) counts: Counts,
    wrong_answers: Vec<String>,
}

/// A message that was sent at least once.
pub(crate) struct Sent {
    pub(crate) message: Arc<Message>,
    /// Whether an answer has confirmed the commit.
    pub(crate) acknowledged: bool,
    /// The outcome of the answer that was not `duplicate`; there may be one such answer.
    pub(crate) outcome: Option<String>,
}

/// Counts of what happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Answered 2xx, and not as a duplicate.
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) refused: u64,
    pub(crate) unanswered: u64,
    pub(crate) slowest: Duration,
}

impl SharedMessages {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(SentMessages {
            history: History::new(),
            sent: BTreeMap::new(),
            acknowledged: Vec::new(),
            again: VecDeque::new(),
            counts: Counts::default(),
            wrong_answers: Vec::new(),
        })))
    }

    pub(crate) fn open(&self) -> MutexGuard<'_, SentMessages> {
        self.0.lock().unwrap()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.open().counts
    }

    /// Fails if any answer is not allowed.
    pub(crate) fn assert_nothing_wrong(&self) {
        let sent = self.open();
        let first: Vec<&String> = sent.wrong_answers.iter().take(10).collect();
        assert!(first.is_empty(), "{} wrong answers, of which {first:#?}", sent.wrong_answers.len());
    }
}

impl SentMessages {
    /// What to send next, and whether it has been acknowledged before.
    fn next(&mut self) -> (Arc<Message>, bool) {
        let random = self.history.random();
        // A provider repeats some messages that were answered: the answer was lost.
        if !self.acknowledged.is_empty() && random.one_in(20) {
            let index = usize::try_from(random.below(self.acknowledged.len() as u64)).unwrap();
            return (Arc::clone(&self.sent[&self.acknowledged[index]].message), true);
        }
        if let Some(message) = self.again.pop_front() {
            let acknowledged = self.sent[&message.id].acknowledged;
            return (message, acknowledged);
        }
        let message = Arc::new(self.history.next_message());
        let sent = Sent { message: Arc::clone(&message), acknowledged: false, outcome: None };
        self.sent.insert(message.id.clone(), sent);
        if self.history.random().one_in(20) {
            // Twice at the same time.
            self.again.push_front(Arc::clone(&message));
        }
        (message, false)
    }

    fn note_accepted(&mut self, id: &str, was_acknowledged: bool, answer: &Answer) {
        let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        let outcome = body["outcome"].as_str().unwrap_or_default().to_owned();
        if body["messageId"] != id || outcome.is_empty() {
            self.wrong_answers.push(format!("{id} was answered {answer:?}"));
        }
        let sent = self.sent.get_mut(id).unwrap();
        if !sent.acknowledged {
            self.acknowledged.push(id.to_owned());
        }
        sent.acknowledged = true;
        if outcome == "duplicate" {
            self.counts.duplicates += 1;
            return;
        }
        self.counts.accepted += 1;
        if was_acknowledged {
            self.wrong_answers.push(format!("{id} was acknowledged, and then taken again as {outcome}"));
        }
        if let Some(earlier) = sent.outcome.replace(outcome) {
            self.wrong_answers.push(format!("{id} was taken twice: first as {earlier}, then {answer:?}"));
        }
    }

    /// Most of what failed is tried again; some of it never is.
    fn note_failed(&mut self, message: &Arc<Message>) {
        if !self.history.random().one_in(5) {
            self.again.push_back(Arc::clone(message));
        }
    }
}

/// Whether a service may leave a request without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// It is killed sometimes.
    Usually,
    /// It stays up, whatever happens to the database.
    Always,
}

/// Senders at work.
pub(crate) struct Senders {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Senders {
    /// Starts to send.
    pub(crate) fn start(account: &Arc<SharedMessages>, base: &str, answers: Answers) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        let sender = |_| {
            let sender = Sender {
                account: Arc::clone(account),
                http: http.clone(),
                url: format!("{base}/webhooks/clerk"),
                answers,
            };
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    sender.send().await;
                }
            })
        };
        let tasks = (0..SENDERS).map(sender).collect();
        Self { stop, tasks }
    }

    /// Stops sending, and waits for the remaining answers.
    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

struct Sender {
    account: Arc<SharedMessages>,
    http: reqwest::Client,
    url: String,
    answers: Answers,
}

impl Sender {
    async fn send(&self) {
        let (message, was_acknowledged) = self.account.open().next();
        let started = Instant::now();
        let answer = self.ask(&message).await;
        let answered = answer.is_ok();
        self.note(&message, was_acknowledged, answer, started.elapsed());
        if !answered {
            // The service does not run; leave the processor to others.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn note(
        &self,
        message: &Arc<Message>,
        was_acknowledged: bool,
        answer: reqwest::Result<Answer>,
        took: Duration,
    ) {
        let (id, always) = (&message.id, self.answers == Answers::Always);
        let mut sent = self.account.open();
        sent.counts.slowest = sent.counts.slowest.max(took);
        if took > SLOWEST && always {
            sent.wrong_answers.push(format!("{id} waited for {took:?}: {answer:?}"));
        }
        match answer {
            Ok(answer) if answer.status == 200 => sent.note_accepted(id, was_acknowledged, &answer),
            Ok(answer) => {
                sent.counts.refused += 1;
                if answer.status != 503 || answer.header("retry-after").is_empty() {
                    sent.wrong_answers.push(format!("{id} was answered {answer:?}"));
                }
                sent.note_failed(message);
            }
            Err(error) => {
                sent.counts.unanswered += 1;
                if always {
                    sent.wrong_answers.push(format!("{id} had no answer: {error:?}"));
                }
                sent.note_failed(message);
            }
        }
    }

    async fn ask(&self, message: &Message) -> reqwest::Result<Answer> {
        let now = Clock::system().now().as_seconds();
        let wire = signed_at(&message.id, now, SECRET, &*message.body);
        let mut request = self.http.post(&self.url);
        for (name, value) in wire.headers {
            request = request.header(name, value);
        }
        let response = request.body(wire.body).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, text: response.text().await? })
    }
}
