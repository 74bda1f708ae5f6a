//! The environment variables that make a source without a file.
//!
//! Which variables there are is described by each provider, as [`Variables`]; this file only reads them. They
//! become a source in the tree, which is then read and checked like one of the file. A source of that name in
//! the file (or in `USERSYNC_SOURCES__…`) wins, and the variables are ignored. Half a set is enough where half
//! makes sense: secrets alone make a source that receives, an issuer alone one that answers for tokens. A
//! variable that can have no effect (an audience without an issuer) is refused. Empty variables count as
//! unset.

use std::collections::BTreeMap;

use toml::Value;

use super::error::{Problems, fault};
use super::provider::{ProviderKind, RuleValue, Variables};
use super::text;
use super::tree::{Step, Tree};

/// Adds a source for each provider whose variables are set.
pub(super) fn add_sources(
    tree: &mut Tree,
    environment: &BTreeMap<String, String>,
    problems: &Problems,
    providers: &[ProviderKind],
) {
    for provider in providers {
        let Some(variables) = provider.variables.filter(|_| !tree.has_source(provider.name)) else {
            continue;
        };
        let mut source = SourceFromVariables { environment, problems, entries: Vec::new() };
        source.read(variables);
        source.add_to(tree, provider.name);
    }
}

/// A source in the making.
struct SourceFromVariables<'a> {
    environment: &'a BTreeMap<String, String>,
    problems: &'a Problems,
    /// Where under the source, what, and from which variable.
    entries: Vec<(Vec<Step>, String, &'static str)>,
}

impl SourceFromVariables<'_> {
    fn read(&mut self, variables: &'static Variables) {
        self.secrets("webhook_secrets", variables.webhook_secrets);
        self.secrets("bearer_tokens", variables.bearer_tokens);
        for (variable, other) in variables.requirements {
            self.require(variable, other);
        }
        let mut number = 0;
        for rule in variables.rules {
            number += usize::from(self.rule(number, rule));
        }
        self.api(variables.api);
    }

    /// Adds the management API, if the variable of its first key is set.
    fn api(&mut self, keys: &'static [(&'static str, &'static [&'static str])]) {
        let Some((_, first)) = keys.first() else { return };
        if !first.iter().any(|variable| self.get(variable).is_some()) {
            return;
        }
        for (key, variables) in keys {
            let set = variables.iter().find_map(|name| Some((*name, self.get(name)?.to_owned())));
            if let Some((name, value)) = set {
                self.entries.push((vec![Step::Key("api"), Step::Key(key)], value, name));
            } else {
                let problem = format!("is set without {}", variables.join(" or "));
                let remedy = format!("set {} as well, or unset {}", variables[0], first[0]);
                self.problems.add(first[0], fault(problem, remedy));
            }
        }
    }

    fn get(&self, variable: &str) -> Option<&str> {
        self.environment.get(variable).map(|text| text::clean(text)).filter(|text| !text.is_empty())
    }

    /// Refuses a variable that has no effect without another.
    fn require(&self, variable: &'static str, other: &'static str) {
        if self.get(variable).is_some() && self.get(other).is_none() {
            let remedy = format!("set {other} as well, or unset {variable}");
            self.problems.add(variable, fault(format!("is set without {other}"), remedy));
        }
    }

    /// Adds the secrets of these variables, each once.
    fn secrets(&mut self, key: &'static str, variables: &[&'static str]) {
        let mut known: Vec<String> = Vec::new();
        for variable in variables {
            let Some(secret) = self.get(variable).map(str::to_owned) else { continue };
            if !known.contains(&secret) {
                let steps = vec![Step::Key(key), Step::Index(known.len())];
                self.entries.push((steps, secret.clone(), variable));
                known.push(secret);
            }
        }
    }

    /// Adds a rule, if every variable that it needs is set.
    fn rule(&mut self, number: usize, rule: &[(&'static str, RuleValue)]) -> bool {
        let names = rule.iter().filter_map(|(_, value)| match value {
            RuleValue::Variable { name, default, .. } => Some((*name, *default)),
            RuleValue::Fixed(_) => None,
        });
        let Some((first, _)) = names.clone().next() else { return false };
        if names.clone().any(|(name, default)| self.get(name).or(default).is_none()) {
            return false;
        }
        for (key, value) in rule {
            let (text, variable) = match value {
                RuleValue::Fixed(text) => ((*text).to_owned(), first),
                RuleValue::Variable { prefix, name, default } => {
                    (format!("{prefix}{}", self.get(name).or(*default).unwrap_or_default()), *name)
                }
            };
            self.entries.push((
                vec![Step::Key("tokens"), Step::Index(number), Step::Key(key)],
                text,
                variable,
            ));
        }
        true
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
