//! `[[sources.tokens]]`: what a source's tokens look like.

use url::Url;

use super::address::{Domain, Issuer};
use super::clients::Party;
use super::error::{ValueError, fault};
use super::jwks::JwksLocation;
use super::key::Shape;
use super::provider::ProviderKind;
use super::settings::{Kind, NonEmptyList, choices, parsed, settings};
use super::slot::Slot;

settings! {
    /// The keys of a rule, before it is known which of them belong together.
    struct RuleKeys {
        /// `oidc`: issuer and keys by discovery. `customJwt`: issuer and keys are given here.
        #[key = "type"]
        #[required = "write \"oidc\" (keys by discovery) or \"customJwt\" (issuer and keys given here)"]
        kind: Option<Type>,
        /// For oidc, required. The discovery document is at `{domain}/.well-known/openid-configuration`.
        ///
        /// `https://` may be left out.
        domain: Option<Url> as Option<Domain>,
        /// What the token's `aud` must contain. If it is left out, `aud` is not checked.
        ///
        /// It cannot be left out for issuers known to sign for everyone's applications (Google, WorkOS' shared one, …).
        #[key = "applicationID"]
        application_id: Option<String>,
        /// If it is set, the token's `azp` must be one of these.
        ///
        /// A token without `azp` is then refused. In an origin, a `*` in the first label stands for letters, digits and
        /// hyphens of that label: `https://*.example.com`, `https://app-*-team.vercel.app`. `https://*.vercel.app`
        /// matches the pages of all customers of Vercel.
        #[key = "authorizedParties"]
        #[example = "[\"https://app.example.com\"]"]
        authorized_parties: Vec<String> as NonEmptyList<Party>,
        /// Also accepts users who have signed in at Clerk, but still have to complete a task there (`sts` is
        /// `pending`).
        #[key = "allowPendingSessions"]
        allow_pending_sessions: bool = false,
        /// The user's id is what `sub` holds before this text, if `sub` holds more than the id.
        ///
        /// For Convex Auth, whose `sub` is the user's id, `|` and the session's id: `"|"`. Otherwise every session
        /// would be a user. Leave it out for Auth0, whose ids contain `|` themselves.
        #[key = "subjectSeparator"]
        #[example = "\"|\""]
        subject_separator: Option<String> as Option<Separator>,
        /// For oidc: the algorithms that a token may be signed with.
        algorithms: Vec<Algorithm> as NonEmptyList<Algorithm> = Algorithm::ALL.to_vec(),
        /// For customJwt, required. The token's `iss`.
        ///
        /// `https://` may be left out, and a slash at the end is ignored. `http://` is allowed without `allow_http`:
        /// the issuer is only compared, and nothing is fetched from it.
        issuer: Option<String> as Option<Issuer>,
        /// For customJwt, required. The address of the key set, or a `data:` URI that holds it.
        jwks: Option<JwksLocation>,
        /// For customJwt, required: `RS256`, `ES256` or `EdDSA` (the same as `Ed25519`). A token must be signed with
        /// exactly this one.
        algorithm: Option<Algorithm>,
    }
}

/// One kind of token that a source issues. Rules are tried in order, and the first that matches decides alone.
#[derive(Clone, Debug)]
pub struct TokenRule {
    /// How the issuer and its keys are known.
    pub kind: RuleKind,
    /// What the token's `aud` must hold; `None`: `aud` is not checked.
    pub application_id: Option<String>,
    /// What the token's `azp` may be, see [`super::origin_matches`]; empty: `azp` is not checked.
    pub authorized_parties: Vec<String>,
    /// Whether a token of a session that is not complete (`sts` is `pending`) is accepted.
    pub allow_pending_sessions: bool,
    /// What ends the user's id in `sub`; `None`: `sub` is the user's id.
    pub subject_separator: Option<String>,
}

/// How the issuer and its keys are known.
#[derive(Clone, Debug)]
pub enum RuleKind {
    /// By discovery.
    Oidc {
        /// The discovery document is at `{domain}/.well-known/openid-configuration`.
        domain: Url,
        /// What a token may be signed with; at least one.
        algorithms: Vec<Algorithm>,
    },
    /// By the configuration alone.
    CustomJwt {
        /// As configured: `https://` may be left out, and a trailing slash is ignored.
        issuer: String,
        /// Where the keys are.
        jwks: JwksLocation,
        /// What a token must be signed with.
        algorithm: Algorithm,
    },
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
    /// The default of an oidc rule.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];
}

impl Kind for Algorithm {
    type Value = Self;
    const SHAPE: Shape = Shape::Choice(&["RS256", "ES256", "EdDSA", "Ed25519"]);

    fn read(slot: &Slot<'_>) -> Option<Self> {
        slot.parse(algorithm)
    }

    #[cfg(test)]
    fn show(value: &Self) -> Option<String> {
        ["\"RS256\"", "\"ES256\"", "\"EdDSA\""]
            .into_iter()
            .zip(Self::ALL)
            .find(|(_, it)| it == value)
            .map(|(name, _)| name.to_owned())
    }
}

