"""The Python program's shape: one asyncio task for each connection, on websockets. Usage: clock.py <port>"""
import asyncio
import datetime
import secrets
import sys

import websockets


def now():
    return datetime.datetime.now(datetime.timezone.utc)


async def ticks(ws):
    last = now().replace(microsecond=0)
    await ws.send(last.isoformat())
    while True:
        due = last + datetime.timedelta(seconds=1)
        await asyncio.sleep((due - now()).total_seconds())
        last = max(due, now().replace(microsecond=0))
        await ws.send(last.isoformat())


async def clock(ws, path=None):
    await ws.recv()
    await ws.send("SESSION:" + secrets.token_urlsafe(24))
    await ws.send("TZN:UTC")
    ticker = asyncio.create_task(ticks(ws))
    try:
        async for command in ws:
            if command.upper() == "TIME":
                await ws.send("OK:" + now().isoformat(timespec="microseconds"))
            else:
                await ws.send("ERR:unknown command")
    finally:
        ticker.cancel()


async def main():
    async with websockets.serve(clock, "127.0.0.1", int(sys.argv[1]), backlog=4096):
        await asyncio.Future()


asyncio.run(main())
