//! What the configuration needs to know about each provider. The providers themselves define it.

/// What the configuration needs to know about a provider; defined in the provider's own folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderKind {
    /// Its name in the configuration.
    pub name: &'static str,
    /// How its deliveries are signed, and so what its secrets look like.
    pub signing: Signing,
    /// Whether its deliveries may carry a bearer token instead of a signature.
    pub takes_bearer_tokens: bool,
    /// Whether its format is not known, but described in `[sources.map]`.
    pub is_mapped: bool,
    /// The keys of `[sources.api]` for requests to its API; none for a provider whose list is configured.
    pub api_credentials: &'static [&'static str],
    /// The environment variables that make a source of it without a file.
    pub variables: Option<&'static Variables>,
    /// Its issuers that sign for every customer's applications, without `https://`: a rule for one of them
    /// needs an `applicationID`.
    pub shared_issuers: &'static [&'static str],
    /// What its keys begin with that hold the domain, in base64 with a `$` after it. They are often pasted where the
    /// domain belongs.
    pub domain_key_prefixes: &'static [&'static str],
    /// The hosts of its dashboard, which issues no tokens, each with what to write in its place.
    pub dashboards: &'static [(&'static str, &'static str)],
    /// Ends of hosts that do not issue its tokens, each with the end of the host that does.
    pub similar_hosts: &'static [(&'static str, &'static str)],
}

/// How deliveries are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// As Svix does; secrets are base64, perhaps after `whsec_`.
    StandardWebhooks,
    /// A timestamp and an HMAC in one header; secrets are any text.
    TimestampedHmac {
        /// The header's name, in lower case.
        header: &'static str,
    },
}

/// The environment variables that make a source of a provider, named as the provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variables {
    /// Each holds one secret of `webhook_secrets`.
    pub webhook_secrets: &'static [&'static str],
    /// Each holds one of `bearer_tokens`.
    pub bearer_tokens: &'static [&'static str],
    /// Pairs of variables: the first has no effect without the second.
    pub requirements: &'static [(&'static str, &'static str)],
    /// Token rules, in the order in which they are tried. A rule is made where every variable that it names
    /// is set or has a default.
    pub rules: &'static [&'static [(&'static str, RuleValue)]],
    /// The keys of `[sources.api]`, each with the variables that set it, the first that is set. The section is there if
    /// the first key's is.
    pub api: &'static [(&'static str, &'static [&'static str])],
}

/// Where the value of a token rule's key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleValue {
    /// It is always the same.
    Fixed(&'static str),
    /// It is what the variable holds, after the prefix.
    Variable {
        /// The text before the variable's value, or nothing.
        prefix: &'static str,
        /// The variable.
        name: &'static str,
        /// The variable's value where it is unset.
        default: Option<&'static str>,
    },
}

impl RuleValue {
    /// What the variable holds.
    pub const fn of(name: &'static str) -> Self {
        Self::Variable { prefix: "", name, default: None }
    }

    /// What the variable holds, or the default where it is unset.
    pub const fn of_or(name: &'static str, default: &'static str) -> Self {
        Self::Variable { prefix: "", name, default: Some(default) }
    }

    /// What the variable holds, after a prefix.
    pub const fn after(prefix: &'static str, name: &'static str) -> Self {
        Self::Variable { prefix, name, default: None }
    }
}

impl Variables {
    /// The variables that set a key of the token rules.
    pub fn of_rule_key(&self, key: &str) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (_, value) in self.rules.iter().flat_map(|rule| rule.iter()).filter(|(known, _)| *known == key) {
            if let RuleValue::Variable { name, .. } = value
                && !names.contains(name)
            {
                names.push(*name);
            }
        }
        names
    }
}
