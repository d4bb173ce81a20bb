"""What an ensemble costs: seconds of a fit with 1, 2, 4 and 8 members, in one process each.

python tests/benchmarks/members.py --iterations 3000
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from statistics import median

import xdiffice

PROGRAM = """
import time, xdiffice
shelf = xdiffice.synthetic.confined_shelf(noise=0.03)
start = time.perf_counter()
xdiffice.SSAViscosityInverter(
    n_members={members}, max_iterations={iterations}, tolerance=0.0, progress=False
).fit(shelf)
print(time.perf_counter() - start)
"""


def seconds(members: int, iterations: int) -> float:
    """Wall time of a fit, compilation included."""
    program = PROGRAM.format(members=members, iterations=iterations)
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=3000)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}")
    print("| members | seconds | times one |")
    print("| --- | --- | --- |")
    # In turn: what else the machine does concerns all alike.
    found: dict[int, list[float]] = {members: [] for members in arguments.members}
    for _ in range(arguments.repeats):
        for members, own in found.items():
            own.append(seconds(members, arguments.iterations))
    for members, own in found.items():
        ratio = median(own) / median(found[arguments.members[0]])
        print(f"| {members} | {median(own):.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
