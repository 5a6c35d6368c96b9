"""What the host is measured against: the same server and framework with nothing in between.

`python -m tests.bench.bare <port> <folder> [<server>]`; `GET /<name>` answers the bytes of the file of that name.
"""

import asyncio
import gc
import signal
import socket
import sys
from pathlib import Path

import msgspec
from fastprocesses_host.asgi_servers import hypercorn_config, uvicorn_config
from hypercorn.asyncio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def echo(request: Request) -> Response:
    document = msgspec.json.decode(await request.body())
    return Response(msgspec.json.encode(document), media_type="application/json")


def bare_app(folder: Path) -> Starlette:
    documents = {path.name: path.read_bytes() for path in folder.iterdir()}

    async def same_bytes(request: Request) -> Response:
        return Response(documents[request.path_params["name"]], media_type="application/json")

    return Starlette(routes=[Route("/echo", echo, methods=["POST"]), Route("/{name}", same_bytes)])


async def main(port: int, folder: Path, server: str) -> None:
    gc.set_threshold(50_000, 20, 100)
    gc.freeze()
    app = bare_app(folder)
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    if server == "uvicorn":
        import uvicorn

        await uvicorn.Server(uvicorn_config(app)).serve(sockets=[listener])
        return
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    config = hypercorn_config(listener.detach())
    await serve(app, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), Path(sys.argv[2]), *(sys.argv[3:] or ["hypercorn"])))
