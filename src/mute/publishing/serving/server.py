"""The server: OpenAI's routes for models, completions and chats, over one guarded model that answers one at a time.

What comes in is bounded: bytes of a request, tokens of an answer, prompts of a request, and requests that wait. What is
asked is written nowhere; a line of the log has the route, the status and numbers alone.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from mute.publishing.serving import asked
from mute.publishing.serving.asked import Chat, Common, Completion, RefusedError
from mute.store.records import Record
from mute.unlearn.speaking import How, Said, TooLongError

if TYPE_CHECKING:
    from mute.unlearn.speaking import Guarded

LOG = logging.getLogger("mute.serve")
_LOOPBACK_NAMES = ("localhost",)
Told = Callable[[int, str], None]


@dataclass(frozen=True)
class Bounds:
    """Of a request: its bytes, the tokens of its answer and how many if it says nothing, its prompts; of all: how many
    may be open at a time, and how many seconds a body may take to come in."""

    body: int = 1 << 20
    tokens: int = 512
    usual: int = 64
    prompts: int = 16
    open: int = 64
    seconds: float = 30.0


class GoneError(Exception):
    """The client does not wait any more."""


def is_loopback(host: str) -> bool:
    """Whether an address, or a name, is this machine's own, which no other reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOOPBACK_NAMES


def check_host(host: str, others: bool) -> None:
    """Raise ValueError for an address that other machines may reach, unless they are to."""
    if not others and not is_loopback(host):
        raise ValueError(
            f"{host} is no loopback address: whoever reaches this machine could ask the model. Leave --host out, or "
            "add --open-to-others if that is meant"
        )


