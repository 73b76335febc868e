"""A mailbox that one login alone fills. `aiosmtpd` by itself knows no logins, and asks for none under implicit TLS."""

from functools import partial

import aiosmtpd.main
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import AuthResult


class Locked(Mailbox):
    @classmethod
    def from_cli(cls, parser, mail, password, tried):
        def known(server, session, envelope, mechanism, login):
            with open(tried, "ab") as log:
                log.write(login.login + b" " + login.password + b"\n")
            with open(password, "rb") as right:
                return AuthResult(success=login.password == right.read(), handled=False)

        login = {"authenticator": known, "auth_required": True, "auth_require_tls": False}
        aiosmtpd.main.SMTP = partial(aiosmtpd.main.SMTP, **login)
        return cls(mail)
