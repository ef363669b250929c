# A mail server for the tests: Debian's aiosmtpd. It says where it listens, and then each mail that it takes, as JSON,
# a line each. Arguments: plain | starttls CERTIFICATE KEY | tls CERTIFICATE
# KEY. With starttls it wants the user "ops", password "hush".
import asyncio, email, email.policy, json, ssl, sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(what):
    print(json.dumps(what), flush=True)


class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None,
            "headers": {name.lower(): str(mail[name]) for name in mail.keys()},
            "text": mail.get_content(),
        })
        return "250 taken"


def check(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"ops", b"hush"))


async def main():
    options, context = {}, None
    if sys.argv[1] != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
    if sys.argv[1] == "starttls":
        options = {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": check}
    make = lambda: SMTP(Handler(), hostname="localhost", **options)
    server = await asyncio.get_running_loop().create_server(
        make, "127.0.0.1", 0, ssl=context if sys.argv[1] == "tls" else None)
    say({"port": server.sockets[0].getsockname()[1]})
    await server.serve_forever()

asyncio.run(main())