class Server:
    """The application, `app`, over a guarded model of a name."""

    def __init__(self, guarded: Guarded, name: str, bounds: Bounds = Bounds()) -> None:
        self.guarded, self.name, self.bounds = guarded, name, bounds
        self.opened = 0
        # The model takes one request at a time, in a thread of its own, so that the others are heard meanwhile.
        self.turn = asyncio.Lock()
        self.app = web.Application(middlewares=[self._answered], client_max_size=bounds.body)
        self.app.router.add_get("/v1/models", self.models)
        self.app.router.add_get("/v1/models/{name:.+}", self.model)
        self.app.router.add_post("/v1/completions", partial(self.said, Completion))
        self.app.router.add_post("/v1/chat/completions", partial(self.said, Chat))

    @web.middleware
    async def _answered(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Every error as JSON, and a line of the log without a word of what was asked."""
        try:
            response = await handler(request)
        except RefusedError as error:
            response = web.json_response(error.body(), status=error.status)
        except web.HTTPRequestEntityTooLarge:
            response = self._refused(413, f"a request has at most {self.bounds.body} bytes", "too_large")
        except web.HTTPException as error:
            response = self._refused(error.status, f"{request.method} here: {error.reason}", "no_such_route")
        except (ConnectionError, GoneError):
            raise
        except Exception as error:
            # Its text may hold what was asked.
            LOG.error("%s %s: %s", request.method, request.path, type(error).__name__)
            response = self._refused(500, "the server failed on this request", "server_error")
        LOG.info("%s %s: %d", request.method, request.path, response.status)
        return response

    def _refused(self, status: int, message: str, code: str) -> web.Response:
        return web.json_response(RefusedError(status, message, code=code).body(), status=status)

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [self._model()]})

    async def model(self, request: web.Request) -> web.Response:
        self._known(request.match_info["name"])
        return web.json_response(self._model())

    def _model(self) -> Record:
        return {"id": self.name, "object": "model", "created": 0, "owned_by": "mute"}

    def _known(self, name: str) -> None:
        if name not in ("", self.name):
            raise RefusedError(404, f"there is one model here, {self.name}", code="model_not_found", field="model")

    @asynccontextmanager
    async def _place(self) -> AsyncGenerator[None]:
        """One of the requests that may be open at a time."""
        if self.opened >= self.bounds.open:
            raise RefusedError(429, f"{self.bounds.open} requests are open already: try again later", code="too_many")
        self.opened += 1
        try:
            yield
        finally:
            self.opened -= 1

    async def said(self, kind: type[Common], request: web.Request) -> web.StreamResponse:
        """Answer a request for texts."""
        async with self._place():
            try:
                body = await asyncio.wait_for(request.read(), self.bounds.seconds)
            except TimeoutError:
                raise RefusedError(408, "the body did not come in time", code="timeout") from None
            given = asked.read(kind, body)
            self._known(given.model)
            prompts = given.prompts
            if len(prompts) > self.bounds.prompts:
                raise RefusedError(400, f"a request has at most {self.bounds.prompts} prompts", field="prompt")
            how = self._how(given)
            if given.stream:
                return await self._streamed(request, given, prompts, how)
            said = await self._say(prompts, how, lambda place, piece: None)
            return web.json_response(self._body(given, said))

    def _how(self, given: Common) -> How:
        wanted = given.max_tokens
        if isinstance(given, Chat) and given.max_completion_tokens is not None:
            wanted = given.max_completion_tokens
        if wanted is not None and wanted > self.bounds.tokens:
            raise RefusedError(400, f"an answer has at most {self.bounds.tokens} tokens here", field="max_tokens")
        most = min(self.bounds.usual, self.bounds.tokens) if wanted is None else wanted
        return How(most, given.temperature, given.top_p, given.seed, given.stops)

    async def _say(self, prompts: list[str], how: How, told: Told) -> list[Said]:
        """What the model says, when it is this request's turn. Nobody waits for an answer that nobody waits for."""
        gone = threading.Event()

        def heard(place: int, piece: str) -> None:
            if gone.is_set():
                raise GoneError
            told(place, piece)

        async with self.turn:
            task = asyncio.ensure_future(asyncio.to_thread(self.guarded.say, prompts, how, told=heard))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                # The thread has to end before the next one's turn.
                gone.set()
                await asyncio.wait([task])
                task.exception()
                raise
            except TooLongError as error:
                raise RefusedError(400, str(error), code="context_length_exceeded", field="prompt") from None
            except ValueError as error:
                raise RefusedError(400, str(error), field="prompt") from None

    async def _streamed(self, request: web.Request, given: Common, prompts: list[str], how: How) -> web.StreamResponse:
        """Pieces of the answers as they are said, as server-sent events."""
        pieces: asyncio.Queue[tuple[int, str] | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def told(place: int, piece: str) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, (place, piece))

        task = asyncio.ensure_future(self._say(prompts, how, told))
        task.add_done_callback(lambda _: loop.call_soon(pieces.put_nowait, None))
        try:
            first = await pieces.get()
            if first is None:
                # It may have been refused, which has a status of its own as long as nothing has been sent.
                await task
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
            await response.prepare(request)
            found = first
            while found is not None:
                place, piece = found
                await response.write(_event(self._piece(given, place, piece, None)))
                found = await pieces.get()
            for place, said in enumerate(await _told(task)):
                await response.write(_event(self._piece(given, place, "", said)))
            if task.exception() is not None:
                # The status has been sent: what went wrong can only follow.
                error = RefusedError(500, "the server failed in the middle of this answer", code="server_error")
                await response.write(_event(error.body()))
            await response.write(b"data: [DONE]\n\n")
            await response.write_eof()
            return response
        finally:
            task.cancel()

    def _body(self, given: Common, said: list[Said]) -> Record:
        read, written = sum(own.read for own in said), sum(len(own.tokens) for own in said)
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        chat, choices = isinstance(given, Chat), []
        for place, own in enumerate(said):
            text = {"message": {"role": "assistant", "content": own.text}} if chat else {"text": own.text}
            choices.append({"index": place, **text, "logprobs": None, "finish_reason": _reason(own)})
        kind = "chat.completion" if chat else "text_completion"
        return {"id": "mute", "object": kind, "created": 0, "model": self.name, "choices": choices, "usage": usage}

    def _piece(self, given: Common, place: int, piece: str, said: Said | None) -> Record:
        chat = isinstance(given, Chat)
        delta = {"role": "assistant", "content": piece} if said is None else {}
        text = {"delta": delta} if chat else {"text": piece}
        choice = {"index": place, **text, "logprobs": None, "finish_reason": said and _reason(said)}
        kind = "chat.completion.chunk" if chat else "text_completion"
        return {"id": "mute", "object": kind, "created": 0, "model": self.name, "choices": [choice]}


async def _told(task: asyncio.Task[list[Said]]) -> list[Said]:
    """What was said, or nothing where saying it failed."""
    await asyncio.wait([task])
    return [] if task.exception() is not None else task.result()


def _reason(said: Said) -> str:
    return "stop" if said.ended else "length"


def _event(value: Record) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False, allow_nan=False)}\n\n".encode()


def serve(server: Server, host: str, port: int, *, others: bool, ready: Callable[[str], None]) -> None:
    """Serve until interrupted. ready: is given the address. Raises ValueError for an address that others reach."""
    check_host(host, others)
    asyncio.run(_serving(server, host, port, ready))


async def _serving(server: Server, host: str, port: int, ready: Callable[[str], None], *, signals: bool = True) -> None:
    # aiohttp's own log has the line of each request, and with it whatever a client has put there.
    runner = web.AppRunner(server.app, access_log=None, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0]
        name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        ready(f"http://{name}:{bound[1]}/v1")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
