"""Ask a long loop to stop at a good place."""

import signal
import threading

from util import distributed

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class StopRequest:
    """While this context lasts, the first Ctrl-C, SIGTERM or SIGHUP is only noted; a second one acts as usual.

    Signals that the process was told to ignore stay ignored (nohup, a shell's background jobs). In another thread than
    the main one, which gets all signals, none is noted.

    Attributes:
        signal: number of the signal that came, 0 as long as none did. Where several processes train together, it
            counts from the next `asked`.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._handlers: dict = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._note) for number in SIGNALS
                              if signal.getsignal(number) is not signal.SIG_IGN}
        return self

    def __exit__(self, *_exception) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def asked(self) -> bool:
        """Whether a signal came, to this process or to another that trains with it: all learn it at the same call."""
        came = distributed.largest(self.signal)
        if came:
            self.signal = came
        return came > 0

    @property
    def exit_status(self) -> int:
        """The status with which a program ends that was stopped by the signal."""
        return 128 + self.signal

    def _note(self, number: int, _frame) -> None:
        self.signal = number
        self.__exit__()
