"""How many requests a server is sent at a time: additive increase, multiplicative decrease, as TCP does it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

logger = logging.getLogger(__name__)


class AdaptiveLimit:
    """Slots for requests in flight: halved when the server is overloaded, one more for each round that went well.

    Belongs to one event loop.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.in_flight = 0
        self._round = 0
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[int]:
        """Wait for a slot and hold it. Yields the round, which `overloaded` is told."""
        async with self._freed:
            await self._freed.wait_for(lambda: self.in_flight < int(self.limit))
            self.in_flight += 1
        try:
            yield self._round
        finally:
            self.in_flight -= 1
            async with self._freed:
                # One slot is free again, and the limit may have grown by one.
                self._freed.notify(2)

    def succeeded(self) -> None:
        """A request went well: the limit grows by one once as many have as are in flight."""
        self.limit = min(self.most, self.limit + 1 / self.limit)

    def overloaded(self, round: int) -> None:
        """The server was overloaded by a request of this round. All requests of one round count once."""
        if round == self._round:
            self._round += 1
            self.limit = max(1.0, self.limit / 2)
            logger.info("the server is overloaded: at most %d requests in flight", int(self.limit))
