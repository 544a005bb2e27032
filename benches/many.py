"""Many photographs: gradcam against one call a picture, pytorch-grad-cam and forward passes alone, in one run, taking turns.

Python 3.11.7, torch 2.15.0 (CPU), torchvision 0.29.2, grad-cam 1.5.7, numpy 2.4.6, pillow 13.0.0.
Command: python many.py GRADCAM [--pictures N] [--rounds N] [--networks NAME,NAME] [--photographs FOLDER]

Networks are torchvision's, of 1,000 classes, with drawn weights whose batch norms have seen the photographs (vgg16 and resnet50; 256
pictures, three rounds). Photographs are parts of the repository's own, of several sizes, unless a folder of them is named.

All find the top class and write the overlay as JPEG. Each round runs, in turns and each in a process of its own: the folder in one run,
one by one and in groups of four; one run a picture, for a few of them; pytorch-grad-cam in batches of 8; and, with nothing decoded or
drawn meanwhile, forward passes and Grad-CAMs of gradcam (`bench`, one picture at a time) and forward passes of PyTorch (batches of 8).
Beside wall clock stands processor time (user and system), which other programs on the machine disturb least. Ratios are medians of
those of each round, of whole processes and with start-up apart: there what is done before the first picture is left out.
"""

import argparse
import json
import os
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZES = [(640, 480), (480, 640), (800, 533), (500, 375), (1024, 768)]


def photographs(folder, count):
    """Parts of the repository's photograph, no two alike."""
    from PIL import Image, ImageEnhance, ImageOps

    whole = Image.open(ROOT / "assets" / "cat-and-coffee.png").convert("RGB")
    draw = random.Random(1)
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        scale = draw.uniform(0.5, 1) * min(whole.width / width, whole.height / height)
        across, down = width * scale, height * scale
        left, top = draw.uniform(0, whole.width - across), draw.uniform(0, whole.height - down)
        part = whole.resize((width, height), Image.BICUBIC, (left, top, left + across, top + down))
        part = ImageOps.mirror(part) if draw.random() < 0.5 else part
        part = ImageEnhance.Brightness(part).enhance(draw.uniform(0.7, 1.2))
        part.save(folder / f"photograph_{number:04}.jpg", quality=90)


def square(path):
    """What networks see of a photograph, 0 to 1: its centre at 224 pixels a side."""
    import numpy
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side)).resize((224, 224), Image.BILINEAR)
    return numpy.float32(picture) / 255


def batch(seen):
    """The input of these squares."""
    import numpy
    import torch

    mean, std = numpy.float32([0.485, 0.456, 0.406]), numpy.float32([0.229, 0.224, 0.225])
    return torch.from_numpy(numpy.stack([(s - mean) / std for s in seen]).transpose(0, 3, 1, 2).copy())


def in_batches(paths):
    for first in range(0, len(paths), 8):
        yield paths[first : first + 8]


def drawn(name, paths, to):
    """Writes drawn weights of a network, whose batch norms have seen some photographs."""
    import torch
    import torchvision

    torch.manual_seed(1)
    model = getattr(torchvision.models, name)(weights=None)
    for part in model.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.momentum = None
    model.train()
    with torch.no_grad():
        model(batch([square(path) for path in paths[:16]]))
    torch.save(model.state_dict(), to)


def peer(job, name, weights, folder, out):
    """A job of PyTorch's: prints the seconds since its start-up ended."""
    import torch
    import torchvision
    from PIL import Image
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import show_cam_on_image

    model = getattr(torchvision.models, name)(weights=None)
    model.load_state_dict(torch.load(weights))
    model.eval()
    paths = sorted(pathlib.Path(folder).iterdir())
    if job == "forward":
        inputs = [batch([square(path) for path in some]) for some in in_batches(paths)]
        began = time.perf_counter()
        with torch.no_grad():
            for seen in inputs:
                model(seen)
        print(time.perf_counter() - began)
        return
    layer = model.features[29] if name.startswith("vgg") else model.layer4[-1]
    began = time.perf_counter()
    with GradCAM(model=model, target_layers=[layer]) as cam:
        for some in in_batches(paths):
            seen = [square(path) for path in some]
            for path, s, heat in zip(some, seen, cam(input_tensor=batch(seen), targets=None)):
                Image.fromarray(show_cam_on_image(s, heat, use_rgb=True)).save(pathlib.Path(out) / (path.stem + ".jpg"))
    print(time.perf_counter() - began)


def timed(command):
    """Wall and processor seconds of a process, and its output."""
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime, done.stdout


def of_gradcam(command, count):
    """A run's seconds a picture: in all, with start-up apart, and of processors; and milliseconds of each picture's stages."""
    with tempfile.TemporaryDirectory() as out:
        wall, processor, lines = timed([*command, "-o", out, "--json"])
        written = len(list(pathlib.Path(out).rglob("*.jpg")))
    told = [json.loads(line)["timings_ms"] for line in lines.splitlines()]
    if not len(told) == written == count:
        sys.exit(f"{command}: {len(told)} results and {written} overlays of {count} photographs")
    start = (told[0]["open_device"] + told[0]["set_up"]) / 1e3
    return [wall / count, (wall - start) / count, processor / count], told


