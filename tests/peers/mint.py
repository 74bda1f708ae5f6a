"""Mints tokens with PyJWT.

In: JSON lines {algorithm, kid, claims}. Out: one line {token, jwks} for each; the key set holds the public half of
every key used so far, as PyJWT writes it. A key is made for each `algorithm` and `kid`, and ends with the script.
"""

import json
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

GENERATE = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}

keys = {}
jwks = {"keys": []}


def private_key(algorithm, kid):
    if (algorithm, kid) not in keys:
        key = keys[algorithm, kid] = GENERATE[algorithm]()
        public = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
        jwks["keys"].append({**public, "kid": kid})
    return keys[algorithm, kid]


for line in sys.stdin:
    asked = json.loads(line)
    algorithm, kid = asked["algorithm"], asked["kid"]
    token = jwt.encode(asked["claims"], private_key(algorithm, kid), algorithm, headers={"kid": kid})
    print(json.dumps({"token": token, "jwks": jwks}), flush=True)
