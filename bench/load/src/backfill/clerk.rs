//! A Clerk that answers at once: its users are made as they are asked for.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::Context;
use serde_json::{Value, json};

const LARGEST_PAGE: u32 = 500;
/// What stands in the template for a user's number, as a text and as milliseconds.
const NUMBER: &str = "00000000";
const MILLISECONDS: &str = "1700000000000";

/// Makes users as Clerk describes them.
#[derive(Clone)]
pub(super) struct Users {
    /// A user between the places of the number and of the times.
    template: String,
    count: u32,
    /// The instance that the webhooks name.
    instance: String,
}

impl Users {
    /// `name` is in their ids.
    pub(super) fn new(count: u32, name: &str) -> anyhow::Result<Self> {
        let event = include_str!("../../../../tests/fixtures/clerk/user_created_google.json");
        let event: Value = serde_json::from_str(event)?;
        let mut user = event["data"].clone();
        user["id"] = json!(format!("user_{name}_{NUMBER}"));
        user["email_addresses"][0]["email_address"] = json!(format!("{name}{NUMBER}@example.com"));
        for name in ["created_at", "updated_at"] {
            user[name] = json!(MILLISECONDS.parse::<u64>()?);
        }
        let instance = event["instance_id"].as_str().context("the fixture has no instance")?.to_owned();
        Ok(Self { template: user.to_string(), count, instance })
    }

    pub(super) fn user(&self, number: u32) -> String {
        let milliseconds = 1_700_000_000_000_u64 + u64::from(number);
        self.template
            .replace(NUMBER, &format!("{number:08}"))
            .replace(MILLISECONDS, &milliseconds.to_string())
    }

    fn page(&self, after: Option<u32>, limit: u32) -> String {
        let first = after.map_or(0, |after| after + 1);
        let last = first.saturating_add(limit.min(LARGEST_PAGE)).min(self.count);
        let users: Vec<String> = (first..last).map(|number| self.user(number)).collect();
        format!("[{}]", users.join(","))
    }

    fn answer(&self, path: &str) -> String {
        let value =
            |name: &str| path.split(['?', '&']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        if path.starts_with("/users/count") {
            return json!({"object": "total_count", "total_count": self.count}).to_string();
        }
        if !path.starts_with("/users?") {
            return json!({"object": "instance", "id": self.instance}).to_string();
        }
        let after = value("starting_after").and_then(|id| id.rsplit('_').next()?.parse().ok());
        let limit = value("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10);
        self.page(after, limit)
    }
}

/// Answers until this process ends.
pub(super) fn serve(users: Users) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let users = users.clone();
            // Whoever asks has gone: nothing is left to be done.
            thread::spawn(move || drop(converse(&stream, &users)));
        }
    });
    Ok(address)
}

fn converse(mut stream: &TcpStream, users: &Users) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while let Some(request) = lines.next().transpose()? {
        while !lines.next().transpose()?.context("a request is cut off")?.is_empty() {}
        let path = request.split(' ').nth(1).unwrap_or_default();
        let body = users.answer(path);
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Fri, 27 Nov 2026 12:00:00 GMT\r\n";
        stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let users = Users::new(1200, "listed").unwrap();
        let mut after = String::new();
        let mut read = 0;
        loop {
            let page: Value =
                serde_json::from_str(&users.answer(&format!("/users?limit=500{after}"))).unwrap();
            let Some(last) = page.as_array().unwrap().last() else { break };
            read += page.as_array().unwrap().len();
            after = format!("&starting_after={}", last["id"].as_str().unwrap());
        }
        assert_eq!(read, 1200);
    }
}