fn algorithm(text: &str) -> Result<Algorithm, ValueError> {
    let problem = match text {
        "RS256" => return Ok(Algorithm::Rs256),
        "ES256" => return Ok(Algorithm::Es256),
        // RFC 9864 names the curve, and Ed25519 is the only one that we have.
        "EdDSA" | "Ed25519" => return Ok(Algorithm::EdDsa),
        "none" => "`none` means unsigned, and an unsigned token proves nothing".to_owned(),
        "HS256" | "HS384" | "HS512" => {
            format!(
                "`{text}` signs with a shared secret, so everyone who can check a token can also make one"
            )
        }
        _ => format!("`{text}` is not a supported algorithm"),
    };
    Err(fault(problem, "write RS256, ES256 or EdDSA"))
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

fn is_shared(issuer: &str, providers: &[ProviderKind]) -> bool {
    let issuer = issuer.to_ascii_lowercase();
    let bare = issuer.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    SHARED_ISSUERS.contains(&bare) || providers.iter().any(|kind| kind.shared_issuers.contains(&bare))
}

/// What ends the user's id in `sub`.
struct Separator;

parsed!(Separator as String, Text, separator, |separator: &String| format!("{separator:?}"));

fn separator(text: &str) -> Result<String, ValueError> {
    if text.is_empty() {
        return Err(fault(
            "is empty, and so would be every user's id",
            "write what ends the id, such as \"|\"",
        ));
    }
    Ok(text.to_owned())
}

#[derive(Clone, Copy, PartialEq)]
enum Type {
    Oidc,
    CustomJwt,
}

choices!(Type, "a type of rule", "oidc" => Self::Oidc, "customJwt" => Self::CustomJwt);

impl Kind for TokenRule {
    type Value = Self;
    const SHAPE: Shape = RuleKeys::SHAPE;

    fn read(slot: &Slot<'_>) -> Option<Self> {
        let keys = RuleKeys::read(slot)?;
        let kind = match keys.kind? {
            Type::Oidc => {
                check_oidc(slot);
                RuleKind::Oidc { domain: keys.domain?, algorithms: keys.algorithms }
            }
            Type::CustomJwt => {
                check_custom_jwt(slot);
                RuleKind::CustomJwt { issuer: keys.issuer?, jwks: keys.jwks?, algorithm: keys.algorithm? }
            }
        };
        check_shared(slot, &kind);
        Some(Self {
            kind,
            application_id: keys.application_id,
            authorized_parties: keys.authorized_parties,
            allow_pending_sessions: keys.allow_pending_sessions,
            subject_separator: keys.subject_separator,
        })
    }
}

fn check_oidc(slot: &Slot<'_>) {
    let misplaced_keys = [
        ("issuer", "write `domain`: an oidc rule finds its issuer by discovery"),
        ("jwks", "leave it out: an oidc rule finds its keys by discovery; or write type = \"customJwt\""),
        ("algorithm", "write `algorithms`, a list: an oidc rule may take several"),
    ];
    refuse_misplaced_keys(slot, "an oidc rule", &misplaced_keys);
    slot.key("domain").require("write the provider's address, such as \"https://tenant.us.auth0.com\"");
}

fn check_custom_jwt(slot: &Slot<'_>) {
    let misplaced_keys = [
        ("domain", "write `issuer` and `jwks`: only an oidc rule finds them by discovery"),
        ("algorithms", "write `algorithm`, a single one: a customJwt rule takes exactly that"),
    ];
    refuse_misplaced_keys(slot, "a customJwt rule", &misplaced_keys);
    slot.key("issuer").require("write the token's `iss`");
    slot.key("jwks").require("write the address of the issuer's key set, or a data: URI that holds it");
    slot.key("algorithm").require("write RS256, ES256 or EdDSA");
}

/// Without `aud`, a shared issuer's tokens would let in the users of everyone's applications.
fn check_shared(slot: &Slot<'_>, kind: &RuleKind) {
    let issuer = match kind {
        RuleKind::Oidc { domain, .. } => domain.as_str(),
        RuleKind::CustomJwt { issuer, .. } => issuer,
    };
    let application_id = slot.key("applicationID");
    if is_shared(issuer, slot.context.providers) && !application_id.is_set() {
        let problem = format!("is missing, and {issuer} signs tokens for everyone's applications");
        application_id.refuse(fault(problem, "write your application's own id (the token's `aud`)"));
    }
}

/// Refuses keys that exist, but for the other type of rule.
fn refuse_misplaced_keys(slot: &Slot<'_>, here: &str, misplaced_keys: &[(&str, &str)]) {
    for (key, remedy) in misplaced_keys {
        let slot = slot.key(key);
        if slot.is_set() {
            slot.refuse(fault(format!("is not a key of {here}"), *remedy));
        }
    }
}
