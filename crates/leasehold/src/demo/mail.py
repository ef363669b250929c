# The mail server of the demo: Debian's aiosmtpd. Says "ready", and then each mail that it takes, as a line of JSON.
# Arguments: address and port.
import asyncio, email, email.policy, json, sys

from aiosmtpd.smtp import SMTP


def say(what):
    print(json.dumps(what), flush=True)


class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say({"to": envelope.rcpt_tos, "subject": str(mail["subject"]), "text": mail.get_content()})
        return "250 taken"


async def main():
    make = lambda: SMTP(Handler(), hostname="mail.example")
    server = await asyncio.get_running_loop().create_server(make, sys.argv[1], int(sys.argv[2]))
    say("ready")
    await server.serve_forever()

asyncio.run(main())
