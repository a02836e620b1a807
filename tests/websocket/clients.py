"""The server and Python's websockets: clients.py PORT"""

import asyncio
import sys

import websockets

URL = f"ws://127.0.0.1:{sys.argv[1]}"


async def echoes():
    async with websockets.connect(URL + "/echo", max_size=None) as ws:
        assert not ws.extensions, "compression, which websockets offers, is declined"
        for size in (0, 1, 125, 126, 65535, 65536, 262144):
            for message in ("é" * (size // 2), bytes(range(256)) * (size // 256)):
                await ws.send(message)
                assert await ws.recv() == message, size
        await ws.send(["frag", "mented ", "", "text ☃"])
        assert await ws.recv() == "fragmented text ☃"
        await (await ws.ping(b"hello"))
        for i in range(1000):
            await ws.send(str(i))
        for i in range(1000):
            assert await ws.recv() == str(i)
        await ws.close(4001, "done")
        assert ws.close_code == 4001, ws.close_code


async def closed(path, code, reason="", send=None):
    async with websockets.connect(URL + path, max_size=None) as ws:
        if send is not None:
            await ws.send(send)
        try:
            while True:
                await ws.recv()
        except websockets.ConnectionClosed:
            pass
        assert (ws.close_code, ws.close_reason) == (code, reason), (path, ws.close_code, ws.close_reason)


async def refused(status, path="/echo", **options):
    try:
        async with websockets.connect(URL + path, **options):
            raise AssertionError(f"{path} opened")
    except websockets.InvalidStatusCode as error:
        assert error.status_code == status, error


async def main():
    await echoes()
    await closed("/close/4002?reason=enough", 4002, "enough")
    await closed("/returns", 1000)
    await closed("/fails", 1011)
    await closed("/echo", 1009, "message too large", send=bytes(262145))
    await refused(403, origin="http://evil.example")
    await refused(404, "/nowhere")
    async with websockets.connect(URL + "/chat", subprotocols=["v0.chat", "v1.chat"]) as ws:
        assert ws.subprotocol == "v1.chat"
        assert await ws.recv() == "v1.chat"
    # Its keep-alive pings are answered, however busy it is.
    async with websockets.connect(URL + "/echo", ping_interval=0.05, ping_timeout=1) as ws:
        for _ in range(5):
            await asyncio.sleep(0.1)
            await ws.send("still there")
            assert await ws.recv() == "still there"
    print("Python's websockets: ok")


asyncio.run(asyncio.wait_for(main(), 30))
