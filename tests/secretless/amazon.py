"""Amazon, as far as steps go: a token service that asks trust policies, in front of moto, which asks nothing.

Requests must be signed by a key that is known: a user's, or one of a session that was given here. What the account holds is
told by `PUT /-/account`: `users` (access key to `secret` and `arn`), `providers` (issuer to client ids), `roles` (ARN to trust
policy), `lifetimes` (ARN to seconds: shorter sessions than Amazon gives). `GET /-/log` has what was asked of the token service, and what came of it. The argument is a file of certificates by
which issuers are trusted; the first line of the output is the port. Ends with its input.
"""

import hashlib
import hmac
import http.client
import json
import os
import re
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from moto.server import ThreadedMotoServer

ACCOUNT = {"users": {}, "providers": {}, "roles": {}, "lifetimes": {}}
SESSIONS = {}
LOG = []
TAGS = "https://aws.amazon.com/tags"
SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)
# What is sent on is a request of its own.
NOT_SENT_ON = {"host", "connection", "content-length", "expect", "transfer-encoding"}


class Refused(Exception):
    """A refusal, by Amazon's code."""


def pattern(text: str, wild: bool) -> str:
    """A condition's value as a regular expression: `${*}`, `${?}` and `${$}` are the characters themselves."""
    parts = []
    for part in re.findall(r"\$\{[*?$]\}|.", text, re.DOTALL):
        if len(part) == 4:
            parts.append(re.escape(part[2]))
        elif wild and part in "*?":
            parts.append(".*" if part == "*" else ".")
        else:
            parts.append(re.escape(part))
    return "".join(parts)


def holds(operator: str, key: str, wanted, context: dict) -> bool:
    """Whether one condition holds. What is not there matches nothing."""
    wild = {"StringEquals": False, "StringLike": True}[operator]
    values = [wanted] if isinstance(wanted, str) else wanted
    given = context.get(key)
    return given is not None and any(re.fullmatch(pattern(value, wild), given, re.DOTALL) for value in values)


def allows(policy: dict, action: str, principal: tuple, context: dict) -> bool:
    """Whether a trust policy allows something."""
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow", "only these are made here"
        actions = statement["Action"]
        actions = [actions] if isinstance(actions, str) else actions
        kind, name = principal
        conditions = statement.get("Condition", {})
        if (
            action in actions
            and statement["Principal"].get(kind) == name
            and all(
                holds(operator, key, wanted, context)
                for operator, keys in conditions.items()
                for key, wanted in keys.items()
            )
        ):
            return True
    return False


def ask(role: str, action: str, principal: tuple, context: dict, tags: dict) -> None:
    """Refuses what a role's trust policy does not allow."""
    policy = ACCOUNT["roles"].get(role)
    context = {**context, **{f"aws:RequestTag/{key}": value for key, value in tags.items()}}
    wanted = [action, "sts:TagSession"] if tags else [action]
    if policy is None or not all(allows(policy, one, principal, context) for one in wanted):
        raise Refused("AccessDenied")


