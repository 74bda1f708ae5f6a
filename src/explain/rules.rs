//! The token rules of all sources, each with its path in the configuration.

use std::fmt;

use crate::config::{Config, JwksLocation, RuleKind, Source, TokenRule};

/// A token rule, its source, and its path in the configuration. Displayed as `` sources[0].tokens[1] of source `clerk` ``.
#[derive(Debug)]
pub(crate) struct ConfiguredRule<'c> {
    pub(crate) path: String,
    pub(crate) source: &'c Source,
    pub(crate) rule: &'c TokenRule,
}

/// All rules, in the order in which they are tried.
pub(crate) fn all(config: &Config) -> Vec<ConfiguredRule<'_>> {
    let mut rules = Vec::new();
    for (index, source) in config.sources.iter().enumerate() {
        rules.extend(source.tokens.iter().enumerate().map(|(number, rule)| {
            let path = format!("sources[{index}].tokens[{number}]");
            ConfiguredRule { path, source, rule }
        }));
    }
    rules
}

impl ConfiguredRule<'_> {
    /// The issuer whose tokens the rule is for, as configured.
    pub(crate) fn issuer(&self) -> &str {
        match &self.rule.kind {
            RuleKind::Oidc { domain, .. } => domain.as_str(),
            RuleKind::CustomJwt { issuer, .. } => issuer,
        }
    }

    /// The configuration key that holds the issuer.
    pub(crate) fn issuer_key(&self) -> &'static str {
        match self.rule.kind {
            RuleKind::Oidc { .. } => "domain",
            RuleKind::CustomJwt { .. } => "issuer",
        }
    }

    /// The URL of its discovery document or its keys, without the query, which may hold a secret; `None` if
    /// the configuration itself holds the keys.
    pub(crate) fn keys_url(&self) -> Option<String> {
        match &self.rule.kind {
            RuleKind::Oidc { domain, .. } => {
                let domain = domain.as_str().trim_end_matches('/');
                Some(format!("{domain}/.well-known/openid-configuration"))
            }
            RuleKind::CustomJwt { jwks: JwksLocation::Url(url), .. } => {
                let mut url = url.clone();
                url.set_query(None);
                Some(url.to_string())
            }
            RuleKind::CustomJwt { jwks: JwksLocation::Inline(_), .. } => None,
        }
    }

    /// How a remedy names a key of the rule: with the variable that sets it where the source is made of
    /// variables.
    pub(crate) fn key(&self, key: &str) -> String {
        let Source { name, provider, .. } = self.source;
        let variables = provider.variables.filter(|_| name == provider.name);
        let variables = variables.map(|variables| variables.of_rule_key(key)).unwrap_or_default();
        let path = &self.path;
        if variables.is_empty() {
            return format!("{key} in {path}");
        }
        format!("{key} in {path} (or {})", variables.join(" or "))
    }
}

impl fmt::Display for ConfiguredRule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of source `{}`", self.path, self.source.name)
    }
}
