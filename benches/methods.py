"""Every method beside its reference, one after the other in one run, on the built-in network: one class, one picture.

Python 3.11.7, torch 2.15.0 (CPU), torchvision 0.29.2, grad-cam 1.5.7, captum 0.9.0, numpy 2.4.6, pillow 13.0.0.
Command: python methods.py GRADCAM [METHOD...]    (all methods: about ten minutes on two cores)

Both have the network loaded and the kernels compiled. Ours is what `--json` tells: the forward pass and everything after
it up to the map, of the last of three pictures; theirs is the second call on two threads, forward pass included. Where the
first took over five seconds, it stands. Wall clock. The score is the logit of `cat`, at 224 x 224. Heat maps alone are
asked for: with `raw` would come guided backpropagation.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

import captum.attr as attr
import pytorch_grad_cam as packaged
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.append(str(ROOT / "tests" / "fixtures"))

from builtin import load
from reference import caffe, picture_224

CLASS, LAYER = "cat", 29
SHORT = 5.0

CAMS = {
    "gradcam": packaged.GradCAM,
    "gradcam++": packaged.GradCAMPlusPlus,
    "hirescam": packaged.HiResCAM,
    "gradcam-elementwise": packaged.GradCAMElementWise,
    "xgradcam": packaged.XGradCAM,
    "layercam": packaged.LayerCAM,
    "eigencam": packaged.EigenCAM,
    "eigengradcam": packaged.EigenGradCAM,
    "fem": packaged.FEM,
    "finercam": packaged.FinerCAM,
    "fullgrad": packaged.FullGrad,
    "scorecam": packaged.ScoreCAM,
    "ablationcam": packaged.AblationCAM,
    "randomcam": packaged.RandomCAM,
}


def noisy(kind):
    return lambda net, x, c: attr.NoiseTunnel(attr.Saliency(net)).attribute(
        x, nt_type=kind, nt_samples=25, nt_samples_batch_size=5, stdevs=1.0, target=c, abs=False
    )


PIXELS = {
    "gradient": lambda net, x, c: attr.Saliency(net).attribute(x, c, abs=False),
    "gradient-x-input": lambda net, x, c: attr.InputXGradient(net).attribute(x, c),
    "guided-bprop": lambda net, x, c: attr.GuidedBackprop(net).attribute(x, c),
    "deconvnet": lambda net, x, c: attr.Deconvolution(net).attribute(x, c),
    "guided-gradcam": lambda net, x, c: attr.GuidedGradCam(net, net[LAYER]).attribute(x, c),
    "smoothgrad": noisy("smoothgrad"),
    "squaregrad": noisy("smoothgrad_sq"),
    "vargrad": noisy("vargrad"),
    "integrated-gradients": lambda net, x, c: attr.IntegratedGradients(net).attribute(
        x, target=c, n_steps=50, method="riemann_middle", internal_batch_size=5
    ),
    "occlusion": lambda net, x, c: attr.Occlusion(net).attribute(
        x, (3, 32, 32), strides=(3, 16, 16), target=c, perturbations_per_eval=8
    ),
    "rise": None,  # captum has none
}
# What is asked beside the method's name.
MORE = {"scorecam --channels 64": "scorecam", "ablationcam --channels 64": "ablationcam"}


def theirs(network, x, class_id, method):
    """Seconds, or None where the package has no such method."""
    if method in CAMS:
        kind = CAMS[method]
        layers = [network[LAYER]]
        with kind(model=network, target_layers=layers) as cam:
            if method == "finercam":
                call = lambda: cam(x.clone().requires_grad_(), target_idx=class_id)
            else:
                call = lambda: cam(x.clone().requires_grad_(), [ClassifierOutputTarget(class_id)])
            return timed(call)
    job = PIXELS.get(method)
    return job and timed(lambda: job(network, x.clone().requires_grad_(), class_id))


def timed(call):
    seconds = SHORT
    for _ in range(2):
        began = time.perf_counter()
        call()
        seconds = time.perf_counter() - began
        if seconds > SHORT:
            break
    return seconds


def ours(gradcam, out, method):
    seconds = run(gradcam, out, method, 1)
    # The first picture waits for the upload too: of three, the last.
    return run(gradcam, out, method, 3) if seconds < SHORT else seconds


def run(gradcam, out, method, pictures):
    name, *options = method.split()
    copies = [pathlib.Path(out) / f"picture{i}.png" for i in range(pictures)]
    for copy in copies:
        shutil.copy(ROOT / "assets" / "cat-and-coffee.png", copy)
    command = [gradcam, *copies, "-c", CLASS, "-m", name, *options, "--score", "logit", "--outputs", "heatmap", "--json"]
    # Each by itself: a group has one time for all that it does.
    command += ["--batch", "1"]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}")
    told = json.loads(done.stdout.splitlines()[-1])["timings_ms"]
    return (told["forward"] + told["backward"]) / 1e3


def main():
    warnings.simplefilter("ignore")
    gradcam, *methods = sys.argv[1:]
    torch.set_num_threads(2)
    network, classes = load(torch.float32)
    network = network.eval()
    x, class_id = caffe(picture_224()).float(), classes.index(CLASS)
    print("| method | gradcam, s | pytorch-grad-cam or captum, s | ratio |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as out:
        for method in methods or [*CAMS, *PIXELS, *MORE]:
            mine = ours(gradcam, out, method)
            other = theirs(network, x, class_id, method)
            beside = f"{other:.2f} | {mine / other:.2f}" if other else "- | -"
            print(f"| `{method}` | {mine:.2f} | {beside} |", flush=True)


if __name__ == "__main__":
    main()