def fetched(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def claims_of(token: str) -> dict:
    """What a token says, by what its issuer publishes."""
    try:
        issuer = jwt.decode(token, options={"verify_signature": False})["iss"]
        if not issuer.startswith("https://") or issuer not in ACCOUNT["providers"]:
            raise Refused("InvalidIdentityToken")
        told = fetched(f"{issuer}/.well-known/openid-configuration")
        if told["issuer"] != issuer:
            raise Refused("InvalidIdentityToken")
        key = jwt.PyJWKClient(told["jwks_uri"]).get_signing_key_from_jwt(token).key
        return jwt.decode(
            token, key, algorithms=["RS256"], audience=ACCOUNT["providers"][issuer], issuer=issuer
        )
    except jwt.ExpiredSignatureError as error:
        raise Refused("ExpiredTokenException") from error
    except (jwt.PyJWTError, urllib.error.URLError, KeyError) as error:
        raise Refused("InvalidIdentityToken") from error


def by_web_identity(fields: dict, told: dict) -> None:
    """Holds a token against the trust policy of the role that it is shown for."""
    role = fields["RoleArn"]
    claims = claims_of(fields["WebIdentityToken"])
    told["sub"] = claims["sub"]
    provider = claims["iss"].removeprefix("https://")
    account = role.split(":")[4]
    tags = {key: values[0] for key, values in claims.get(TAGS, {}).get("principal_tags", {}).items()}
    context = {f"{provider}:aud": claims["aud"], f"{provider}:sub": claims["sub"]}
    principal = ("Federated", f"arn:aws:iam::{account}:oidc-provider/{provider}")
    ask(role, "sts:AssumeRoleWithWebIdentity", principal, context, tags)


def by_signature(fields: dict, told: dict, key: str) -> None:
    """Holds who signed a request against the trust policy of the role that is asked for."""
    told["external_id"] = fields.get("ExternalId")
    tags, at = {}, 1
    while f"Tags.member.{at}.Key" in fields:
        tags[fields[f"Tags.member.{at}.Key"]] = fields[f"Tags.member.{at}.Value"]
        at += 1
    context = {"sts:ExternalId": fields["ExternalId"]} if "ExternalId" in fields else {}
    user = ACCOUNT["users"].get(key, {"arn": None})
    ask(fields["RoleArn"], "sts:AssumeRole", ("AWS", user["arn"]), context, tags)


def text_of(name: str, answer: bytes) -> str:
    return re.search(f"<{name}>([^<]+)</{name}>", answer.decode()).group(1)


class Amazon(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    moto = 0

    def log_message(self, *_words) -> None:
        """Says nothing."""

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.path.startswith("/-/"):
            if self.command == "PUT":
                ACCOUNT.update(json.loads(body))
            return self.answer(200, json.dumps(LOG).encode(), "application/json")
        try:
            status, answer, kind = self.amazon(body)
        except Refused as refused:
            message = f"<Error><Type>Sender</Type><Code>{refused}</Code><Message>not authorized</Message></Error>"
            status, answer, kind = 403, f"<ErrorResponse>{message}</ErrorResponse>".encode(), "text/xml"
        self.answer(status, answer, kind)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def amazon(self, body: bytes) -> tuple:
        form = "x-www-form-urlencoded" in self.headers.get("content-type", "")
        fields = dict(urllib.parse.parse_qsl(body.decode())) if form else {}
        action = fields.get("Action")
        if action not in ("AssumeRole", "AssumeRoleWithWebIdentity"):
            key = self.signer(body)
            target = self.headers.get("x-amz-target", "")
            if target:
                LOG.append({"action": target.rpartition(".")[2], "session": key in SESSIONS, "result": "given"})
            if action == "GetCallerIdentity" and key in ACCOUNT["users"]:
                arn = f"<Arn>{ACCOUNT['users'][key]['arn']}</Arn>"
                answer = f"<R><GetCallerIdentityResult>{arn}</GetCallerIdentityResult></R>"
                return 200, answer.encode(), "text/xml"
            return self.sent_on(body)
        told = {"action": action, "role": fields["RoleArn"], "result": "given"}
        LOG.append(told)
        try:
            if action == "AssumeRole":
                by_signature(fields, told, self.signer(body))
            else:
                by_web_identity(fields, told)
        except Refused as refused:
            told["result"] = str(refused)
            raise
        status, answer, kind = self.sent_on(body)
        if status == 200 and fields["RoleArn"] in ACCOUNT["lifetimes"]:
            ends = time.gmtime(time.time() + ACCOUNT["lifetimes"][fields["RoleArn"]])
            ending = time.strftime("<Expiration>%Y-%m-%dT%H:%M:%SZ</Expiration>", ends)
            answer = re.sub(b"<Expiration>[^<]+</Expiration>", ending.encode(), answer)
        if status == 200:
            key, secret, token = (
                text_of(name, answer) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")
            )
            SESSIONS[key] = (secret, token)
        return status, answer, kind

    def signer(self, body: bytes) -> str:
        """The access key that a request is signed with."""
        found = SIGNATURE.fullmatch(self.headers.get("authorization", ""))
        if found is None:
            raise Refused("MissingAuthenticationToken")
        key, day, region, service, signed, signature = found.groups()
        if key in SESSIONS:
            secret, token = SESSIONS[key]
            if self.headers.get("x-amz-security-token") != token:
                raise Refused("InvalidClientTokenId")
        elif key in ACCOUNT["users"]:
            secret = ACCOUNT["users"][key]["secret"]
        else:
            raise Refused("InvalidClientTokenId")
        path, _, query = self.path.partition("?")
        pairs = sorted(pair if "=" in pair else f"{pair}=" for pair in query.split("&") if pair)
        headers = "".join(f"{name}:{' '.join(self.headers[name].split())}\n" for name in signed.split(";"))
        payload = self.headers.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest()
        request = "\n".join([self.command, path, "&".join(pairs), headers, signed, payload])
        scope = f"{day}/{region}/{service}/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{self.headers['x-amz-date']}\n{scope}\n{digest}"
        made = f"AWS4{secret}".encode()
        for part in (day, region, service, "aws4_request", text):
            made = hmac.new(made, part.encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(made.hex(), signature):
            raise Refused("SignatureDoesNotMatch")
        return key

    def sent_on(self, body: bytes) -> tuple:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_SENT_ON}
        connection = http.client.HTTPConnection("127.0.0.1", self.moto, timeout=30)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("content-type", "text/xml")


def main() -> None:
    # Read whenever an issuer is asked, so it need not be there yet.
    os.environ["SSL_CERT_FILE"] = sys.argv[1]
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    Amazon.moto = moto.get_host_and_port()[1]
    # Containers reach it by the machine's address in their network.
    server = ThreadingHTTPServer(("0.0.0.0", 0), Amazon)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    os._exit(0)


main()
