"""How the passes of `gradcam bench` grow with the picture's side and with the number of pictures, on this machine.

Python 3.11.7, which alone is needed; the built-in network, whose head takes any size.
Command: python scaling.py GRADCAM [ROUNDS]    (three rounds, about ten minutes on two cores)

Each round measures every size and every number once, each in a process of its own, so that whatever else the machine does
falls on all of them; the first round warms caches and is not counted. In a process a time is the median of its runs, in the
table that of the rounds. A power is the slope of the line through the logarithms that leaves the least squares: a
convolution's work grows with the power 2 of the side and with the power 1 of the number.
"""

import json
import math
import pathlib
import statistics
import subprocess
import sys

RUNS = "3"
SIDES = [224, 448, 672]
PICTURES = [1, 2, 4, 8]


def bench(gradcam, *options):
    command = [gradcam, "bench", "--json", "--runs", RUNS, *map(str, options)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def power(sizes, times):
    logarithms = ([math.log(value) for value in values] for values in (sizes, times))
    return statistics.linear_regression(*logarithms).slope


def table(title, sizes, jobs, seen):
    print(f"{title:<24}" + "".join(f"{size:>12}" for size in sizes) + f"{'power':>8}")
    for job in jobs:
        times = [statistics.median(seen[job, size]) for size in sizes]
        print(f"{job:<24}" + "".join(f"{time:>9.1f} ms" for time in times) + f"{power(sizes, times):>8.2f}")


def main():
    gradcam = pathlib.Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    passes = ["forward", "gradcam", "guided_bprop"]
    seen = {}

    def note(job, size, milliseconds):
        seen.setdefault((job, size), []).append(milliseconds)

    def one_round():
        for side in SIDES:
            told = bench(gradcam, "--input-size", side)
            for job in passes:
                note(job, side, told[f"{job}_ms"])
        for pictures in PICTURES:
            told = bench(gradcam, "--batch", pictures)
            note("forward", pictures, told["batch"]["forward_ms"])
        return told["adapter"]

    one_round()
    seen.clear()
    for _ in range(rounds):
        adapter = one_round()
    version = subprocess.run([gradcam, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    print(f"{version} on {adapter['name']} ({adapter['driver']}), medians of {rounds} rounds\n")
    table("pixels a side", SIDES, passes, seen)
    print()
    table("pictures at once", PICTURES, ["forward"], seen)


if __name__ == "__main__":
    main()
