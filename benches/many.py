"""Many photographs: gradcam against one call a picture, pytorch-grad-cam and forward passes alone, in one run, taking turns.

Python 3.11.7, torch 2.15.0 (CPU), torchvision 0.29.2, grad-cam 1.5.7, numpy 2.4.6, pillow 13.0.0.
Command: python many.py GRADCAM [--pictures N] [--rounds N] [--networks NAME,NAME] [--photographs FOLDER]

Networks are torchvision's, of 1,000 classes, with drawn weights whose batch norms have seen the photographs (vgg16 and resnet50; 256
pictures, three rounds). Photographs are parts of the repository's own, of several sizes, unless a folder of them is named.

All find the top class and write the overlay as JPEG. Each round runs, in turns and each in a process of its own: the folder in one run,
in groups as gradcam chooses, and one by one; one run a picture, for a few of them; pytorch-grad-cam in batches of 8; forward passes of PyTorch; and
each stage alone. The device's is a run over pictures of 8 x 8 pixels of which nothing is written, and forward passes are one
that asks for random maps, which need no gradient.

Beside wall clock stands processor time (user and system), which other programs on the machine disturb least. Start-up is left out of
both where "apart" is said: of gradcam by the difference to a run over an eighth of the pictures, of PyTorch from its first batch on.
Ratios are medians of those of each round. PyTorch's threads wait for each other busily, which counts as processor time where others use
the machine: OMP_NUM_THREADS=1 in the environment keeps that out.
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
    """A job of PyTorch's: prints the seconds and processor seconds since its start-up ended."""
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
        began, used = time.perf_counter(), time.process_time()
        with torch.no_grad():
            for seen in inputs:
                model(seen)
        print(time.perf_counter() - began, time.process_time() - used)
        return
    layer = model.features[29] if name.startswith("vgg") else model.layer4[-1]
    began, used = time.perf_counter(), time.process_time()
    with GradCAM(model=model, target_layers=[layer]) as cam:
        for some in in_batches(paths):
            seen = [square(path) for path in some]
            for path, s, heat in zip(some, seen, cam(input_tensor=batch(seen), targets=None)):
                Image.fromarray(show_cam_on_image(s, heat, use_rgb=True)).save(pathlib.Path(out) / (path.stem + ".jpg"))
    print(time.perf_counter() - began, time.process_time() - used)


def timed(command):
    """Wall and processor seconds of a process, and its output."""
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime, done.stdout


def told_of(command, count, files=True):
    """Wall and processor seconds of a run over so many pictures, and milliseconds of each picture's stages."""
    with tempfile.TemporaryDirectory() as out:
        wall, processor, lines = timed([*command, "-o", out, "--json"])
        found = len(list(pathlib.Path(out).rglob("*.jpg")))
    told = [json.loads(line)["timings_ms"] for line in lines.splitlines()]
    if len(told) != count or found != (count if files else 0):
        sys.exit(f"{command}: {len(told)} results and {found} overlays of {count} pictures")
    return wall, processor, told


def each(gradcam, folder, part, ask, files=True):
    """Seconds a picture of a run over a folder: wall and processor, in all and apart from start-up, which `part`, a folder of an
    eighth of the pictures, has as well."""
    many, few = len(list(folder.iterdir())), len(list(part.iterdir()))
    wall, processor, _ = told_of([gradcam, folder, *ask], many, files)
    least_wall, least_processor, _ = told_of([gradcam, part, *ask], few, files)
    apart = lambda whole, least: (whole - least) / (many - few)
    return [wall / many, apart(wall, least_wall), processor / many, apart(processor, least_processor)]


