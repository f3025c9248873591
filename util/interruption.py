"""Ask a long loop to stop at a good place."""

import signal

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class StopRequest:
    """While this context lasts, the first Ctrl-C, SIGTERM or SIGHUP is only noted; a second one acts as usual.

    Attributes:
        signal: number of the signal that came, None as long as none did.
    """

    def __init__(self):
        self.signal: int | None = None
        self._handlers: dict = {}

    def __enter__(self) -> "StopRequest":
        self._handlers = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_exception) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def exit_status(self) -> int:
        """The status with which a program ends that was stopped by the signal."""
        return 128 + self.signal

    def _note(self, number: int, _frame) -> None:
        self.signal = number
        self.__exit__()
