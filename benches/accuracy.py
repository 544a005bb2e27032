"""How far maps are from pytorch-grad-cam's in float64: those of its float32, ours, and ours with --convolution direct.

python accuracy.py GRADCAM [seeded|builtin]: seven minutes on two cores. Two networks, three pictures, three classes (those of
tests/fixtures/cams.py), conv5_3 and conv4_3, the logit, maps before they are rectified or scaled. Versions: methods.py.
"""

import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytorch_grad_cam as packaged
import torch
from PIL import Image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests/fixtures"))

import seeded
from builtin import load
from cams import WIDTHS, pictures
from reference import caffe, seeded_vgg16

METHODS = {
    "gradcam": packaged.GradCAM,
    "gradcam++": packaged.GradCAMPlusPlus,
    "hirescam": packaged.HiResCAM,
    "gradcam-elementwise": packaged.GradCAMElementWise,
    "xgradcam": packaged.XGradCAM,
    "layercam": packaged.LayerCAM,
}
LAYERS = {"conv5_3": 29, "conv4_3": 22}  # the ReLUs after them
CLASSES = {"seeded": [0, 3, 7], "builtin": [5, 10, 4]}
NEAR = 1e-3


def theirs(network, x, method, layer, c):
    """The map of the package's own code."""
    target = network[LAYERS[layer]]
    with METHODS[method](network, [target]) as package:
        hooks = package.activations_and_grads
        hooks(x.requires_grad_())[0, c].backward()
        values, gradients = (each[0].detach().numpy() for each in (hooks.activations, hooks.gradients))
        return package.get_cam_image(x, target, [ClassifierOutputTarget(c)], values, gradients, False)[0]


def ours(program, picture, weights, layer, classes, how, out):
    """The maps of all methods and classes."""
    asked = [option for c in classes for option in ("-c", str(c))]
    asked += [option for method in METHODS for option in ("-m", method)]
    options = ["-l", layer, "--score", "logit", "--outputs", "raw", "--json", "-q", "-o", out, "--convolution", how]
    command = [program, picture, *weights, *asked, *options]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    maps = [(c["id"], each["method"], each["files"]) for c in report["classes"] for each in c["maps"]]
    return {(c, method): np.load(files[f"{method}.npy"]) for c, method, files in maps}


def main():
    program, *chosen = sys.argv[1:]
    print(f"| network | maps | largest difference, of the largest value | positions over {NEAR} | median |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as out:
        for name in [name for name in CLASSES if name in chosen] or CLASSES:
            if name == "builtin":
                networks = {dtype: load(dtype)[0].eval() for dtype in (torch.float32, torch.float64)}
                weights = []
            else:
                networks = {dtype: seeded_vgg16(WIDTHS, dtype).eval() for dtype in (torch.float32, torch.float64)}
                state = seeded.torchvision_state(seeded.weights(WIDTHS))
                torch.save({key: torch.tensor(value) for key, value in state.items()}, f"{out}/seeded.pth")
                weights = [f"{out}/seeded.pth", "--preprocess", "caffe"]
            apart = {}
            for picture, layer in itertools.product(pictures(), LAYERS):
                file = f"{out}/picture.png"
                Image.fromarray(np.ascontiguousarray(picture)).save(file)
                each = {
                    f"gradcam, --convolution {how}": ours(program, file, weights, layer, CLASSES[name], how, out)
                    for how in ("fast", "direct")
                }
                for c, method in itertools.product(CLASSES[name], METHODS):
                    exact, single = (
                        theirs(networks[dtype], caffe(picture).to(dtype), method, layer, c)
                        for dtype in (torch.float64, torch.float32)
                    )
                    found = {"pytorch-grad-cam, float32": single} | {how: maps[c, method] for how, maps in each.items()}
                    for which, values in found.items():
                        apart.setdefault(which, []).append((np.abs(values - exact) / np.abs(exact).max()).ravel())
            for which, differences in apart.items():
                d = np.concatenate(differences)
                share = f"{100 * (d > NEAR).mean():.2f} %"
                print(f"| {name} | {which} | {d.max():.1e} | {share} | {np.median(d):.1e} |", flush=True)


if __name__ == "__main__":
    main()
