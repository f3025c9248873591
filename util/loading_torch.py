"""Loads torch, as the first thing that a program does: soon, and with OpenMP's threads waiting shortly for each other.

Between two parts of a computation that they share, threads wait in a loop that keeps its core busy, by default for
milliseconds. Where other programs want the cores, the thread that is waited for does not get one meanwhile:
training steps became three times as slow as with short waiting (docs/layered_video/performance.md). The number of
threads stays as it is, and with it every bit of the results. OpenMP reads this once, as torch is loaded. Whoever has
set one of these variables, or OMP_WAIT_POLICY, keeps what he chose.

Nothing is looked through for garbage meanwhile, nor is what is loaded then ever again: that saves a fifth of the start.
"""

import gc
import os

SHORT_WAITING = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "1"}
"""For GNU's OpenMP, in turns of the loop (some 20 µs); for LLVM's and Intel's (macOS, Windows), in milliseconds."""

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.update({name: value for name, value in SHORT_WAITING.items() if name not in os.environ})
# What torch cannot do yet on Apple's GPU the CPU does, and torch warns of it; else that would end the program.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

gc.disable()
import torch  # noqa: E402, F401

gc.freeze()
gc.enable()
