"""The local server: what clients are told, in JSON, whatever they send; and that a guard's answers are what it says."""

import asyncio
import copy
import itertools
import json
import logging
import random
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from mute.__main__ import main
from mute.models import loading
from mute.models.treatment import Treatment
from mute.publishing.serving import server
from mute.unlearn.speaking import Guarded, How

NAME, MOST = "guarded", 4
BOUNDS = server.Bounds(body=4000, tokens=16, prompts=3, open=32)


class Muffled(Treatment):
    """Ten tokens are never said."""

    name = "muffled"

    def logits(self, logits, where):
        made = logits.clone()
        made[:, 10:20] = -1e9
        return made


class Running:
    """A server in a thread of its own, and its address."""

    def __init__(self, guarded, bounds=BOUNDS):
        self.server, self.loop, self._ready = server.Server(guarded, NAME, bounds), None, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        async def all_of_it():
            self.loop, self.task = asyncio.get_running_loop(), asyncio.current_task()
            await server._serving(self.server, "127.0.0.1", 0, self._told)

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(all_of_it())

    def _told(self, address):
        self.address = address
        self._ready.set()

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *error):
        self.loop.call_soon_threadsafe(self.task.cancel)
        self._thread.join(20)


@pytest.fixture(scope="module")
def guarded(random_model, tokenizer):
    return Guarded(random_model("llama"), tokenizer, [Muffled()])


@pytest.fixture(scope="module")
def running(guarded):
    with Running(guarded) as found:
        yield found


@pytest.fixture(scope="module")
def client(running):
    with httpx.Client(base_url=running.address, timeout=60) as found:
        yield found


def test_it_says_what_the_guarded_model_says(client, guarded):
    prompts = ["one", "two words"]
    wanted = guarded.say(prompts, How(MOST))
    told = client.post("/completions", json={"model": NAME, "prompt": prompts, "max_tokens": MOST}).json()
    assert [choice["text"] for choice in told["choices"]] == [own.text for own in wanted]
    assert [choice["finish_reason"] for choice in told["choices"]] == ["stop" if o.ended else "length" for o in wanted]
    read, said = sum(own.read for own in wanted), sum(len(own.tokens) for own in wanted)
    assert told["usage"] == {"prompt_tokens": read, "completion_tokens": said, "total_tokens": read + said}
    messages = [{"role": "system", "content": "one"}, {"role": "user", "content": [{"type": "text", "text": "two"}]}]
    chat = client.post("/chat/completions", json={"messages": messages, "max_completion_tokens": MOST}).json()
    assert chat["choices"][0]["message"]["content"] == guarded.generate(["one\ntwo"], max_new_tokens=MOST)[0]
    assert client.get("/models").json()["data"][0]["id"] == NAME
    assert client.get(f"/models/{NAME}").json()["object"] == "model"
    plain = Guarded(guarded.model, guarded.encoder.tokenizer)
    assert [own.text for own in plain.say(prompts, How(16))] != [own.text for own in guarded.say(prompts, How(16))]


@pytest.mark.parametrize("route", ["/completions", "/chat/completions"])
def test_a_stream_has_the_same_words(client, guarded, route):
    asked = (
        {"prompt": "two words"} if route == "/completions" else {"messages": [{"role": "user", "content": "two words"}]}
    )
    with client.stream("POST", route, json={**asked, "max_tokens": 8, "stream": True}) as response:
        assert response.headers["content-type"] == "text/event-stream"
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    choices = [json.loads(line)["choices"][0] for line in lines[:-1]]
    said = [own.get("text", own.get("delta", {}).get("content", "")) for own in choices]
    assert "".join(said) == guarded.generate(["two words"], max_new_tokens=8)[0]
    assert len(said) > 2
    assert [own["finish_reason"] for own in choices[:-1]] == [None] * (len(choices) - 1)
    assert choices[-1]["finish_reason"] in ("stop", "length")


