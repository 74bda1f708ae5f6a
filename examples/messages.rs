//! A small app where users send messages, with usersync in the same program: `cargo run --example messages`.
//!
//! `POST /messages` sends one as the current user. `GET /messages` lists all, each with the name that its
//! author has now. usersync listens beside the app, for the provider's webhooks.

#![expect(clippy::print_stdout, reason = "it tells how to try it")]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::{env, fs};

use actix_web::{App, HttpResponse, HttpServer, get, post, web};
use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;
use usersync::{Clock, CurrentUser, Problem, Store, UserId};

/// The author is an id and not a copy of a name: names change, and users go.
struct Message {
    author: UserId,
    body: String,
}

/// In memory, to keep this short. In a table `author` would be a foreign key to `users`, `ON DELETE SET
/// NULL`.
type Messages = RwLock<Vec<Message>>;

#[derive(Deserialize)]
struct NewMessage {
    body: String,
}

#[derive(Serialize)]
struct ShownMessage {
    /// Null if the author has no name, or was deleted.
    author: Option<String>,
    body: String,
}

#[post("/messages")]
async fn send(
    CurrentUser(user): CurrentUser,
    message: web::Json<NewMessage>,
    messages: web::Data<Messages>,
) -> HttpResponse {
    messages.write().await.push(Message { author: user.id, body: message.into_inner().body });
    HttpResponse::Created().finish()
}

#[get("/messages")]
async fn list(
    _reader: CurrentUser,
    messages: web::Data<Messages>,
    store: web::Data<Store>,
) -> Result<web::Json<Vec<ShownMessage>>, Problem> {
    let messages = messages.read().await;
    let authors: Vec<UserId> = messages.iter().map(|message| message.author).collect();
    let authors = store.users().by_ids(&authors).await?;
    let names: HashMap<UserId, Option<String>> =
        authors.into_iter().map(|user| (user.id, user.profile.name)).collect();
    let shown = messages.iter().map(|message| ShownMessage {
        author: names.get(&message.author).cloned().flatten(),
        body: message.body.clone(),
    });
    Ok(web::Json(shown.collect()))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut variables: BTreeMap<String, String> = env::vars().collect();
    let mut config = usersync::configure(None, &variables)?;
    let development = if config.sources.is_empty() { Some(Development::load()?) } else { None };
    if let Some(development) = &development {
        development.configure(&mut variables);
        config = usersync::configure(None, &variables)?;
    }
    let listen = variables.get("MESSAGES_LISTEN").map_or("127.0.0.1:8080", String::as_str);

    let usersync = usersync::App::new(&config, Clock::system()).await?;
    let data = usersync.data();
    let store = web::Data::new(usersync.store().clone());
    let messages = web::Data::new(Messages::default());
    let service = usersync.serve(TcpListener::bind(config.server.listen)?, None)?;

    let app = HttpServer::new(move || {
        let app = App::new().app_data(data.clone()).app_data(store.clone()).app_data(messages.clone());
        app.service(send).service(list)
    });
    let app = app.bind(listen)?;
    println!("messages at http://{}, usersync at http://{}\n", app.addrs()[0], service.main.address);
    if let Some(development) = development {
        development.invite(app.addrs()[0], service.main.address);
    }
    app.run().await?;
    Ok(service.stop().await?)
}

/// What `usersync dev` keeps, to try this without an account: its tokens and its sample events are taken.
#[derive(Deserialize)]
struct Development {
    issuer: String,
    secret: String,
    subject: String,
}

impl Development {
    fn load() -> Result<Self, Box<dyn Error>> {
        let kept = fs::read_to_string(".usersync/dev.json");
        let kept =
            kept.map_err(|_| "no source is configured; start `cargo run -- dev` in another terminal")?;
        Ok(serde_json::from_str(&kept)?)
    }

    /// As one would set them for Clerk; what is set already stays.
    fn configure(&self, variables: &mut BTreeMap<String, String>) {
        for (name, value) in [
            ("CLERK_WEBHOOK_SECRET", &*self.secret),
            ("CLERK_JWT_ISSUER_DOMAIN", &*self.issuer),
            ("CLERK_JWT_AUDIENCE", "usersync-dev"),
            ("DATABASE_URL", "sqlite://.usersync/messages.db?mode=rwc"),
            ("USERSYNC_SERVER__LISTEN", "127.0.0.1:8788"),
        ] {
            variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }

    fn invite(&self, app: SocketAddr, usersync: SocketAddr) {
        let Self { secret, subject, .. } = self;
        let event = |event: &str| {
            let to = format!("--to http://{usersync}/webhooks/clerk --secret {secret}");
            println!("  cargo run -q -- send .usersync/{event} {to}\n");
        };
        println!("While `cargo run -- dev` runs in another terminal, from a third one:\n");
        println!("  # the provider sends a user");
        event("user_created.json");
        println!("  # send a message as her, and list all");
        println!("  TOKEN=$(cargo run -q -- token --sub {subject})");
        let [curl, url] = ["curl -H \"Authorization: Bearer $TOKEN\"", &format!("http://{app}/messages")];
        println!("  {curl} -H 'Content-Type: application/json' -d '{{\"body\":\"Hello\"}}' {url}");
        println!("  {curl} {url}\n");
        println!("  # delete her: her token is refused at once");
        event("user_deleted.json");
    }
}
