// An OpenID Connect provider: the `oidc-provider` package with its own login and consent pages, on this machine.
// Out: one line {issuer, redirectUri} as soon as it listens. In: JSON lines; each makes new keys, which from then on
// alone sign and are published, and is answered with {}. It ends with its input.
import { createServer } from "node:http";
import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";
import { answerLines, say } from "./lines.mjs";

const ALGORITHMS = ["RS256", "ES256", "EdDSA"];
const REDIRECT_URI = "https://app.example/callback";

// Applications without a secret, as those in a browser are. Each is named after what its ID tokens are signed with.
const clients = ALGORITHMS.map((algorithm) => ({
  client_id: `app-${algorithm}`,
  id_token_signed_response_alg: algorithm,
  redirect_uris: [REDIRECT_URI],
  token_endpoint_auth_method: "none",
}));

// Anyone may log in. A claim is returned if its scope was requested.
function findAccount(_context, id) {
  const claims = {
    sub: id,
    email: `${id}@example.com`,
    email_verified: true,
    name: "Ada Lovelace",
    given_name: "Ada",
    family_name: "Lovelace",
    picture: "https://img.example/ada.png",
    locale: "en-GB",
    updated_at: 1767225600,
    phone_number: "+15555550100",
    phone_number_verified: false,
    address: { formatted: "12 St James's Square\nLondon", country: "GB" },
  };
  return { accountId: id, claims: () => claims };
}

async function newKeys() {
  const pairs = ALGORITHMS.map((algorithm) => generateKeyPair(algorithm, { extractable: true }));
  return Promise.all(pairs.map(async (pair) => exportJWK((await pair).privateKey)));
}

let handle;
const server = createServer((request, response) => handle(request, response));
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

async function provideWithNewKeys() {
  const keys = await newKeys();
  const provider = new Provider(issuer, {
    clients,
    findAccount,
    jwks: { keys },
    claims: {
      openid: ["sub"],
      email: ["email", "email_verified"],
      profile: ["name", "given_name", "family_name", "picture", "locale", "updated_at"],
      phone: ["phone_number", "phone_number_verified"],
      address: ["address"],
    },
    // The profile belongs into the ID token, as most providers have it; by the letter it is at the userinfo endpoint.
    conformIdTokenClaims: false,
    enabledJWA: { idTokenSigningAlgValues: ALGORITHMS },
    features: { devInteractions: { enabled: true } },
  });
  handle = provider.callback();
}

await provideWithNewKeys();
say({ issuer, redirectUri: REDIRECT_URI });
await answerLines(async () => {
  await provideWithNewKeys();
  return {};
});
server.close();
server.closeAllConnections();