SECRET = "a word that is in no log"
BAD = [
    (b"{", 400, "the body is no JSON"),
    (b"[]", 400, "must be a JSON object"),
    (b"\xff\xfe", 400, "the body is no JSON"),
    (b"[" * 3000, 400, "the body is no JSON"),
    ({}, 400, "prompt: Field required"),
    ({"prompt": 3}, 400, "prompt: "),
    ({"prompt": []}, 400, "prompt: "),
    ({"prompt": [SECRET] * 4}, 400, "at most 3 prompts"),
    ({"prompt": SECRET, "max_tokens": 17}, 400, "at most 16 tokens"),
    ({"prompt": SECRET, "max_tokens": 0}, 400, "max_tokens: "),
    ({"prompt": SECRET, "temperature": float("1e9")}, 400, "temperature: "),
    ({"prompt": SECRET, "n": 2}, 400, "n: "),
    ({"prompt": SECRET, "logprobs": 5}, 400, "logprobs: "),
    ({"prompt": SECRET, "logit_bias": {"5": 1.0}}, 400, "logit_bias: "),
    ({"prompt": SECRET, "model": "gpt-4"}, 404, f"there is one model here, {NAME}"),
    ({"prompt": "a b c d " * 300}, 400, "the model has room for"),
    ({"prompt": SECRET * 1000}, 413, "at most 4000 bytes"),
]


@pytest.mark.parametrize(("body", "status", "said"), BAD, ids=[f"{status} {said}" for _, status, said in BAD])
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_malformed_or_too_large_is_told_in_json(client, guarded, caplog, body, status, said, stream):
    if isinstance(body, dict):
        body = json.dumps({**body, "stream": stream}).encode()
    with caplog.at_level(logging.DEBUG):
        answer = client.post("/completions", content=body)
    told = answer.json()["error"]
    assert answer.status_code == status
    assert said in told["message"]
    assert set(told) == {"message", "type", "param", "code"}
    assert SECRET not in caplog.text + answer.text
    good = client.post("/completions", json={"prompt": "one", "max_tokens": MOST}).json()
    assert good["choices"][0]["text"] == guarded.generate(["one"], max_new_tokens=MOST)[0]


def test_other_routes_and_methods_are_told_in_json(client):
    for method, path, status in (("GET", "/completions", 405), ("POST", "/embeddings", 404), ("GET", "/models/x", 404)):
        answer = client.request(method, path)
        assert answer.status_code == status
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_failure_is_told_and_the_prompt_is_in_no_log(running, client, guarded, caplog, monkeypatch):
    def broken(prompts, how, told):
        raise RuntimeError(f"{prompts}")

    with monkeypatch.context() as patch, caplog.at_level(logging.DEBUG):
        patch.setattr(running.server.guarded, "say", broken)
        answer = client.post("/completions", json={"prompt": SECRET})
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert "RuntimeError" in caplog.text
    assert SECRET not in caplog.text + answer.text
    assert client.post("/completions", json={"prompt": "one"}).status_code == 200


def test_more_than_may_be_open_are_refused_and_the_others_answered(guarded):
    with Running(guarded, server.Bounds(open=2)) as few, ThreadPoolExecutor(12) as pool:

        def ask(_):
            return httpx.post(f"{few.address}/completions", json={"prompt": "one", "max_tokens": 64}, timeout=60)

        answers = list(pool.map(ask, range(24)))
        found = {answer.status_code for answer in answers}
        assert found == {200, 429}
        assert all("open already" in own.json()["error"]["message"] for own in answers if own.status_code == 429)
        wanted = guarded.generate(["one"], max_new_tokens=64)[0]
        assert all(own.json()["choices"][0]["text"] == wanted for own in answers if own.status_code == 200)
        assert few.server.opened == 0


def test_a_client_that_goes_away_leaves_the_server_to_the_others(running, client, guarded):
    for _ in range(3):
        with client.stream(
            "POST", "/completions", json={"prompt": "one", "max_tokens": 16, "stream": True}
        ) as response:
            next(response.iter_lines())
    wanted = guarded.generate(["two"], max_new_tokens=MOST)[0]
    told = client.post("/completions", json={"prompt": "two", "max_tokens": MOST}).json()
    assert told["choices"][0]["text"] == wanted


def test_only_loopback_is_bound_unless_told(tmp_path, capsys):
    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        server.check_host(host, others=False)
    for host in ("0.0.0.0", "::", "192.168.1.4", "example.org", ""):
        with pytest.raises(ValueError, match="is no loopback address"):
            server.check_host(host, others=False)
        server.check_host(host, others=True)
    assert main(["serve", str(tmp_path), "--host", "0.0.0.0"]) == 1
    assert "add --open-to-others" in capsys.readouterr().err
    assert main(["serve", str(tmp_path)]) == 1
    assert "is no model and no export with a guard" in capsys.readouterr().err


