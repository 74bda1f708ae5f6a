//! `[[sources.tokens]]`: what a source's tokens look like.

use url::Url;

use super::error::{Fault, fault};
use super::reader::{Reader, any};
use super::source::Known;
use super::{Tokens, address, jwks};

/// One kind of token that a source issues. Rules are tried in order, and the first that fits decides alone.
#[derive(Clone, Debug)]
pub struct TokenRule {
    /// How the issuer and its keys are known.
    pub kind: RuleKind,
    /// What the token's `aud` must hold; `None`: `aud` is not checked.
    pub application_id: Option<String>,
    /// What the token's `azp` may be; empty: `azp` is not checked.
    pub authorized_parties: Vec<String>,
    /// Whether a token of a session that is not complete (`sts` is `pending`) is accepted.
    pub allow_pending_sessions: bool,
}

/// How the issuer and its keys are known.
#[derive(Clone, Debug)]
pub enum RuleKind {
    /// By discovery.
    Oidc {
        /// The discovery document stands under `{domain}/.well-known/openid-configuration`.
        domain: Url,
        /// What a token may be signed with; at least one.
        algorithms: Vec<Algorithm>,
    },
    /// By the configuration alone.
    CustomJwt {
        /// As configured: `https://` may be left out, and a trailing slash says nothing.
        issuer: String,
        /// Where the keys are.
        jwks: JwksLocation,
        /// What a token must be signed with.
        algorithm: Algorithm,
    },
}

/// Where keys are.
#[derive(Clone, Debug)]
pub enum JwksLocation {
    /// To be fetched.
    Url(Url),
    /// Here: JSON with a list of `keys`, decoded from a `data:` URI.
    Inline(String),
}

/// What a token is signed with: only algorithms with a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA PKCS#1 1.5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// What an oidc rule takes if it does not say.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    fn parse(text: &str) -> Result<Self, Fault> {
        let problem = match text {
            "RS256" => return Ok(Self::Rs256),
            "ES256" => return Ok(Self::Es256),
            "EdDSA" => return Ok(Self::EdDsa),
            "none" => "`none` means unsigned, and an unsigned token proves nothing".to_owned(),
            "HS256" | "HS384" | "HS512" => {
                format!("`{text}` signs with a shared secret, so whoever can check a token could make one")
            }
            _ => format!("`{text}` is not a supported algorithm"),
        };
        Err(fault(problem, "write RS256, ES256 or EdDSA"))
    }
}

/// Issuers that sign for everyone's applications: without `aud`, any of their users would be let in. Providers
/// add their own.
const SHARED_ISSUERS: &[&str] = &[
    "access.line.me",
    "accounts.google.com",
    "appleid.apple.com",
    "gitlab.com",
    "id.twitch.tv/oauth2",
    "login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
    "login.microsoftonline.com/common",
    "login.microsoftonline.com/common/v2.0",
    "login.microsoftonline.com/consumers/v2.0",
    "login.microsoftonline.com/organizations/v2.0",
    "login.salesforce.com",
    "slack.com",
    "token.actions.githubusercontent.com",
    "www.facebook.com",
    "www.linkedin.com/oauth",
];

fn is_shared(issuer: &str, known: Known<'_>) -> bool {
    let issuer = issuer.to_ascii_lowercase();
    let bare = issuer.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    SHARED_ISSUERS.contains(&bare) || known.0.iter().any(|kind| kind.shared_issuers.contains(&bare))
}

#[derive(Clone, Copy)]
enum Type {
    Oidc,
    CustomJwt,
}

impl Type {
    fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "oidc" => Ok(Self::Oidc),
            "customJwt" => Ok(Self::CustomJwt),
            _ => Err(fault(format!("`{text}` is no type of rule"), "write \"oidc\" or \"customJwt\"")),
        }
    }
}

/// The rule; `None` if it could not be read, which is then noted.
pub(super) fn read(reader: &Reader<'_>, tokens: &Tokens, known: Known<'_>) -> Option<TokenRule> {
    let remedy = "write \"oidc\" (keys by discovery) or \"customJwt\" (issuer and keys given here)";
    let kind = reader.required("type", remedy, Type::parse);
    let application_id = reader.text("applicationID");
    let remedy = "name the parties that `azp` may be, or leave it out to let any pass";
    let authorized_parties = reader.filled_list("authorizedParties", remedy, any).unwrap_or_default();
    let kind = match kind? {
        Type::Oidc => read_oidc(reader, tokens),
        Type::CustomJwt => read_custom_jwt(reader, tokens),
    }?;
    let issuer = match &kind {
        RuleKind::Oidc { domain, .. } => domain.as_str(),
        RuleKind::CustomJwt { issuer, .. } => issuer,
    };
    if is_shared(issuer, known) && !reader.has("applicationID") {
        let problem = format!("is missing, and {issuer} signs tokens for everyone's applications");
        reader.refuse("applicationID", fault(problem, "write your application's own id (the token's `aud`)"));
    }
    let allow_pending_sessions = reader.flag("allowPendingSessions").unwrap_or(false);
    Some(TokenRule { kind, application_id, authorized_parties, allow_pending_sessions })
}

fn read_oidc(reader: &Reader<'_>, tokens: &Tokens) -> Option<RuleKind> {
    let slips = [
        ("issuer", "write `domain`: an oidc rule finds its issuer by discovery"),
        ("jwks", "leave it out: an oidc rule finds its keys by discovery; or write type = \"customJwt\""),
        ("algorithm", "write `algorithms`, a list: an oidc rule may take several"),
    ];
    refuse_slips(reader, "an oidc rule", &slips);
    let algorithms = reader.filled_list("algorithms", "name one, or leave it out for all", Algorithm::parse);
    let remedy = "write the provider's address, such as \"https://tenant.us.auth0.com\"";
    let domain = reader.required("domain", remedy, |text| address::parse_domain(text, tokens.allow_http));
    Some(RuleKind::Oidc {
        domain: domain?,
        algorithms: algorithms.unwrap_or_else(|| Algorithm::ALL.to_vec()),
    })
}

fn read_custom_jwt(reader: &Reader<'_>, tokens: &Tokens) -> Option<RuleKind> {
    let slips = [
        ("domain", "write `issuer` and `jwks`: only an oidc rule finds them by discovery"),
        ("algorithms", "write `algorithm`, a single one: a customJwt rule takes exactly that"),
    ];
    refuse_slips(reader, "a customJwt rule", &slips);
    let issuer = reader.required("issuer", "write the token's `iss`", any);
    let remedy = "write the address of the issuer's key set, or a data: URI that holds it";
    let jwks = reader.required("jwks", remedy, |text| jwks::location(text, tokens.allow_http));
    let algorithm = reader.required("algorithm", "write RS256, ES256 or EdDSA", Algorithm::parse);
    Some(RuleKind::CustomJwt { issuer: issuer?, jwks: jwks?, algorithm: algorithm? })
}

/// Refuses keys that exist, but for the other type of rule.
fn refuse_slips(reader: &Reader<'_>, here: &str, slips: &[(&str, &str)]) {
    for (key, remedy) in slips.iter().filter(|(key, _)| reader.has(key)) {
        reader.refuse(key, fault(format!("does not belong on {here}"), *remedy));
    }
}
