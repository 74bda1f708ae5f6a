//! The least that a server can do: actix-web, set up as usersync sets it up, that answers one kept answer to
//! everyone, from memory. It reads no token, knows no user, counts nothing and logs nothing.

use std::fs;
use std::future::{Ready, ready};
use std::io;
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::{Context, bail};
use clap::Parser;
use mimalloc::MiMalloc;

/// That of usersync, so that it makes no difference.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// As `src/http/server.rs` has it.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// As `src/http/server.rs` has it.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// actix-web writes these itself.
const WRITTEN_BY_THE_SERVER: [&str; 2] = ["content-length", "date"];
/// An answer has no more headers than this.
const HEADERS: usize = 32;

/// Answers the current user from memory, whoever asks
#[derive(Debug, Parser)]
struct Options {
    /// Where it listens, on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// The answer as it came over the wire
    #[arg(long, value_name = "FILE")]
    answer: PathBuf,
}

/// What everyone is answered.
#[derive(Clone, Debug)]
struct Kept {
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Kept {
    fn parse(answer: &[u8]) -> anyhow::Result<Self> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(answer)? else {
            bail!("the answer is not whole")
        };
        let kept = response.headers.iter().filter(|header| {
            !WRITTEN_BY_THE_SERVER.iter().any(|name| header.name.eq_ignore_ascii_case(name))
        });
        let headers = kept
            .map(|header| Ok((header.name.parse()?, HeaderValue::from_bytes(header.value)?)))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { headers, body: Bytes::copy_from_slice(&answer[head..]) })
    }

    #[expect(clippy::needless_pass_by_value, reason = "a handler is given what it takes")]
    fn answer(kept: web::Data<Self>) -> Ready<HttpResponse> {
        let mut response = HttpResponse::Ok();
        for (name, value) in &kept.headers {
            response.insert_header((name, value));
        }
        ready(response.body(kept.body.clone()))
    }
}

fn is_ready() -> Ready<HttpResponse> {
    ready(HttpResponse::Ok().finish())
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let answer = fs::read(&options.answer).context("--answer names no file")?;
    serve(options.port, Kept::parse(&answer)?).await?;
    Ok(())
}

async fn serve(port: u16, kept: Kept) -> io::Result<()> {
    HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(kept.clone()))
            .route("/v1/users/current", web::get().to(Kept::answer))
            .route("/readyz", web::get().to(is_ready))
    })
    .workers(thread::available_parallelism().map_or(1, NonZeroUsize::get))
    .h1_allow_half_closed(false)
    .client_request_timeout(HEADER_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .bind((Ipv4Addr::LOCALHOST, port))?
    .run()
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_kept_but_for_what_the_server_writes() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-request-id: 1\r\nDate: today\r\n\r\n{}";
        let kept = Kept::parse(answer).unwrap();
        let headers: Vec<_> =
            kept.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(headers, [("x-request-id", "1")]);
        assert_eq!(kept.body, "{}");
        assert!(Kept::parse(b"HTTP/1.1 200 OK\r\n").is_err());
    }
}
