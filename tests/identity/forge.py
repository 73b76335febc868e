"""Signs what a token says once more, under the same key id, with a key that nobody has published.

The token comes on standard input.
"""

import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

token = sys.stdin.read().strip()
claims = jwt.decode(token, options={"verify_signature": False})
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
print(jwt.encode(claims, key, algorithm="RS256", headers={"kid": jwt.get_unverified_header(token)["kid"]}))
