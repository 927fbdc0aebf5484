"""A client by Debian's python3-websockets: prints nothing if all holds."""
import asyncio
import re
import sys

import websockets


async def main(url):
    async with websockets.connect(url) as ws:
        await ws.send("")
        session = await ws.recv()
        assert session.startswith("SESSION:"), session
        assert (await ws.recv()) == "TZN:UTC"
        first = await ws.recv()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", first), first
        await ws.send("TZ SET Asia/Tokyo")
        answers = []
        while "TZN:JST" not in answers:
            answers.append(await ws.recv())
        assert "OK:Asia/Tokyo" in answers, answers
        assert (await ws.recv()).endswith("+09:00")
        await ws.ping()
    async with websockets.connect(url) as ws:
        await ws.send(session.removeprefix("SESSION:"))
        assert (await ws.recv()) == session
        assert (await ws.recv()) == "TZN:JST"
        await ws.send(b"binary")
        try:
            while True:
                await ws.recv()
        except websockets.ConnectionClosed as closed:
            assert closed.code == 1003, closed


asyncio.run(main(sys.argv[1]))
