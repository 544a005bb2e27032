"""Score-CAM or Ablation-CAM of one class on the built-in network: pytorch-grad-cam and `gradcam`, in turn, on the same input.

python perturbed.py [scorecam|ablationcam] [LAYER] [GRADCAM]: conv5_3 has 512 channels, so 512 passes; conv1_2 has 64 of the
same length. Prints the time and the processor time of each, their ratio, and how far the maps are apart.
Versions: see compare.py, and grad-cam 1.5.7.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytorch_grad_cam as packaged
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests/fixtures"))

from builtin import load
from reference import caffe, picture_224

METHODS = {"scorecam": packaged.ScoreCAM, "ablationcam": packaged.AblationCAM}
LAYERS = {"conv1_2": 3, "conv2_2": 8, "conv3_3": 15, "conv4_3": 22, "conv5_3": 29}  # the ReLUs after them
CLASS = "cat"


def clock(work):
    def spent():
        both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return np.array([time.perf_counter(), sum(u.ru_utime + u.ru_stime for u in both)])

    before = spent()
    result = work()
    return result, spent() - before


def theirs(method, layer):
    torch.set_num_threads(os.cpu_count())
    network, classes = load(torch.float32)
    x = caffe(picture_224()).float()
    target = [ClassifierOutputTarget(classes.index(CLASS))]
    with METHODS[method](network, [network[LAYERS[layer]]]) as package:
        a = network[: LAYERS[layer] + 1](x).detach().numpy()
        package.batch_size = 16
        return package.get_cam_image(x, package.target_layers[0], target, a, None)[0]


def ours(program, method, layer):
    picture = ROOT / "tests/fixtures/builtin/cat-and-coffee-224.png"
    with tempfile.TemporaryDirectory() as out:
        options = ["-c", CLASS, "-m", method, "-l", layer, "--score", "logit", "--outputs", "raw", "--json", "-q"]
        command = [program, str(picture), *options, "-o", out]
        report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        files = report["classes"][0]["maps"][0]["files"]
        return np.load(files[f"{method}.npy"]), report["timings_ms"]


def main():
    method, layer, program = (sys.argv[1:] + ["scorecam", "conv5_3", str(ROOT / "target/release/gradcam")][len(sys.argv) - 1 :])
    (map_ours, timings), time_ours = clock(lambda: ours(program, method, layer))
    map_theirs, time_theirs = clock(lambda: theirs(method, layer))
    apart = np.abs(map_ours - map_theirs).max() / np.abs(map_theirs).max()
    for name, spent in (("gradcam", time_ours), ("pytorch-grad-cam", time_theirs)):
        print(f"{name:17} {spent[0]:7.1f} s, {spent[1]:7.1f} s of processors")
    print(f"ratio             {time_ours[0] / time_theirs[0]:7.2f}    {time_ours[1] / time_theirs[1]:7.2f}")
    print(f"of gradcam, the passes of the method and others after the first: {timings['backward'] / 1e3:.2f} s")
    print(f"maps apart by {apart:.1e} of the largest value")


if __name__ == "__main__":
    main()
