//! The variables that make a source without a file: the names that the providers' own guides use.
//!
//! Each provider's variables become a source in the tree, read and checked like one of the file. A source of
//! that name in the file (or in `USERSYNC_SOURCES__…`) wins, and the variables are then left alone. Half a
//! set is enough where half makes sense: secrets alone make a source that receives, an issuer alone one that
//! answers for tokens. What can have no effect (an audience without an issuer) is refused. Empty variables
//! count as unset.

use std::collections::BTreeMap;

use toml::Value;

use super::error::{Problems, fault};
use super::tree::{Step, Tree};

/// Adds `clerk`, `auth0` and `workos`, as far as their variables are set.
pub(super) fn add_sources(tree: &mut Tree, environment: &BTreeMap<String, String>, problems: &Problems) {
    let providers: [(&str, Describe); 3] = [("clerk", clerk), ("auth0", auth0), ("workos", workos)];
    for (name, describe) in providers {
        if tree.has_source(name) {
            continue;
        }
        let mut draft = Draft { environment, problems, entries: Vec::new(), rules: 0 };
        describe(&mut draft);
        draft.add_to(tree, name);
    }
}

type Describe = fn(&mut Draft<'_>);

fn clerk(draft: &mut Draft<'_>) {
    draft.secrets("webhook_secrets", &["CLERK_WEBHOOK_SECRET", "CLERK_WEBHOOK_SIGNING_SECRET"]);
    draft.needs("CLERK_JWT_AUDIENCE", "CLERK_JWT_ISSUER_DOMAIN");
    if let Some(domain) = draft.get("CLERK_JWT_ISSUER_DOMAIN") {
        let audience = draft.get("CLERK_JWT_AUDIENCE").unwrap_or("convex");
        draft.rule(
            "CLERK_JWT_ISSUER_DOMAIN",
            &[("type", "oidc"), ("domain", domain), ("applicationID", audience)],
        );
    }
}

fn auth0(draft: &mut Draft<'_>) {
    draft.secrets("webhook_secrets", &["AUTH0_WEBHOOK_SECRET"]);
    draft.secrets("bearer_tokens", &["AUTH0_EVENT_STREAM_TOKEN"]);
    draft.needs("AUTH0_DOMAIN", "AUTH0_CLIENT_ID");
    draft.needs("AUTH0_CLIENT_ID", "AUTH0_DOMAIN");
    draft.needs("AUTH0_AUDIENCE", "AUTH0_DOMAIN");
    let Some(domain) = draft.get("AUTH0_DOMAIN") else { return };
    // ID tokens carry the client id as their audience, access tokens the API's.
    for audience in ["AUTH0_CLIENT_ID", "AUTH0_AUDIENCE"] {
        if let Some(audience) = draft.get(audience) {
            draft.rule("AUTH0_DOMAIN", &[("type", "oidc"), ("domain", domain), ("applicationID", audience)]);
        }
    }
}

fn workos(draft: &mut Draft<'_>) {
    draft.secrets("webhook_secrets", &["WORKOS_WEBHOOK_SECRET"]);
    let Some(client_id) = draft.get("WORKOS_CLIENT_ID") else { return };
    let jwks = format!("https://api.workos.com/sso/jwks/{client_id}");
    let issuer = format!("https://api.workos.com/user_management/{client_id}");
    let rule = [("type", "customJwt"), ("algorithm", "RS256"), ("jwks", &jwks)];
    draft.rule("WORKOS_CLIENT_ID", &[&rule[..], &[("issuer", &issuer)]].concat());
    // This issuer signs for every customer of WorkOS: only the client id tells whose token it is.
    let shared = [("issuer", "https://api.workos.com/"), ("applicationID", client_id)];
    draft.rule("WORKOS_CLIENT_ID", &[&rule[..], &shared].concat());
}

/// A source in the making.
struct Draft<'a> {
    environment: &'a BTreeMap<String, String>,
    problems: &'a Problems,
    /// Where under the source, what, and from which variable.
    entries: Vec<(Vec<Step>, String, &'static str)>,
    rules: usize,
}

impl<'a> Draft<'a> {
    fn get(&self, variable: &str) -> Option<&'a str> {
        self.environment.get(variable).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// Refuses a variable that has no effect without another.
    fn needs(&self, variable: &'static str, other: &'static str) {
        if self.get(variable).is_some() && self.get(other).is_none() {
            let remedy = format!("set {other} as well, or unset {variable}");
            self.problems.add(variable, fault(format!("is set without {other}"), remedy));
        }
    }

    /// Adds the secrets of these variables, each once.
    fn secrets(&mut self, key: &'static str, variables: &[&'static str]) {
        let mut known = Vec::new();
        for variable in variables {
            if let Some(secret) = self.get(variable).filter(|secret| !known.contains(secret)) {
                let steps = vec![Step::Key(key), Step::Index(known.len())];
                self.entries.push((steps, secret.to_owned(), variable));
                known.push(secret);
            }
        }
    }

    fn rule(&mut self, variable: &'static str, values: &[(&'static str, &str)]) {
        for (key, value) in values {
            let steps = vec![Step::Key("tokens"), Step::Index(self.rules), Step::Key(key)];
            self.entries.push((steps, (*value).to_owned(), variable));
        }
        self.rules += 1;
    }

    fn add_to(self, tree: &mut Tree, name: &'static str) {
        let Some((_, _, first)) = self.entries.first() else { return };
        let source = [Step::Key("sources"), Step::Index(tree.count_sources())];
        let named = ["name", "provider"].map(|key| (vec![Step::Key(key)], name.to_owned(), *first));
        for (steps, value, variable) in named.into_iter().chain(self.entries.clone()) {
            tree.set(&[&source[..], &steps].concat(), Value::String(value), variable);
        }
    }
}
