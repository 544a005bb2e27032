"""gradcam beside its peers, in one run, taking turns, on this machine.

Python 3.11.7, torch 2.15.0 (CPU), torchvision 0.29.2, grad-cam 1.5.7, ncnn 1.0.20261020, numpy 2.4.6, pillow 13.0.0.
Command: python compare.py GRADCAM VGG16.npy PICTURE [ROUNDS]    (five rounds, about five minutes on two cores, 3 GB)

Before the clock starts all must find the same class the likeliest, or there is nothing to compare. Each round runs every job
once, each in a process of its own; the first round warms caches and is not counted. A forward pass is the median inside its
process. The table has the median over rounds, of wall clock and of processor time (user and system), and the ratios of the
latter, which another program on the machine disturbs least, beside the former.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
RUNS = "5"
PEERS = ["ncnn-vulkan", "torch"]


def timed(command):
    """Output, wall seconds, processor seconds and peak megabytes of a process."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}")
    wall = time.perf_counter() - began
    return output, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main():
    gradcam, weights, picture = map(pathlib.Path, sys.argv[1:4])
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    seen = {}

    def note(job, **values):
        for name, value in values.items():
            seen.setdefault((job, name), []).append(value)

    def forward(name, runs):
        command = [sys.executable, HERE / "forward.py", name, weights, picture, runs]
        return json.loads(timed(command)[0])

    def check(out):
        maps = ["--json", "-n", 1, "--outputs", "heatmap", "-o", out]
        report = json.loads(timed([gradcam, picture, weights, *maps])[0])
        script = timed([sys.executable, HERE / "explain.py", picture, weights, out])[0]
        found = {"gradcam": report["classes"][0]["id"], "script": json.loads(script)[0]}
        for name in PEERS:
            found[name] = forward(name, 1)["class"]
        if len(set(found.values())) > 1:
            told = ", ".join(f"{name} {number}" for name, number in found.items())
            sys.exit(f"the likeliest classes differ, so there is nothing to compare: {told}")

    def peer(name):
        told = forward(name, RUNS)
        note(name, wall=statistics.median(told["wall_ms"]), cpu=statistics.median(told["cpu_ms"]))

    def process(job, command):
        _, wall, cpu, peak = timed(command)
        note(job, wall=wall * 1e3, cpu=cpu * 1e3, mib=peak)

    def one_round(out):
        told = json.loads(timed([gradcam, "bench", weights, "--json", "--runs", RUNS])[0])
        for job in ("forward", "gradcam", "guided_bprop"):
            note(job, wall=told[f"{job}_ms"])
        for name in PEERS:
            peer(name)
        maps = ["--outputs", "heatmap,gradcam,segmented", "-o", out]
        process("command", [gradcam, picture, weights, "-o", out])
        process("script", [sys.executable, HERE / "explain.py", picture, weights, out])
        for count in (1, 20):
            process(f"top {count}", [gradcam, picture, weights, count, *maps])
        process("built-in", [gradcam, picture, "-o", out])
        process("built-in, maps", [gradcam, picture, *maps])

    with tempfile.TemporaryDirectory() as out:
        check(out)
        one_round(out)
        seen.clear()
        for _ in range(rounds):
            one_round(out)

    middle = {key: statistics.median(values) for key, values in seen.items()}
    for (job, name), value in middle.items():
        print(f"{job:<16}{name:<6}{value:>10.1f}{' MiB' if name == 'mib' else ' ms'}")
    print(f"\n{'ratio':<52}{'wall':>8}{'cpu':>8}   bound   aim")
    for title, (ours, theirs), bound, aim in [
        ("forward / ncnn Vulkan", ("forward", "ncnn-vulkan"), 0.5, 0.25),
        ("forward / PyTorch CPU", ("forward", "torch"), 3, 1),
        ("guided backpropagation / forward", ("guided_bprop", "forward"), 2.3, 2.0),
        ("whole command / PyTorch script, time", ("command", "script"), 0.25, 0.15),
        ("top_n 20 / top_n 1, maps", ("top 20", "top 1"), 1.3, 1.1),
    ]:
        ratios = [
            f"{statistics.median(a / b for a, b in zip(seen[ours, kind], seen[theirs, kind])):>8.2f}"
            if (ours, kind) in seen and (theirs, kind) in seen
            else f"{'':>8}"
            for kind in ("wall", "cpu")
        ]
        print(f"{title:<52}{''.join(ratios)}{bound:>8}{aim:>6}")
    memory = middle["command", "mib"] / middle["script", "mib"]
    print(f"{'whole command / PyTorch script, peak memory':<52}{memory:>8.2f}{'':>8}{0.5:>8}{0.4:>6}")
    print(f"built-in network, whole command: {middle['built-in', 'wall'] / 1e3:.2f} s of 2.5 s, aim 1.2 s")


if __name__ == "__main__":
    main()
