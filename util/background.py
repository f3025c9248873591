"""Work beside other work: pictures are coded and written while the next ones are computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class InBackground:
    """Calls a function in a thread of its own while the program goes on: one call after the other, and never more than
    one at a time, so that memory stays as it is. Used as `with InBackground() as call: call(function, argument)`.

    What a call raises is raised by the next one, or at the end.
    """

    def __enter__(self) -> "InBackground":
        self._pool, self._running = ThreadPoolExecutor(1), Future[Any]()
        self._running.set_result(None)
        return self

    def __call__(self, function: Callable, *arguments: Any) -> None:
        """Wait for the call before, and begin this one."""
        self._running.result()
        self._running = self._pool.submit(function, *arguments)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown()
        if kind is None:
            self._running.result()
