"""What a client may ask of the server, in OpenAI's fields, and what is wrong with what it asks.

Fields that change nothing here, such as `user`, are taken and not read; what would change an answer and cannot be done
is refused, so that no answer is silently another than was asked for.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mute.store.records import Record

# What stands between the texts of a conversation: the models know no turns.
BETWEEN = "\n"


class RefusedError(Exception):
    """A request that is not answered: its status in HTTP, and what is told the client."""

    def __init__(self, status: int, message: str, *, code: str = "invalid_request", field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.field = status, code, field

    def body(self) -> Record:
        """As OpenAI's clients read it."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"message": str(self), "type": kind, "param": self.field, "code": self.code}}


class Common(BaseModel):
    """What both kinds of request have. What is not named here is not read."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: str = ""
    max_tokens: int | None = Field(None, ge=1)
    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int = 0
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    stream: bool = False
    n: Literal[1] = 1
    frequency_penalty: float = Field(0.0, ge=0, le=0)
    presence_penalty: float = Field(0.0, ge=0, le=0)
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] = {}

    @property
    def prompts(self) -> list[str]:
        """The texts that the model goes on with."""
        raise NotImplementedError

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts before which an answer ends; none of them empty."""
        found = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(own for own in found if own)


class Completion(Common):
    """A request for what follows a text, or each of several."""

    prompt: str | Annotated[list[str], Field(min_length=1)]
    best_of: Literal[1] = 1
    echo: Literal[False] = False
    logprobs: None = None

    @property
    def prompts(self) -> list[str]:
        return [self.prompt] if isinstance(self.prompt, str) else self.prompt


class Part(BaseModel):
    """A part of a message: text alone."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """One text of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class Chat(Common):
    """A request for the next text of a conversation."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: Literal[False] | None = None
    tools: None = None
    response_format: None = None

    @property
    def prompts(self) -> list[str]:
        """The conversation as one text, of which the model says how it goes on."""
        return [BETWEEN.join(message.text for message in self.messages)]


def read(kind: type[Common], body: bytes) -> Common:
    """A request of a kind. Raises RefusedError that names the field and what is wrong, and never what was asked."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(400, "the body is no JSON", code="invalid_json") from None
    if not isinstance(given, dict):
        raise RefusedError(400, "the body must be a JSON object", code="invalid_json")
    # A client sends null for what it was not told.
    given = {key: value for key, value in given.items() if value is not None}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        path = [str(part) for part in first["loc"]]
        known = path[0] if path else "body"
        raise RefusedError(400, f"{known}: {first['msg']}", field=known) from None
