//! The command that sends a delivery again.

use super::mask;
use crate::config::{Config, Signing, on_this_machine};
use crate::domain::DeliveryKey;

/// `usersync send` with a payload, for a shell on the machine of the service. `None` if the source does not accept what
/// the command signs, or if the payload cannot be read.
pub(super) fn command(config: &Config, key: &DeliveryKey, payload: &str) -> Option<String> {
    let source = config.sources.iter().find(|source| source.name == key.source)?;
    let is_accepted =
        source.provider.signing == Signing::StandardWebhooks && !source.webhook_secrets.is_empty();
    let payload = mask::without_private(payload).filter(|_| is_accepted)?;
    let address = *on_this_machine(config.server.listen).first()?;
    let (name, id) = (&source.name, key.message_id.replace('\'', "'\\''"));
    // No line of JSON is `EOF`. Its lines are short, because a terminal cuts long ones.
    Some(format!(
        "usersync send - --to http://{address}/webhooks/{name} --secret \"$WEBHOOK_SECRET\" --id='{id}' \
         <<'EOF'\n{payload}\nEOF"
    ))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::command;
    use crate::config::{Config, ProviderKind, Signing, Source};
    use crate::domain::DeliveryKey;
    use crate::providers::CLERK;

    fn source(provider: ProviderKind, secrets: usize) -> Source {
        Source {
            name: "app".to_owned(),
            provider,
            webhook_secrets: vec![SecretString::from("whsec_c2VjcmV0"); secrets],
            bearer_tokens: Vec::new(),
            tokens: Vec::new(),
            map: None,
            api: None,
            list: None,
        }
    }

    #[test]
    fn there_is_a_command_where_the_source_accepts_its_signature() {
        let key = DeliveryKey { source: "app".to_owned(), message_id: "msg_1".to_owned() };
        let of = |provider, secrets, payload: &str| {
            let mut config = Config { sources: vec![source(provider, secrets)], ..Config::default() };
            config.server.listen = "0.0.0.0:80".parse().unwrap();
            command(&config, &key, payload)
        };
        let expected = "usersync send - --to http://127.0.0.1:80/webhooks/app --secret \"$WEBHOOK_SECRET\" \
                        --id='msg_1' <<'EOF'\n{}\nEOF";
        assert_eq!(of(CLERK, 1, "{}").unwrap(), expected);
        let other = ProviderKind { signing: Signing::TimestampedHmac { header: "x" }, ..CLERK };
        for none in [of(CLERK, 0, "{}"), of(other, 1, "{}"), of(CLERK, 1, "{")] {
            assert_eq!(none, None);
        }
    }
}
