"""Score-CAM and Ablation-CAM at the last layer of a ResNet-50, beside pytorch-grad-cam's, in turns.

Python 3.11.7, torch 2.15.0 (CPU), torchvision 0.29.2, grad-cam 1.5.7, onnx 1.23.2, pillow 13.0.0, numpy 2.4.6.
Command: python resnet50_perturbed.py GRADCAM [SIDE [TURNS]]    (96 and 2 without)

Weights are drawn, with batch statistics of crops of the picture and of noise (tests/fixtures/torchvision_families.py): of the picture
alone, what single masks leave of it would have logits of hundreds, whose softmax is one channel's, and rounding says which. The graph
is by the exporter of before at opset 17. The picture is made as small as the network takes it before either sees it, so that both have the same
pixels. The score is the first class's logit. All 2048 channels are masked or set to zero by both. Printed: the
furthest value of the map as a part of its largest, and wall clock: the whole command, which loads and compiles, and the package's
call on a network that is loaded.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytorch_grad_cam as packaged
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests" / "fixtures"))

from PIL import Image
from torchvision_families import PICTURE, draw, made, picture

METHODS = {"scorecam": packaged.ScoreCAM, "ablationcam": packaged.AblationCAM}


def theirs(kind, network, layer, x, c):
    targets = [ClassifierOutputTarget(c)]
    with kind(model=network, target_layers=[layer]) as package:
        package.batch_size = 32
        started = time.time()
        with torch.no_grad():
            package.activations_and_grads(x)
            a = package.activations_and_grads.activations[0].numpy()
            image = package.get_cam_image(x, layer, targets, a, None, False)[0]
        return np.asarray(image, np.float64), time.time() - started


def ours(gradcam, small, file, method):
    with tempfile.TemporaryDirectory() as out:
        options = ["--preprocess", "torch", "--score", "logit", "--outputs", "raw", "--json", "-n", "1", "-o", out, "-m", method]
        started = time.time()
        run = subprocess.run([gradcam, small, file, *options], capture_output=True, text=True, check=True)
        seconds = time.time() - started
        report = json.loads(run.stdout)
        (each,) = report["classes"]
        path = each["maps"][0]["files"][f"{method}.npy"]
        return np.load(pathlib.Path(out) / pathlib.Path(path).name), each["id"], report["layer"], seconds


def main(gradcam, side=96, turns=2):
    side, turns = int(side), int(turns)
    network = made("resnet50", False)
    x = picture(side, "torch").float()
    torch.manual_seed(1)
    draw(network, network.fc, x)
    c = int(network(x).argmax())
    print("| method | map | layer | ours, s | pytorch-grad-cam, s |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        file, small = pathlib.Path(folder) / "resnet50.onnx", pathlib.Path(folder) / "small.png"
        Image.open(PICTURE).convert("RGB").resize((side, side), Image.BILINEAR).save(small)
        torch.onnx.export(network, (x,), str(file), verbose=False, dynamo=False, opset_version=17)
        for method, kind in METHODS.items():
            times = [], []
            for _ in range(turns):
                found, best, layer, seconds = ours(gradcam, small, file, method)
                times[0].append(seconds)
                expected, seconds = theirs(kind, network, network.layer4[-1], x, c)
                times[1].append(seconds)
            assert best == c
            off = np.abs(found - expected).max() / np.abs(expected).max()
            cells = [", ".join(f"{t:.1f}" for t in each) for each in times]
            print(f"| {method} | {off:.1e} | {layer} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
