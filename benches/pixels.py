"""How far pixel methods are from PyTorch's in float64 on pictures with flat areas: ours by both settings of --convolution, and
PyTorch's own in float32; and how long the command takes.

python pixels.py GRADCAM [BEFORE] [--rounds N] [--only NAME]... [PICTURE...]: a minute a picture on two cores, and ten seconds a
round for the clock. The pictures are those of tests/fixtures/ties.py, or the ones of these that are named by --only, and the files
named, whose centre square is taken at 224 x 224; the network is the built-in one, the class the likeliest, the score its logit.
Methods over several inputs take few of them (SAMPLES, STEPS), which average less away than the defaults would. Each number is the
relative L2 distance from float64 whose max-pools send the gradient to the first of equal values; float64 as it is breaks some ties
itself, and its own distance stands beside, for the methods of one pass.

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
from reference import TARGET, caffe, cam, guided, resize
from ties import PICTURES, SIZE, first_pools, likeliest

RULES = {"gradient": "plain", "guided-bprop": "guided", "deconvnet": "deconv"}
METHODS = [*RULES, "gradient-x-input", "guided-gradcam", "smoothgrad", "squaregrad", "vargrad", "integrated-gradients"]
# The two that have outputs of their own.
SUFFIXES = {"guided-bprop": "guided_bprop", "guided-gradcam": "guided_gradcam"}
SAMPLES, NOISE, SEED, STEPS = 4, 0.15, 0, 8


def normal(seed, count):
    """The numbers of src/methods/noise.rs."""
    z = np.uint64(seed) + np.arange(1, 2 * count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    u = ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**53
    return np.sqrt(-2 * np.log(1 - u[0::2])) * np.cos(2 * np.pi * u[1::2])


def values(network, rgb, class_id, is_whole=True):
    """Of each method H x W x 3, RGB, for a picture scaled to 0..1; the methods of one pass alone unless `is_whole`."""
    dtype = next(network.parameters()).dtype
    x = caffe(rgb)
    gradient = lambda x, rule="plain": guided(network, x.to(dtype), class_id, "logit", rule).double().numpy()
    found = {method: gradient(x, rule) for method, rule in RULES.items()}
    # BGR to RGB; the difference to a black baseline of the network is x itself, in units of which 255 make one.
    difference = x[0].flip(0).permute(1, 2, 0).numpy() / 255
    found["gradient-x-input"] = found["gradient"] * difference
    with torch.no_grad():
        activations = network[: TARGET + 1](x.to(dtype))
    heat = resize(cam(network, activations, class_id, "logit", "gradcam").double(), SIZE).clamp(min=0)
    found["guided-gradcam"] = found["guided-bprop"] * (heat / heat.max()).numpy()[..., None]
    if not is_whole:
        return found
    # What goes in is rounded to float32 for every network: what is compared is what they make of it.
    drawn = torch.tensor(normal(SEED, SAMPLES * x.numel())).view(SAMPLES, *x.shape)
    single = x.float().double()
    sigma = NOISE * (single.max() - single.min())
    noisy = np.stack([gradient((single + sigma * noise).float().double()) for noise in drawn])
    found["smoothgrad"] = noisy.mean(0)
    found["squaregrad"] = (noisy**2).mean(0)
    found["vargrad"] = (noisy**2).mean(0) - noisy.mean(0) ** 2
    along = [(step + 0.5) / STEPS for step in range(STEPS)]
    path = np.mean([gradient((single * share).float().double()) for share in along], axis=0)
    found["integrated-gradients"] = path * difference
    return found


def ours(program, picture, class_id, how, out):
    methods = [option for method in METHODS for option in ("-m", method)]
    several = ["--samples", SAMPLES, "--noise", NOISE, "--seed", SEED, "--steps", STEPS]
    options = ["--score", "logit", "--outputs", "raw", "--json", "-q", "-o", out, "--convolution", how]
    command = [program, picture, "-c", class_id, *methods, *several, *options]
    report = json.loads(subprocess.run([str(part) for part in command], check=True, capture_output=True).stdout)
    files = {name: file for each in report["classes"][0]["maps"] for name, file in each["files"].items()}
    return {method: np.load(files[f"{SUFFIXES.get(method, method)}.npy"]).astype(np.float64) for method in METHODS}


def apart(found, exact):
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


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


def taken(arguments, option):
    """The values of an option, which are taken out of the arguments."""
    found = []
    while option in arguments:
        at = arguments.index(option)
        found.append(arguments[at + 1])
        del arguments[at : at + 2]
    return found


def main():
    arguments = sys.argv[1:]
    rounds = int([20, *taken(arguments, "--rounds")][-1])
    only = taken(arguments, "--only")
    is_picture = lambda name: Path(name).suffix.lower() in (".png", ".jpg", ".jpeg")
    named = [Path(name) for name in arguments if is_picture(name)]
    programs = [name for name in arguments if not is_picture(name)]
    pictures = {name: make for name, make in PICTURES.items() if not only or name in only}
    for path in named:
        fit = lambda path=path: ImageOps.fit(Image.open(path).convert("RGB"), (SIZE, SIZE), Image.BILINEAR)
        pictures[path.name] = fit
    exact, single = (load(dtype)[0].eval() for dtype in (torch.float64, torch.float32))
    first = first_pools(exact)
    print(f"| picture | which | {' | '.join(METHODS)} |")
    print(f"| --- | --- |{' --- |' * len(METHODS)}")
    with tempfile.TemporaryDirectory() as out:
        files = []
        for number, (name, make) in enumerate(pictures.items()):
            picture = make()
            files.append(f"{out}/{number}.png")
            picture.save(files[-1])
            rgb = np.asarray(picture)
            class_id = likeliest(first, rgb)
            expected = values(first, rgb, class_id)
            found = {
                "PyTorch, float64 as it is": values(exact, rgb, class_id, False),
                "PyTorch, float32": values(single, rgb, class_id),
            }
            for program in programs:
                for how in ("fast", "direct"):
                    found[f"{Path(program).name} --convolution {how}"] = ours(program, files[-1], class_id, how, out)
            for which, given in found.items():
                row = (f"{apart(given[m], expected[m]):.1e}" if m in given else "-" for m in METHODS)
                print(f"| {name} | {which} | {' | '.join(row)} |", flush=True)
        if len(programs) > 1:
            clock(programs[:2], files[0], rounds, out)


if __name__ == "__main__":
    main()
