"""gradcam beside PyTorch, onnxruntime and pytorch-grad-cam on networks with branches, in one run, taking turns, on this machine.

Python 3.11.7, torch 2.15.0 (CPU), torchvision 0.29.2, onnxruntime 1.32.0, grad-cam 1.5.7, numpy 2.4.6.
Command: python networks.py GRADCAM[,GRADCAM...] [ROUNDS] [NETWORK...]    (three rounds; several binaries take turns as well)

Weights are drawn as torchvision draws them, and batch norms have the statistics of a pass over crops of the repository's picture
and noise, so that no layer's values vanish or grow. Each round runs every job once, each in a process of its own with two
threads; a time is the median of seven passes inside its process, the table has the median over rounds, and the ratios of the
first binary to PyTorch's forward pass and to pytorch-grad-cam round by round, since the machine may be shared. Peak memory is the
process's (ru_maxrss); that of gradcam is of a command that draws one Grad-CAM, that of the others of one that does the same.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from PIL import Image

PICTURE = pathlib.Path(__file__).resolve().parent.parent / "assets" / "cat-and-coffee.png"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
NETWORKS = ["resnet50", "mobilenet_v2", "efficientnet_b0", "densenet121"]
LAYERS = {
    "resnet50": lambda m: m.layer4[-1],
    "mobilenet_v2": lambda m: m.features[-1],
    "efficientnet_b0": lambda m: m.features[-1],
    "densenet121": lambda m: m.features[-1],
}
RUNS = 7


def module(name):
    import torch
    import torchvision

    torch.manual_seed(1)
    torch.set_num_threads(2)
    return getattr(torchvision.models, name)(weights=None).eval()


def drawn(name):
    """With the batch statistics of a pass over crops of the picture and noise."""
    import torch
    from torchvision.transforms import v2

    made = module(name)
    norms = [part for part in made.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for norm in norms:
        # The statistics are then those of what is seen, with nothing of the ones from before.
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    crops = v2.Compose([v2.RandomResizedCrop(224), v2.RandomHorizontalFlip(), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    picture = Image.open(PICTURE).convert("RGB")
    pictures = torch.stack([crops(picture) for _ in range(4)] + [torch.rand(3, 224, 224) for _ in range(4)])
    with torch.inference_mode():
        made(v2.functional.normalize(pictures, MEAN, STD))
    return made.eval()


def saved(name, path):
    """As the ONNX file that gradcam and onnxruntime read, and as the state dict that torch does."""
    import torch

    made = drawn(name)
    torch.onnx.export(made, torch.zeros(1, 3, 224, 224), path, dynamo=False, opset_version=17)
    torch.save(made.state_dict(), pathlib.Path(path).with_suffix(".pth"))


def loaded(name, path):
    import torch

    made = module(name)
    made.load_state_dict(torch.load(pathlib.Path(path).with_suffix(".pth")))
    return made


def median_of(run):
    run()
    run()
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        run()
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def torch_forward(name, path):
    import torch

    made, x = loaded(name, path), torch.rand(1, 3, 224, 224)

    def run():
        with torch.inference_mode():
            made(x)

    return median_of(run)


def torch_cam(name, path):
    import torch
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    made, x = loaded(name, path), torch.rand(1, 3, 224, 224)
    cam = GradCAM(model=made, target_layers=[LAYERS[name](made)])
    return median_of(lambda: cam(input_tensor=x, targets=[ClassifierOutputTarget(3)]))


def ort_forward(name, path):
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.random.rand(1, 3, 224, 224).astype(np.float32)}
    return median_of(lambda: session.run(None, feed))


JOBS = {"torch": torch_forward, "torch-cam": torch_cam, "onnxruntime": ort_forward}


def process(command):
    """Standard output and peak megabytes."""
    with tempfile.TemporaryFile() as errors:
        started = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=errors)
        output = started.stdout.read()
        _, status, used = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        if started.returncode:
            errors.seek(0)
            sys.exit(f"{command} ended with {started.returncode}: {errors.read().decode()}")
    return output, used.ru_maxrss / 1024


def compare(binaries, rounds, names):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        Image.effect_noise((224, 224), 80).convert("RGB").save(folder / "picture.png")
        for name in names:
            path = folder / f"{name}.onnx"
            process([sys.executable, __file__, "save", name, path])
            times, memory = {}, {}
            for _ in range(rounds):
                for i, binary in enumerate(binaries):
                    output, _ = process([binary, "bench", path, "--runs", RUNS, "--json"])
                    report = json.loads(output)
                    for key in ["forward_ms", "gradcam_ms", "guided_bprop_ms"]:
                        times.setdefault(f"{key} {i}", []).append(report[key])
                for job in JOBS:
                    output, peak = process([sys.executable, __file__, job, name, path])
                    times.setdefault(job, []).append(json.loads(output))
                    memory[job] = peak
            for i, binary in enumerate(binaries):
                _, peak = process(
                    [binary, folder / "picture.png", path, "1", "--outputs", "gradcam", "-q", "--out-dir", folder]
                )
                memory[f"gradcam {i}"] = peak
            medians = {key: round(statistics.median(values), 1) for key, values in times.items()}

            def ratio(one, other):
                return round(statistics.median(a / b for a, b in zip(times[one], times[other])), 2)

            ratios = {"forward / torch": ratio("forward_ms 0", "torch"),
                      "gradcam / torch-cam": ratio("gradcam_ms 0", "torch-cam")}
            for i in range(1, len(binaries)):
                for key in ["forward_ms", "gradcam_ms", "guided_bprop_ms"]:
                    ratios[f"{key} 0 / {i}"] = ratio(f"{key} 0", f"{key} {i}")
            print(name, json.dumps({"ms": medians, "ratios": ratios, "MB": {k: round(v) for k, v in memory.items()}}), flush=True)


def main():
    first, *rest = sys.argv[1:]
    if first == "save":
        saved(*rest)
    elif first in JOBS:
        print(json.dumps(JOBS[first](*rest)))
    else:
        rounds = int(rest[0]) if rest else 3
        compare(first.split(","), rounds, rest[1:] or NETWORKS)


if __name__ == "__main__":
    main()