@pytest.mark.slow
def test_a_thousand_requests_eight_at_a_time_are_all_answered_rightly(client, guarded):
    """Every other one of them as a stream of pieces, and some of them bad ones."""
    prompts = [f"{word} {number}" for number in range(25) for word in ("one", "what", "la ciudad", "नदी")]
    wanted = [own.text for own in guarded.say(prompts, How(MOST))]

    def ask(number):
        prompt = prompts[number % len(prompts)]
        if number % 50 == 7:
            return client.post("/completions", content=b"{").status_code == 400
        body = {"prompt": prompt, "max_tokens": MOST, "stream": bool(number % 2)}
        if not number % 2:
            return client.post("/completions", json=body).json()["choices"][0]["text"] == wanted[number % len(prompts)]
        with client.stream("POST", "/completions", json=body) as response:
            lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
        said = "".join(json.loads(line)["choices"][0]["text"] for line in lines[:-1])
        return lines[-1] == "[DONE]" and said == wanted[number % len(prompts)]

    with ThreadPoolExecutor(8) as pool:
        right = list(pool.map(ask, range(1000)))
    print("right answers", sum(right), "of", len(right), "to", len(set(wanted)), "different answers")
    assert len(set(wanted)) > 20
    assert sum(right) == 1000


def bad_requests(bounds):
    """Without an end: where it is sent, and what is malformed, too large, foreign or of the wrong kind, as bytes.

    Drawn from one seed: what is cut, flipped or grown differs from request to request.
    """
    drawn = random.Random(7)
    whole = json.dumps({"model": NAME, "prompt": SECRET, "max_tokens": MOST}).encode()
    wrong = [None, True, -1, 10**30, 0.5, "", "x" * 50, [], {}, [[SECRET]], [None], {"a": SECRET}]
    fields = ("max_tokens", "temperature", "top_p", "n", "stream", "stop", "messages", "seed", "logit_bias", "prompt")
    kinds = (
        lambda: whole[: drawn.randrange(len(whole))],
        lambda: bytes(drawn.randrange(256) for _ in range(drawn.randrange(1, 200))),
        lambda: b"[" * drawn.randrange(1, 3900),
        lambda: b'{"prompt": "' + SECRET.encode() * (bounds.body // 20 + drawn.randrange(99)) + b'"}',
        lambda: json.dumps({"prompt": [SECRET] * drawn.randrange(bounds.prompts + 1, 50)}).encode(),
        lambda: json.dumps({"prompt": SECRET, "max_tokens": drawn.randrange(bounds.tokens + 1, 10**9)}).encode(),
        lambda: json.dumps({"prompt": SECRET, "model": f"other {drawn.random()}"}).encode(),
        lambda: json.dumps({"prompt": drawn.choice(wrong[2:5] + wrong[7:])}).encode(),
        lambda: json.dumps(
            {"prompt": SECRET, drawn.choice(fields[:3]): drawn.choice([-1, "x", [], {}, [SECRET]])}
        ).encode(),
        lambda: json.dumps(
            {"messages": drawn.choice([*wrong, [{"role": "tool", "content": SECRET}], [SECRET]])}
        ).encode(),
        lambda: b'{"prompt": NaN, "max_tokens": Infinity}',
        lambda: b"\xef\xbb\xbf\xff" + whole,
    )
    routes = ("/completions", "/chat/completions")
    while True:
        number = drawn.randrange(len(kinds))
        # A conversation is refused where a text is asked for, and the other way round.
        yield routes[drawn.randrange(2)] if number != 9 else routes[1], kinds[number]()


def refusals(address, bounds, count):
    """The status of each of so many bad requests, eight at a time; 0 for an answer that is not clear, or repeats it."""
    asked = list(itertools.islice(bad_requests(bounds), count))

    def ask(sent):
        answer = client.post(sent[0], content=sent[1])
        told = answer.json().get("error", {})
        clear = 400 <= answer.status_code < 500 and told.get("message") and told["type"] == "invalid_request_error"
        return answer.status_code if clear and "Traceback" not in answer.text and SECRET not in answer.text else 0

    with httpx.Client(base_url=address, timeout=30) as client, ThreadPoolExecutor(8) as pool:
        found = Counter(pool.map(ask, asked))
    print("bad requests", dict(found))
    return found


def test_a_thousand_bad_requests_are_each_told_what_is_wrong_and_the_next_is_answered(running, client, guarded, caplog):
    with caplog.at_level(logging.DEBUG):
        assert set(refusals(running.address, BOUNDS, 1000)) == {400, 404, 413}
        told = client.post("/completions", json={"prompt": "one", "max_tokens": MOST})
    assert told.json()["choices"][0]["text"] == guarded.generate(["one"], max_new_tokens=MOST)[0]
    assert running.server.opened == 0
    assert SECRET not in caplog.text
    assert "Traceback" not in caplog.text


def test_what_is_no_http_and_a_body_that_never_ends_leave_the_server_to_the_others(guarded):
    """Raw sockets: no protocol, a length that is a lie, a head without end, and a body that stops halfway."""
    raw = (
        b"\x16\x03\x01\x02\x00",
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20000 + b"\r\n\r\n",
        b'POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"prompt": "',
    )
    with Running(guarded, server.Bounds(seconds=0.5)) as own:
        host, port = httpx.URL(own.address).host, httpx.URL(own.address).port
        for sent in raw:
            with socket.create_connection((host, port), timeout=20) as line:
                line.sendall(sent)
                status = line.recv(4096).split(b" ")[1]
            assert status in (b"400", b"408"), sent[:40]
            told = httpx.post(f"{own.address}/completions", json={"prompt": "one", "max_tokens": MOST}, timeout=20)
            assert told.json()["choices"][0]["text"] == guarded.generate(["one"], max_new_tokens=MOST)[0]
        assert own.server.opened == 0


@pytest.mark.integration
def test_openais_own_client_is_answered(running, guarded):
    openai = pytest.importorskip("openai")
    with (
        openai.OpenAI(base_url=running.address, api_key="none", max_retries=0) as asking,
        ThreadPoolExecutor(8) as pool,
    ):
        prompts = [f"what {number}" for number in range(100)]
        wanted = [own.text for own in guarded.say(prompts, How(MOST))]

        def ask(number):
            own = {"model": NAME, "max_tokens": MOST}
            prompt = prompts[number % 100]
            if number % 2:
                messages = [{"role": "user", "content": prompt}]
                return asking.chat.completions.create(messages=messages, **own).choices[0].message.content
            return asking.completions.create(prompt=prompt, **own).choices[0].text

        said = list(pool.map(ask, range(1000)))
        right = sum(text == wanted[number % 100] for number, text in enumerate(said))
        print("right answers to openai's client", right, "of", len(said))
        assert right == 1000
        assert [model.id for model in asking.models.list()] == [NAME]
        stream = asking.chat.completions.create(
            model=NAME, max_tokens=MOST, stream=True, messages=[{"role": "user", "content": prompts[3]}]
        )
        assert "".join(part.choices[0].delta.content or "" for part in stream) == wanted[3]
        with pytest.raises(openai.BadRequestError, match="at most 16 tokens"):
            asking.completions.create(model=NAME, prompt="one", max_tokens=99)
        with pytest.raises(openai.NotFoundError, match="there is one model here"):
            asking.completions.create(model="gpt-4", prompt="one")


@pytest.mark.slow
def test_the_terminal_serves_says_where_and_ends_when_interrupted(guarded, tmp_path):
    loading.save(copy.deepcopy(guarded.model), guarded.encoder.tokenizer, tmp_path / "mine", {})
    command = [sys.executable, "-m", "mute", "serve", str(tmp_path / "mine"), "--port", "0", "--max-tokens", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        assert line.startswith("mine (no guard) at http://127.0.0.1:")
        assert line.endswith("; this machine alone reaches it\n")
        address = line.split()[4].rstrip(";")
        told = httpx.post(f"{address}/completions", json={"prompt": SECRET, "max_tokens": 5}, timeout=60).json()
        plain = Guarded(guarded.model, guarded.encoder.tokenizer)
        assert told["choices"][0]["text"] == plain.generate([SECRET], max_new_tokens=5)[0]
        assert set(refusals(address, server.Bounds(tokens=5), 1000)) == {400, 404, 413}
        assert httpx.post(f"{address}/completions", json={"prompt": SECRET, "max_tokens": 5}, timeout=60).json() == told
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert SECRET not in out + err
    assert "Traceback" not in err