def one_round(gradcam, name, weights, folder, pictures):
    """Seconds a picture of every job: in all, with start-up apart, and of processors."""
    ask = [weights, "1", "--outputs", "gradcam", "-q"]
    few = pictures[:: max(1, len(pictures) // 4)][:4]
    count, seconds = len(pictures), {}
    seconds["folder"], _ = of_gradcam([gradcam, folder, *ask], count)
    alone = [of_gradcam([gradcam, picture, *ask], 1) for picture in few]
    seconds["one run a picture"] = [statistics.mean(of) for of in zip(*(took for took, _ in alone))]
    with tempfile.TemporaryDirectory() as out:
        wall, processor, said = timed([sys.executable, __file__, "--peer", "gradcam", name, weights, folder, out])
        seconds["pytorch-grad-cam, batches of 8"] = [wall / count, float(said) / count, processor / count]
    *_, said = timed([sys.executable, __file__, "--peer", "forward", name, weights, folder, "-"])
    seconds["forward passes of PyTorch, batches of 8"] = [None, float(said) / count, None]
    seconds["folder, --batch 4"], _ = of_gradcam([gradcam, folder, *ask, "--batch", "4"], count)
    *_, said = timed([gradcam, "bench", weights, "--json"])
    bench = json.loads(said)
    seconds["forward passes alone"] = [None, bench["forward_ms"] / 1e3, None]
    # One picture has nobody beside it; of many, each of the cores takes one.
    stages = [told[0] for _, told in alone]
    share = lambda stage: statistics.median(told[stage] for told in stages) / 1e3 / os.cpu_count()
    seconds["stage alone: device (forward, backward, map)"] = [None, bench["gradcam_ms"] / 1e3, None]
    seconds["stage alone: decode and resize, on all cores"] = [None, share("decode"), None]
    seconds["stage alone: draw and write, on all cores"] = [None, share("draw_and_write"), None]
    return seconds


def show(name, count, rounds):
    """The table of a network: medians, and medians of each round's ratios to the folder."""
    numbers = lambda values: statistics.median(values) if None not in values else None
    cell = lambda value, pattern: "-".rjust(10) if value is None else format(value, pattern)
    print(f"\n{name}, {count} photographs, medians of {len(rounds)} rounds; s: seconds a picture, x: times the folder's\n")
    print(f"{'':46}{'s':>10}{'x':>10}{'s, start-up apart':>20}{'x':>10}{'processor s':>14}{'x':>10}")
    for job in rounds[0]:
        line = ""
        for kind, width in enumerate([10, 20, 14]):
            own = [took[job][kind] for took in rounds]
            times = [None if v is None else v / took["folder"][kind] for v, took in zip(own, rounds)]
            line += cell(numbers(own), f"{width}.3f").rjust(width) + cell(numbers(times), "10.2f")
        print(f"{job:46}{line}")
    apart = lambda took, job: took[job][1]
    stage = lambda took: max(apart(took, job) for job in took if job.startswith("stage alone"))
    ratio = lambda of: statistics.median(of(took) for took in rounds)
    folder = lambda took: apart(took, "folder")
    print(f"\nthe folder, start-up apart, against the largest stage alone: {ratio(lambda t: folder(t) / stage(t)):.2f}")
    print(f"the same against the forward passes alone: {ratio(lambda t: folder(t) / apart(t, 'forward passes alone')):.2f}")
    print(f"overlays a second against one run a picture: {ratio(lambda t: t['one run a picture'][0] / t['folder'][0]):.2f} times as many")
    theirs = "pytorch-grad-cam, batches of 8"
    print(f"against pytorch-grad-cam: {ratio(lambda t: t[theirs][0] / t['folder'][0]):.2f} times as many, "
          f"start-up apart {ratio(lambda t: apart(t, theirs) / folder(t)):.2f}", flush=True)


def main():
    if sys.argv[1:2] == ["--peer"]:
        return peer(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gradcam")
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", default="vgg16,resnet50")
    parser.add_argument("--photographs", type=pathlib.Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        folder = home / "photographs"
        folder.mkdir()
        if asked.photographs:
            named = sorted(asked.photographs.iterdir())[: asked.pictures]
            for path in named:
                (folder / path.name).symlink_to(path.resolve())
        else:
            photographs(folder, asked.pictures)
        pictures = sorted(folder.iterdir())
        for name in asked.networks.split(","):
            weights = home / f"{name}.pth"
            drawn(name, pictures, weights)
            # Compiled shaders and read files are there for all.
            of_gradcam([asked.gradcam, pictures[0], weights, "1", "--outputs", "gradcam", "-q"], 1)
            rounds = [one_round(asked.gradcam, name, weights, folder, pictures) for _ in range(asked.rounds)]
            show(name, len(pictures), rounds)
            weights.unlink()


if __name__ == "__main__":
    main()
