//! The command that sends a delivery again works as the console shows it.

use serde_json::{Value, json};

use crate::console_runs::visitor;
use crate::support::app::SECRET;
use crate::support::binary::{PROGRAM, ProgramFixture};
use crate::support::client::fixture::CREATED;

/// What a browser makes of the escapes of a page.
fn as_text(html: &str) -> String {
    let escapes = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    escapes.iter().fold(html.to_owned(), |text, (escape, letter)| text.replace(escape, letter))
}

async fn a_delivery_is_sent_again_by_the_command_as_it_stands(home: &mut ProgramFixture) {
    home.set("USERSYNC_ADMIN__LISTEN", "127.0.0.1:0");
    home.set("WEBHOOK_SECRET", SECRET);
    let service = home.serve().await;
    let client = home.client(&service).await;
    let mut event: Value = serde_json::from_str(CREATED).unwrap();
    event["data"]["first_name"] = json!("O'Hara $HOME `id` <b>\n\\ \"EOF\"");
    event["data"]["password_enabled"] = json!(true);
    event["data"]["public_metadata"] = json!({"lines": "EOF\nEOF", "number": 1});
    let event = event.to_string();
    assert_eq!(client.send(client.signed_as("msg_it's", event)).await.brief(), "200 applied");
    let before = client.rows().await;
    let visitor = visitor(home, &service).await;
    let path = "/delivery?source=clerk&id=msg_it%27s";
    assert!(
        !visitor.page(path).await.contains("usersync send -"),
        "it has the payload, which is not asked for"
    );
    let fields = [("source", "clerk"), ("id", "msg_it's"), ("action", "reveal")];
    let shown = visitor.post("/delivery", &fields).await.text;
    let (_, command) = shown.split_once("<pre tabindex=\"0\" data-copy>usersync send").unwrap();
    let command = as_text(command.split_once("</pre>").unwrap().0);
    assert!(!command.contains("password_enabled"), "{command}");
    // The test listens on a port that the settings do not name.
    let command = command.replace("127.0.0.1:0", &service.address);
    let sent = home.shell(&format!("{PROGRAM} send{command}")).await;
    assert!(sent.code == Some(0) && sent.stdout.contains("duplicate"), "{sent:?}");
    let sent = home.shell(&format!("{PROGRAM} send{}", command.replace("msg_it", "msg_new"))).await;
    assert!(sent.code == Some(0) && sent.stdout.contains("stale"), "nothing in it is new: {sent:?}");
    assert_eq!(client.rows().await, before);
    service.stop().await;
}

on_both_databases!(a_delivery_is_sent_again_by_the_command_as_it_stands, with ProgramFixture);
