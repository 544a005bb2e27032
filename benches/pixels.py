"""How far pixel methods are from PyTorch's in float64 on pictures with flat areas: ours by both settings of --convolution, and
PyTorch's own in float32; and how long the command takes.

python pixels.py GRADCAM [BEFORE] [--rounds N] [PICTURE...]: four minutes on two cores, and ten seconds a round for the clock.
The pictures are those of tests/fixtures/ties.py and the ones named, whose centre square is taken at 224 x 224; the network is
the built-in one, the class the likeliest, the score its logit. Each number is the relative L2 distance from float64 whose
max-pools send the gradient to the first of equal values; float64 as it is breaks some ties itself, and its own distance stands beside.

With BEFORE, another build of the program: both run the whole default command on the first picture, in turns, N rounds each, and
the last lines have the medians of wall clock and of processor time and the median of the rounds' ratios.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests/fixtures"))

from builtin import load
from ties import PICTURES, RULES, SIZE, first_pools, gradients, likeliest

METHODS = {"guided_bprop": "guided-bprop", "gradient": "gradient", "deconvnet": "deconvnet"}


def ours(program, picture, class_id, how, out):
    methods = [option for method in METHODS.values() for option in ("-m", method)]
    options = ["--score", "logit", "--outputs", "raw", "--json", "-q", "-o", out, "--convolution", how]
    command = [program, picture, "-c", str(class_id), *methods, *options]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    files = {name: file for each in report["classes"][0]["maps"] for name, file in each["files"].items()}
    return {method: np.load(files[f"{method}.npy"]) for method in METHODS}


def apart(values, exact):
    return np.linalg.norm(values - exact) / np.linalg.norm(exact)


def timed(command):
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime


def clock(programs, picture, rounds, out):
    """Of each program wall and processor seconds, in turns; the first round warms caches."""
    seen = [[timed([program, picture, "-q", "-o", out]) for program in programs] for _ in range(rounds + 1)][1:]
    for which, name in enumerate(("wall", "processor")):
        now, before = ([each[program][which] for each in seen] for program in (0, 1))
        ratio = statistics.median(a / b for a, b in zip(now, before))
        print(f"{name}: {statistics.median(now):.2f} s, before {statistics.median(before):.2f} s; ratio {ratio:.3f}")


def main():
    arguments = sys.argv[1:]
    rounds = 20
    if "--rounds" in arguments:
        at = arguments.index("--rounds")
        rounds = int(arguments[at + 1])
        del arguments[at : at + 2]
    is_picture = lambda name: Path(name).suffix.lower() in (".png", ".jpg", ".jpeg")
    named = [Path(name) for name in arguments if is_picture(name)]
    programs = [name for name in arguments if not is_picture(name)]
    pictures = dict(PICTURES)
    for path in named:
        fit = lambda path=path: ImageOps.fit(Image.open(path).convert("RGB"), (SIZE, SIZE), Image.BILINEAR)
        pictures[path.name] = fit
    exact, single = (load(dtype)[0].eval() for dtype in (torch.float64, torch.float32))
    first = first_pools(exact)
    print(f"| picture | which | {' | '.join(RULES)} |")
    print(f"| --- | --- |{' --- |' * len(RULES)}")
    with tempfile.TemporaryDirectory() as out:
        files = []
        for number, (name, make) in enumerate(pictures.items()):
            picture = make()
            files.append(f"{out}/{number}.png")
            picture.save(files[-1])
            rgb = np.asarray(picture)
            class_id = likeliest(first, rgb)
            expected = gradients(first, rgb, class_id)
            found = {
                "PyTorch, float64 as it is": gradients(exact, rgb, class_id),
                "PyTorch, float32": gradients(single, rgb, class_id),
            }
            for program in programs:
                for how in ("fast", "direct"):
                    found[f"{Path(program).name} --convolution {how}"] = ours(program, files[-1], class_id, how, out)
            for which, values in found.items():
                row = (f"{apart(np.asarray(values[rule]), expected[rule].numpy()):.1e}" for rule in RULES)
                print(f"| {name} | {which} | {' | '.join(row)} |", flush=True)
        if len(programs) > 1:
            clock(programs[:2], files[0], rounds, out)


if __name__ == "__main__":
    main()
