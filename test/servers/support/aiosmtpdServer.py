"""A mail server out of aiosmtpd: PORT HOSTNAME FOLDER. What it takes goes to the folder, as Dropped.ts reads it."""
import asyncio
import os
import sys

from aiosmtpd.smtp import SMTP

port, hostname, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Drop:
    count = 0

    async def handle_DATA(self, server, session, envelope):
        name = os.path.join(folder, str(Drop.count))
        Drop.count += 1
        with open(name + ".message", "wb") as file:
            file.write(envelope.content)
        with open(name + ".part", "w") as file:
            file.write("\n".join([envelope.mail_from, *envelope.rcpt_tos]) + "\n")
        os.rename(name + ".part", name + ".envelope")
        return "250 queued"


async def main():
    loop = asyncio.get_running_loop()
    make = lambda: SMTP(Drop(), hostname=hostname, data_size_limit=50_000_000, enable_SMTPUTF8=True)
    server = await loop.create_server(make, "127.0.0.1", port)
    await server.serve_forever()


asyncio.run(main())
