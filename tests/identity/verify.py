"""Verifies an identity token as a stranger does: by what its issuer publishes, and nothing else.

The token comes on standard input; the arguments are the address of the keys, the issuer and the audience that the
verifier expects. Prints the claims as JSON, or the name of what was wrong, and ends with 1.
"""

import json
import sys

import jwt


def main() -> int:
    keys, issuer, audience = sys.argv[1:4]
    token = sys.stdin.read().strip()
    try:
        key = jwt.PyJWKClient(keys).get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token,
            key.key,
            algorithms=["RS256", "ES256"],
            audience=audience,
            issuer=issuer,
            options={"require": ["iss", "sub", "aud", "exp", "iat", "nbf", "jti"]},
        )
    except jwt.exceptions.PyJWTError as error:
        print(type(error).__name__)
        return 1
    print(json.dumps(claims))
    return 0


sys.exit(main())
