"""Verifies an identity token as a stranger does: by what its issuer publishes, and nothing else.

The token comes on standard input; the arguments are the address of the keys, or of the document that tells it, the issuer
and the audience that the verifier expects. Prints the claims as JSON, or the name of what was wrong, and ends with 1.
"""

import json
import sys
import urllib.error
import urllib.request

import jwt

DISCOVERY = "/.well-known/openid-configuration"


def published(keys: str, issuer: str) -> str:
    """The address of the keys, looked up where it is not told."""
    if not keys.endswith(DISCOVERY):
        return keys
    with urllib.request.urlopen(keys) as answer:
        told = json.load(answer)
    if told["issuer"] != issuer:
        raise jwt.InvalidIssuerError
    return told["jwks_uri"]


def main() -> int:
    keys, issuer, audience = sys.argv[1:4]
    token = sys.stdin.read().strip()
    try:
        key = jwt.PyJWKClient(published(keys, issuer)).get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token,
            key.key,
            algorithms=["RS256", "ES256"],
            audience=audience,
            issuer=issuer,
            options={"require": ["iss", "sub", "aud", "exp", "iat", "nbf", "jti"]},
        )
    except (jwt.exceptions.PyJWTError, urllib.error.URLError) as error:
        print(type(error).__name__)
        return 1
    print(json.dumps(claims))
    return 0


sys.exit(main())
