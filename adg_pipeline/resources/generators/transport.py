"""HTTP to one server: attempts, waits between them, and as many requests in flight as the server bears."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from adg_pipeline.resources.generators.aimd import AdaptiveLimit
from adg_pipeline.resources.generators.retry import RetryPolicy, retry_after_seconds
from adg_pipeline.settings.sections import EndpointOptions

T = TypeVar("T")

_OVERLOADED = {429, 502, 503, 504}
_TRANSIENT = _OVERLOADED | {408, 409, 425, 500}
_CONNECT_SECONDS = 30.0
_SAID_CHARS = 300


class Transient(Exception):
    """An attempt that may go better next time."""

    def __init__(self, reason: str, overloaded: bool = False, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.overloaded = overloaded
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply that another attempt wouldn't change. said: the server's own words, short, without the key."""

    status: int
    said: str


@dataclass(frozen=True, slots=True)
class GaveUp:
    """No attempt went well."""

    reason: str


class Transport:
    """Sends requests, each as often as the retry policy allows. Belongs to one event loop; an async context manager."""

    def __init__(self, options: EndpointOptions, key: str | None, retry: RetryPolicy) -> None:
        self.url = options.url.rstrip("/")
        self.key = key
        self._retry = retry
        self._timeout = options.timeout_seconds
        self._limit = AdaptiveLimit(options.concurrency)
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout)),
            limits=httpx.Limits(max_connections=options.concurrency, max_keepalive_connections=options.concurrency),
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def send(
        self, method: str, path: str, read: Callable[[Mapping[str, Any]], T], body: Mapping[str, Any] | None = None
    ) -> T | Refusal | GaveUp:
        """What ``read`` makes of the reply's JSON object; it raises `Transient` if that lacks what was asked for."""
        attempt = 1
        while True:
            try:
                return await self._attempt(method, path, read, body)
            except Transient as fault:
                if attempt == self._retry.attempts:
                    return GaveUp(f"{fault} (after {attempt} attempts)")
                # The slot is free while this request waits, so that others go on.
                await asyncio.sleep(self._retry.wait(attempt, fault.retry_after))
                attempt += 1

    async def _attempt(
        self, method: str, path: str, read: Callable[[Mapping[str, Any]], T], body: Mapping[str, Any] | None
    ) -> T | Refusal:
        async with self._limit.slot() as round:
            try:
                response = await self._exchange(method, path, body)
            except Transient as fault:
                if fault.overloaded:
                    self._limit.overloaded(round)
                raise
            self._limit.succeeded()
        if not response.is_success:
            return Refusal(response.status_code, self._said(response))
        return read(_object(response))

    async def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        try:
            response = await self._http.request(method, self.url + path, json=body)
        except httpx.TimeoutException as error:
            raise Transient(f"no reply within {self._timeout:g} s", overloaded=True) from error
        except httpx.TransportError as error:
            raise Transient(f"{type(error).__name__}: {error}") from error
        # A used-up quota is a 429 too, but waiting doesn't mend it.
        if response.status_code in _TRANSIENT and "insufficient_quota" not in response.text:
            raise Transient(
                f"HTTP {response.status_code}: {self._said(response)}",
                overloaded=response.status_code in _OVERLOADED,
                retry_after=retry_after_seconds(response.headers),
            )
        return response

    def _said(self, response: httpx.Response) -> str:
        try:
            body = response.json()
        except ValueError:
            body = response.text
        while isinstance(body, dict) and (inner := body.keys() & {"error", "message", "detail"}):
            body = body["error" if "error" in inner else min(inner)]
        text = str(body).replace(self.key, "***") if self.key else str(body)
        return " ".join(text.split())[:_SAID_CHARS] or "nothing"


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError as error:
        raise Transient("the reply is no valid JSON") from error
    if not isinstance(body, dict):
        raise Transient("the reply is no JSON object")
    return body