def one_round(gradcam, name, weights, home, pictures):
    """Seconds a picture of every job: wall, in all and with start-up apart, and the same of processors."""
    ask = [weights, "1", "--outputs", "gradcam", "-q"]
    bare = [weights, "1", "--outputs", "none", "-q"]
    few = pictures[:: max(1, len(pictures) // 4)][:4]
    folder, part, count, seconds = home / "photographs", home / "part", len(pictures), {}
    seconds["folder"] = each(gradcam, folder, part, ask)
    seconds[DEVICE] = each(gradcam, home / "tiny", home / "tiny_part", bare, files=False)
    seconds[FORWARD] = each(gradcam, home / "tiny", home / "tiny_part", [*bare, "-m", "randomcam"], files=False)
    alone = [told_of([gradcam, picture, *ask], 1) for picture in few]
    wall, processor = (statistics.mean(took[kind] for took in alone) for kind in (0, 1))
    seconds[ONE] = [wall, None, processor, None]
    with tempfile.TemporaryDirectory() as out:
        wall, processor, said = timed([sys.executable, __file__, "--peer", "gradcam", name, weights, folder, out])
    own, own_processor = (float(word) / count for word in said.split())
    seconds[THEIRS] = [wall / count, own, processor / count, own_processor]
    *_, said = timed([sys.executable, __file__, "--peer", "forward", name, weights, folder, "-"])
    own, own_processor = (float(word) / count for word in said.split())
    seconds["forward passes of PyTorch, batches of 8"] = [None, own, None, own_processor]
    seconds["folder, --batch 1"] = each(gradcam, folder, part, [*ask, "--batch", "1"])
    # One picture has nobody beside it; of many, each of the cores takes one.
    stages = [told[0] for *_, told in alone]
    for stage, words in [("decode", "decode and resize"), ("draw_and_write", "draw and write")]:
        own = statistics.median(told[stage] for told in stages) / 1e3
        seconds[f"{STAGE} {words}, on all cores"] = [None, own / os.cpu_count(), None, own]
    return seconds


STAGE = "stage alone:"
DEVICE = f"{STAGE} device (forward, backward, map)"
FORWARD = "forward passes alone"
ONE = "one run a picture"
THEIRS = "pytorch-grad-cam, batches of 8"


def show(name, count, rounds):
    """The table of a network: medians, and medians of each round's ratios to the folder."""
    cell = lambda value, pattern: "-".rjust(12) if value is None else format(value, pattern)
    heads = ["s", "apart", "processor s", "apart"]
    print(f"\n{name}, {count} photographs, medians of {len(rounds)} rounds; seconds a picture, x: times the folder's\n")
    print(" " * 46 + "".join(f"{head:>12}{'x':>7}" for head in heads))
    for job in rounds[0]:
        line = ""
        for kind in range(4):
            own = [took[job][kind] for took in rounds]
            known = None not in own
            times = [took[job][kind] / took["folder"][kind] for took in rounds] if known else []
            line += cell(statistics.median(own) if known else None, "12.4f")
            line += f"{statistics.median(times):7.2f}" if known else "-".rjust(7)
        print(f"{job:46}{line}")
    ratio = lambda of: statistics.median(of(took) for took in rounds)
    largest = lambda took, kind: max(took[job][kind] for job in took if job.startswith(STAGE))
    print()
    for words, kind in [("wall", 1), ("processor", 3)]:
        print(f"by {words} time, start-up apart: against the largest stage alone "
              f"{ratio(lambda t: t['folder'][kind] / largest(t, kind)):.2f}, "
              f"against the forward passes alone {ratio(lambda t: t['folder'][kind] / t[FORWARD][kind]):.2f}, "
              f"against pytorch-grad-cam {ratio(lambda t: t[THEIRS][kind] / t['folder'][kind]):.2f} times as many")
    for words, kind in [("wall", 0), ("processor", 2)]:
        print(f"by {words} time, of whole processes: against one run a picture "
              f"{ratio(lambda t: t[ONE][kind] / t['folder'][kind]):.2f} times as many, "
              f"against pytorch-grad-cam {ratio(lambda t: t[THEIRS][kind] / t['folder'][kind]):.2f}", flush=True)


def tiny(folder, count):
    """Pictures that cost nothing but their way through the network."""
    from PIL import Image

    draw = random.Random(2)
    for number in range(count):
        Image.frombytes("RGB", (8, 8), draw.randbytes(192)).save(folder / f"{number:04}.png")


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
        for name in ["part", "tiny", "tiny_part"]:
            (home / name).mkdir()
        for path in pictures[:: 8]:
            (home / "part" / path.name).symlink_to(path)
        tiny(home / "tiny", max(2, len(pictures) // 2))
        tiny(home / "tiny_part", max(1, len(pictures) // 16))
        for name in asked.networks.split(","):
            weights = home / f"{name}.pth"
            drawn(name, pictures, weights)
            # Compiled shaders and read files are there for all.
            told_of([asked.gradcam, pictures[0], weights, "1", "--outputs", "gradcam", "-q"], 1)
            rounds = [one_round(asked.gradcam, name, weights, home, pictures) for _ in range(asked.rounds)]
            show(name, len(pictures), rounds)
            weights.unlink()


if __name__ == "__main__":
    main()
