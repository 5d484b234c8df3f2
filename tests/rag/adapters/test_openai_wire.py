"""An OpenAI-compatible endpoint in good and bad days: real HTTP peers, and a tiny real model."""

import asyncio
import json
import math
import socket
import struct
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from rag.adapters.openai_wire import OpenAIWire, retry_after_s
from rag.errors import Error, ModelUnavailable, PermanentError
from rag.gateway.patience import Patience
from rag.protocols import Completion, Message, ModelPrompt
from rag.types import Usage
from tests.model_server import MODEL_NAME, ModelServer

KEY = "sk-never-to-be-shown"
PROMPT = ModelPrompt(
    question="How deep is the sea?",
    evidence=(),
    messages=(Message("system", "Answer in a word."), Message("user", "How deep is the sea?")),
    prompt="short",
    max_output_tokens=12,
)
SOON = 0.05
LONG = 30.0

Say = Callable[[str], Awaitable[None]]
Script = Callable[[Say, "Peer"], Awaitable[None]]


@dataclass(slots=True)
class Peer:
    """An HTTP endpoint that does what a test says, and remembers what it was asked."""

    base_url: str = ""
    headers: list[str] = field(default_factory=list[str])
    asked: dict[str, Any] = field(default_factory=dict[str, Any])
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client has hung up."""


@asynccontextmanager
async def peer(script: Script) -> AsyncGenerator[Peer]:
    here = Peer()
    done: list[asyncio.Event] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        finished = asyncio.Event()
        done.append(finished)

        async def say(text: str) -> None:
            writer.write(text.encode())
            await writer.drain()

        async def notice_leaving() -> None:
            await reader.read()
            here.left.set()

        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            here.headers = head.lower().split("\r\n")
            [length] = [line for line in here.headers if line.startswith("content-length:")]
            here.asked = json.loads(await reader.readexactly(int(length.split(":")[1])))
            leaving = asyncio.create_task(notice_leaving())
            try:
                await script(say, here)
            except ConnectionError:
                here.left.set()
            finally:
                leaving.cancel()
        finally:
            writer.close()
            finished.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        here.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield here
    for each in done:
        await each.wait()


def answering(status: int, body: str = "", *headers: str) -> Script:
    async def script(say: Say, _: Peer) -> None:
        lines = (f"HTTP/1.1 {status} Said", "Connection: close", *headers, "", body)
        await say("\r\n".join(lines))

    return script


def streaming(*frames: str, then_silence: bool = False) -> Script:
    """A stream of events, ended by hanging up; or held open until the client leaves."""

    async def script(say: Say, here: Peer) -> None:
        await say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for frame in frames:
            await say(frame)
        if then_silence:
            await here.left.wait()

    return script


def event(value: object) -> str:
    return f"data: {json.dumps(value)}\n\n"


def piece(text: str) -> str:
    return event({"choices": [{"delta": {"content": text}, "finish_reason": None}]})


OPENING = event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
STOP = event({"choices": [{"delta": {"content": None}, "finish_reason": "stop"}]})
COUNTS = event({"choices": [], "usage": {"prompt_tokens": 21, "completion_tokens": 2}})
DONE = "data: [DONE]\n\n"


@asynccontextmanager
async def model_at(
    base_url: str, *, api_key: str | None = KEY, patience: Patience | None = None
) -> AsyncGenerator[OpenAIWire]:
    model = OpenAIWire(
        base_url=base_url,
        model="served",
        api_key=None if api_key is None else SecretStr(api_key),
        patience=patience or Patience(),
    )
    async with aclosing(model):
        yield model


async def said(
    script: Script, *, patience: Patience | None = None
) -> tuple[list[str | Completion], Peer]:
    async with peer(script) as here, model_at(here.base_url, patience=patience) as model:
        return [each async for each in model.stream(PROMPT)], here


async def error_of(script: Script, *, patience: Patience | None = None) -> Error:
    with pytest.raises(Error) as caught:
        await said(script, patience=patience)
    return caught.value


# --- what goes well ----------------------------------------------------------------------------


async def test_the_pieces_come_in_order_and_the_completion_has_the_counts() -> None:
    pieces, _ = await said(streaming(OPENING, piece("Very"), piece(" deep."), STOP, COUNTS, DONE))

    *texts, end = pieces
    assert "".join(map(str, texts)) == "Very deep."
    assert end == Completion(model="served", usage=Usage(21, 2), finish_reason="stop")


async def test_what_comes_in_one_go_is_one_piece() -> None:
    together = "".join((OPENING, piece("Very"), piece(" deep."), STOP, COUNTS, DONE))

    pieces, _ = await said(streaming(together))

    assert pieces[0] == "Very deep."
    assert len(pieces) == 2


async def test_what_came_before_a_fault_is_told_before_it_is() -> None:
    together = "".join((OPENING, piece("Very"), piece(" deep."), "data: {not json\n\n"))
    pieces: list[str | Completion] = []

    async def listen(model: OpenAIWire) -> None:
        async for each in model.stream(PROMPT):
            pieces.append(each)  # noqa: PERF401 - what came before the error is what counts

    async with peer(streaming(together)) as here, model_at(here.base_url) as model:
        with pytest.raises(ModelUnavailable):
            await listen(model)

    assert pieces == ["Very deep."]


async def test_an_endpoint_that_does_not_count_gives_no_usage() -> None:
    pieces, _ = await said(streaming(piece("Deep."), STOP, DONE))

    assert pieces[-1] == Completion(model="served", usage=Usage(), finish_reason="stop")


async def test_the_endpoint_is_sent_the_messages_the_limit_and_the_key() -> None:
    _, here = await said(streaming(piece("Deep."), STOP, DONE))

    assert here.headers[0] == "post /v1/chat/completions http/1.1"
    assert f"authorization: bearer {KEY}" in here.headers
    assert here.asked["messages"] == [
        {"role": "system", "content": "Answer in a word."},
        {"role": "user", "content": "How deep is the sea?"},
    ]
    assert here.asked["max_tokens"] == 12
    assert here.asked["stream"] is True
    assert here.asked["stream_options"] == {"include_usage": True}


async def test_without_a_key_none_is_sent() -> None:
    async with (
        peer(streaming(STOP)) as here,
        model_at(here.base_url, api_key=None) as model,
    ):
        [_] = [each async for each in model.stream(PROMPT)]

    assert not [line for line in here.headers if line.startswith("authorization")]


@pytest.mark.parametrize(
    "frame",
    [
        'data:{"choices": [{"delta": {"content": "Deep."}}]}\n\n',
        'data: {"choices": [{"delta": {"content": "Deep."}}]}\r\n\r\n',
        'data: {"choices": [{"delta":\ndata: {"content": "Deep."}}]}\n\n',
        ': still here\n\nid: 4\ndata: {"choices": [{"delta": {"content": "Deep."}}]}\n\n',
    ],
    ids=["no space", "CRLF", "two data lines", "comment and id"],
)
async def test_events_are_read_in_every_form_that_the_standard_allows(frame: str) -> None:
    pieces, _ = await said(streaming(frame, STOP))

    assert pieces[0] == "Deep."


async def test_closing_the_stream_hangs_up_on_the_model() -> None:
    async with (
        peer(streaming(piece("Very"), then_silence=True)) as here,
        model_at(here.base_url) as model,
    ):
        async with aclosing(model.stream(PROMPT)) as pieces:
            assert await anext(pieces) == "Very"
        await asyncio.wait_for(here.left.wait(), LONG)


@pytest.mark.parametrize("reset", [False, True], ids=["ended", "reset"])
async def test_a_kept_connection_that_the_endpoint_gave_up_meanwhile_is_no_failure(
    *, reset: bool
) -> None:
    """Endpoints close what lies idle, and may do so just as the next question is on its way."""
    connections, questions = 0, 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, questions
        connections += 1
        try:
            await _question(reader)
            questions += 1
            body = piece("Very") + STOP + DONE
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
            await _question(reader)
            questions += 1
            if reset:
                _send_a_reset(writer)
        finally:
            writer.close()

    async with await asyncio.start_server(once, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        async with model_at(f"http://127.0.0.1:{port}/v1") as model:
            first = [each async for each in model.stream(PROMPT)]
            assert [each async for each in model.stream(PROMPT)] == first

    assert (connections, questions) == (2, 3)


async def test_a_new_connection_that_is_reset_is_not_asked_again() -> None:
    questions = 0

    async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal questions
        await _question(reader)
        questions += 1
        _send_a_reset(writer)
        writer.close()

    async with await asyncio.start_server(resetting, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        async with model_at(f"http://127.0.0.1:{port}/v1") as model:
            with pytest.raises(ModelUnavailable):
                await anext(model.stream(PROMPT))

    assert questions == 1


async def _question(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    [length] = [line for line in head.split("\r\n") if line.startswith("content-length:")]
    await reader.readexactly(int(length.split(":")[1]))


def _send_a_reset(writer: asyncio.StreamWriter) -> None:
    """What is closed from here on ends with a reset instead of an end."""
    given: socket.socket = writer.get_extra_info("socket")
    given.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_a_slow_reader_is_not_the_models_fault() -> None:
    patience = Patience(first_token_s=LONG, gap_s=LONG, total_s=LONG)
    first_was_read = asyncio.Event()

    async def script(say: Say, here: Peer) -> None:
        del here
        await say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        await say(piece("Very"))
        await first_was_read.wait()
        await say(piece(" deep.") + STOP)

    async with peer(script) as here, model_at(here.base_url, patience=patience) as model:
        hurried = replace(model, patience=replace(patience, gap_s=1.0, total_s=LONG))
        pieces: list[str | Completion] = []
        async for each in hurried.stream(PROMPT):
            pieces.append(each)
            if len(pieces) == 1:
                first_was_read.set()
                await asyncio.sleep(1.2)

    assert pieces[:2] == ["Very", " deep."]


# --- what goes wrong ---------------------------------------------------------------------------


async def test_an_endpoint_that_is_asked_too_much_says_when_to_come_back() -> None:
    error = await error_of(answering(429, "", "Retry-After: 7"))

    assert isinstance(error, ModelUnavailable)
    assert error.retry_after_s == 7


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
async def test_a_status_that_may_pass_is_transient(status: int) -> None:
    error = await error_of(answering(status))

    assert isinstance(error, ModelUnavailable)
    assert error.retry_after_s is None
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
async def test_a_status_that_blames_the_request_is_permanent(status: int) -> None:
    assert isinstance(await error_of(answering(status)), PermanentError)


async def test_an_endpoint_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    async with model_at(f"http://127.0.0.1:{port}/v1") as model:
        with pytest.raises(ModelUnavailable):
            await anext(model.stream(PROMPT))


@pytest.mark.parametrize(
    ("frames", "patience"),
    [
        ((), Patience(first_token_s=SOON)),
        ((OPENING,), Patience(first_token_s=SOON)),
        ((piece("Very"),), Patience(gap_s=SOON)),
        ((piece("Very"), ": still here\n\n"), Patience(gap_s=SOON)),
        ((piece("Very"),), Patience(total_s=1.0)),
    ],
    ids=["no first token", "a role is no token", "a gap", "a comment is no token", "in all"],
)
async def test_a_model_that_falls_silent_is_given_up(
    frames: tuple[str, ...], patience: Patience
) -> None:
    error = await error_of(streaming(*frames, then_silence=True), patience=patience)

    assert isinstance(error, ModelUnavailable)
    assert "in time" in str(error)


@pytest.mark.parametrize(
    "frames",
    [
        ("data: {not json\n\n",),
        ("data: []\n\n",),
        (event({"choices": 3}),),
        (event({"choices": [{"delta": {"content": 3}}]}),),
        (event({"error": {"message": "out of memory"}}),),
        ('error: {"code": 500}\n\n',),
        (DONE,),
        (),
        ("<html>gateway</html>",),
    ],
    ids=str,
)
async def test_a_stream_that_is_no_completion_is_unavailable(frames: tuple[str, ...]) -> None:
    error = await error_of(streaming(piece("Very"), *frames))

    assert isinstance(error, ModelUnavailable)


async def test_a_connection_cut_in_mid_frame_is_unavailable() -> None:
    async def script(say: Say, _: Peer) -> None:
        await say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\ndata: {")

    assert isinstance(await error_of(script), ModelUnavailable)


# --- what is never told ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        answering(401, f"Incorrect API key provided: {KEY}"),
        answering(500, KEY),
        answering(302, "", f"Location: http://127.0.0.1/{KEY}"),
        streaming(f"data: {KEY}\n\n"),
        streaming(event({"choices": KEY})),
        streaming(event({"error": {"message": KEY}})),
        streaming(),
    ],
    ids=["401", "500", "302", "no json", "wrong shape", "error", "no end"],
)
async def test_no_error_shows_the_key_even_where_the_endpoint_repeats_it(script: Script) -> None:
    error = await error_of(script)

    assert KEY not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("unsendable", [f"{KEY}\n", f"{KEY}\r\nX: 1", f"{KEY}é"])
async def test_a_key_that_cannot_be_sent_is_somebodys_to_mend_and_is_not_shown(
    unsendable: str,
) -> None:
    async with peer(streaming(STOP)) as here, model_at(here.base_url, api_key=unsendable) as model:
        with pytest.raises(PermanentError) as caught:
            await anext(model.stream(PROMPT))

    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("address", ["ftp://host/v1", "http://[::/v1", "host/v1", ""])
async def test_an_address_that_is_none_is_somebodys_to_mend(address: str) -> None:
    async with model_at(address) as model:
        with pytest.raises(PermanentError):
            await anext(model.stream(PROMPT))


# --- Retry-After -------------------------------------------------------------------------------

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0),
        (" 120 ", 120),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after_s(header, now=NOON) == seconds


@given(st.text(max_size=40))
def test_no_retry_after_is_ever_more_than_ignored(header: str) -> None:
    seconds = retry_after_s(header, now=NOON)

    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))


# --- a real model ------------------------------------------------------------------------------


@asynccontextmanager
async def tiny_model(
    server: ModelServer, *, api_key: str | None = None
) -> AsyncGenerator[OpenAIWire]:
    async with model_at(server.base_url, api_key=api_key or server.api_key) as model:
        yield replace(model, model=MODEL_NAME)


async def test_a_real_model_streams_and_counts_its_tokens(model_server: ModelServer) -> None:
    async with tiny_model(model_server) as model:
        *text, last = [each async for each in model.stream(replace(PROMPT, max_output_tokens=4))]

    assert len(text) > 1
    assert isinstance(last, Completion)
    assert last.model == MODEL_NAME
    assert last.usage.input_tokens > 0
    assert 0 < last.usage.output_tokens <= 4
    assert last.finish_reason in {"length", "stop"}


async def test_a_real_endpoint_turns_a_wrong_key_away(model_server: ModelServer) -> None:
    async with tiny_model(model_server, api_key="sk-wrong") as model:
        with pytest.raises(PermanentError):
            await anext(model.stream(PROMPT))
