"""Score-CAM and Ablation-CAM, pytorch-grad-cam's and ours in turn: two networks, three pictures, two layers, three classes.

python perturbed.py GRADCAM [scorecam|ablationcam] [conv5_3|conv4_3] [builtin|seeded] [1|2|3]: all of them take over an hour
on two cores; the number is the picture's. The networks, the pictures and the classes are those of tests/fixtures/cams.py; the score is the logit.

Ours is what `--json` tells, the forward pass and everything after it, for three classes at once. Theirs is the package's own
code for one class after the other; what the network gives, which is the same for each class, is kept from the first, so that
the time is that of one class. Maps are compared before they are rectified or scaled. Versions: methods.py.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytorch_grad_cam as packaged
import torch
from PIL import Image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests/fixtures"))

import seeded
from cams import WIDTHS, pictures
from builtin import load
from reference import caffe, seeded_vgg16

METHODS = {"scorecam": packaged.ScoreCAM, "ablationcam": packaged.AblationCAM}
LAYERS = {"conv5_3": 29, "conv4_3": 22}  # the ReLUs after them
CLASSES = {"builtin": [5, 10, 4], "seeded": [0, 3, 7]}


class Once(torch.nn.Module):
    """A network whose outputs are kept, to be given again in the same order."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.kept = []
        self.again = None

    def rewind(self):
        self.again = iter(self.kept)

    def forward(self, x):
        if self.again:
            return next(self.again)
        self.kept.append(self.network(x))
        return self.kept[-1]


def theirs(network, x, method, layer, classes):
    """The maps, and seconds for the first class."""
    with torch.no_grad():
        a = network[: LAYERS[layer] + 1](x).numpy()
    model = Once(network)
    maps = []
    with METHODS[method](model, [network[LAYERS[layer]]]) as package:
        package.batch_size = 16
        began = time.perf_counter()
        for c in classes:
            maps.append(package.get_cam_image(x, package.target_layers[0], [ClassifierOutputTarget(c)], a, None)[0])
            if len(maps) == 1:
                seconds = time.perf_counter() - began
            model.rewind()
    return maps, seconds


def ours(program, weights, picture, method, layer, classes, out):
    file = Path(out) / "picture.png"
    Image.fromarray(np.ascontiguousarray(picture)).save(file)
    asked = [option for c in classes for option in ("-c", str(c))]
    options = ["-m", method, "-l", layer, "--score", "logit", "--outputs", "raw", "--json", "-q", "-o", out]
    command = [program, str(file), *weights, *asked, *options]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    raw = {c["id"]: c["maps"][0]["files"][f"{method}.npy"] for c in report["classes"]}
    told = report["timings_ms"]
    return [np.load(raw[c]) for c in classes], (told["forward"] + told["backward"]) / 1e3


def main():
    program, *chosen = sys.argv[1:]
    torch.set_num_threads(2)
    pick = lambda names: [name for name in names if name in chosen] or list(names)
    print("| network | layer | picture | method | gradcam, s | theirs, s | maps apart, of the largest value |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as out:
        for name in pick(CLASSES):
            if name == "builtin":
                network, weights = load(torch.float32)[0], []
            else:
                network = seeded_vgg16(WIDTHS, torch.float32)
                file = Path(out) / "seeded.pth"
                state = seeded.torchvision_state(seeded.weights(WIDTHS))
                torch.save({key: torch.tensor(value) for key, value in state.items()}, file)
                weights = [str(file), "--preprocess", "caffe"]
            network = network.eval()
            for layer, i, method in itertools.product(pick(LAYERS), pick("123"), pick(METHODS)):
                picture, classes = pictures()[int(i) - 1], CLASSES[name]
                mine, seconds = ours(program, weights, picture, method, layer, classes, out)
                other, their_seconds = theirs(network, caffe(picture).float(), method, layer, classes)
                apart = [np.abs(m - o).max() / np.abs(o).max() for m, o in zip(mine, other)]
                each = ", ".join(f"{a:.1e}" for a in apart)
                print(f"| {name} | {layer} | {i} | `{method}` | {seconds:.1f} | {their_seconds:.1f} | {each} |", flush=True)


if __name__ == "__main__":
    with torch.no_grad():
        main()
