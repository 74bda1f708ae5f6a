// Mints tokens with the `jose` package.
// In: JSON lines {algorithm, kid, claims}; without `kid` neither token nor key has one. Out: one line {token, jwks} for each; the key set holds the public half of
// every key used so far. A key is made for each `algorithm` and `kid`, and ends with the script.
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { answerLines } from "./lines.mjs";

const pairs = new Map();
const jwks = { keys: [] };

async function privateKey(algorithm, kid) {
  const name = `${algorithm} ${kid}`;
  if (!pairs.has(name)) {
    const pair = await generateKeyPair(algorithm);
    pairs.set(name, pair.privateKey);
    const named = kid === undefined ? {} : { kid, alg: algorithm };
    jwks.keys.push({ ...(await exportJWK(pair.publicKey)), ...named, use: "sig" });
  }
  return pairs.get(name);
}

await answerLines(async ({ algorithm, kid, claims }) => {
  const key = await privateKey(algorithm, kid);
  const token = await new SignJWT(claims).setProtectedHeader({ alg: algorithm, typ: "JWT", kid }).sign(key);
  return { token, jwks };
});
