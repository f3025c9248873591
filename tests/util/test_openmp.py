"""Programs that compute wait for their threads shortly, so that others on the machine are not in their way."""

import os
import subprocess
import sys

from tests.program import ROOT

VARIABLES = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"}


def in_a_program(imports: str, **variables: str) -> tuple[dict[str, str], str]:
    """What torch's OpenMP says of itself as it is loaded after `imports`, and KMP_BLOCKTIME."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", f"{imports}\nimport os, torch; print(os.environ.get('KMP_BLOCKTIME'))"], cwd=ROOT,
        env={**environment, "OMP_DISPLAY_ENV": "VERBOSE", **variables}, capture_output=True, text=True, check=True)
    said = dict(line.strip().split(" = ") for line in done.stderr.splitlines() if " = " in line)
    return {name: value.strip("'") for name, value in said.items()}, done.stdout.strip()


def test_threads_of_a_program_spin_shortly_unless_the_user_chose_otherwise():
    assert in_a_program("import train")[0]["GOMP_SPINCOUNT"] == "1000"
    said, blocktime = in_a_program("import test", GOMP_SPINCOUNT="7")
    assert (said["GOMP_SPINCOUNT"], blocktime) == ("7", "1")
    said, blocktime = in_a_program("import prepare", OMP_WAIT_POLICY="active")
    assert (said["OMP_WAIT_POLICY"], blocktime) == ("ACTIVE", "None")
    assert int(said["GOMP_SPINCOUNT"]) > 1000
