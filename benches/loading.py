"""Loading time and peak memory of VGG16 with 1000 classes (138,357,544 weights) as a file of each format.

Python 3.11.7, numpy 2.4.6; for `torch`: torch 2.15.0, torchvision 0.29.2, safetensors 0.8.0, onnx 1.23.2; for `keras`: keras
3.15.1, tf_keras 2.21.0, tensorflow-cpu 2.21.0. FOLDER holds VGG16.npy, from which the other files are made.

    python loading.py torch FOLDER
    python loading.py keras FOLDER
    python loading.py measure GRADCAM PICTURE FOLDER

Measured per file, caches warm, the better of two runs: `gradcam info FILE` and `gradcam PICTURE FILE --outputs heatmap`: seconds,
seconds of all cores, peak resident memory in MB, and how much of it is the program's own (the rest is the mapped file, which
the system takes back when it needs the room). Mapped: whether the file was seen among the program's mappings.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

BLOCKS = [2, 2, 3, 3, 3]


def layers(folder):
    """[W, b] of conv1_1 ... fc8 in TensorFlow's order of axes."""
    made = np.load(folder / "VGG16.npy", allow_pickle=True, encoding="latin1").item()
    return {name: made[name] for name in sorted(made)}


def torchvision_state(made):
    import torch

    convolutions = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    modules = [f"features.{i}" for i in convolutions] + [f"classifier.{i}" for i in (0, 3, 6)]
    state = {}
    for (layer, (w, b)), module in zip(made.items(), modules):
        if w.ndim == 4:
            w = w.transpose(3, 2, 0, 1)
        elif layer == "fc6":
            w = w.reshape(7, 7, -1, w.shape[-1]).transpose(3, 2, 0, 1).reshape(w.shape[-1], -1)
        else:
            w = w.T
        state[f"{module}.weight"] = torch.from_numpy(np.ascontiguousarray(w))
        state[f"{module}.bias"] = torch.from_numpy(b)
    return state


def make_torch(folder):
    import torch
    import torchvision
    from safetensors.torch import save_file

    made = layers(folder)
    named = {f"{layer}_{part}": a for layer, pair in made.items() for part, a in zip("Wb", pair)}
    np.savez(folder / "stored.npz", **named)
    np.savez_compressed(folder / "compressed.npz", **named)
    state = torchvision_state(made)
    save_file(state, folder / "vgg16.safetensors")
    save_file({name: t.half() for name, t in state.items()}, folder / "vgg16-f16.safetensors")
    torch.save(state, folder / "vgg16.pth")
    torch.save(state, folder / "vgg16-legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({name: t.half() for name, t in state.items()}, folder / "vgg16-half.pth")
    network = torchvision.models.vgg16(weights=None).eval()
    network.load_state_dict(state)
    x = torch.zeros(1, 3, 224, 224)
    torch.onnx.export(network, (x,), str(folder / "vgg16.onnx"), dynamo=False, verbose=False)
    torch.onnx.export(network, (x,), str(folder / "vgg16-external.onnx"), dynamo=True, external_data=True, verbose=False)


def make_keras(folder):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tf_keras

    values = [a for pair in layers(folder).values() for a in pair]
    for k, files in ((keras, ("vgg16.keras", "vgg16.weights.h5")), (tf_keras, ("vgg16.h5", "vgg16-weights.h5"))):
        model = k.applications.VGG16(weights=None)
        model.set_weights(values)
        whole, weights = files
        model.save(folder / whole)
        model.save_weights(folder / weights)


def run(command, file):
    """Seconds, seconds of all cores, peak MB, peak of the program's own MB, whether the file was mapped."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    own, mapped = 0, False
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            own = max([own] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")])
            mapped = mapped or file.name in Path(f"/proc/{process.pid}/maps").read_text()
        except OSError:
            pass
        time.sleep(0.01)
    wall = time.perf_counter() - start
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command}: {said}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, own / 1024, mapped


def measure(gradcam, picture, folder):
    names = [
        "VGG16.npy", "stored.npz", "compressed.npz", "vgg16.safetensors", "vgg16-f16.safetensors", "vgg16.pth", "vgg16-half.pth",
        "vgg16-legacy.pth", "vgg16.onnx", "vgg16-external.onnx", "vgg16-weights.h5", "vgg16.h5", "vgg16.weights.h5", "vgg16.keras",
    ]  # fmt: skip
    print("| file | MB | info: s | CPU s | peak MB | own MB | picture: s | CPU s | peak MB | own MB | mapped |")
    print("| --- |" + " --- |" * 10)
    out = folder / "maps"
    for file in [folder / name for name in names if (folder / name).exists()]:
        # The data of vgg16-external.onnx lie beside it.
        data = [file, file.with_name(file.name + ".data")]
        size = sum(path.stat().st_size for path in data if path.exists()) / 1e6
        cells, mapped = [], False
        for command in ([gradcam, "info", file], [gradcam, picture, file, "--outputs", "heatmap", "-o", out]):
            best = min(run(command, data[-1] if data[-1].exists() else file) for _ in range(2))
            cells += [f"{best[0]:.1f}", f"{best[1]:.1f}", f"{best[2]:.0f}", f"{best[3]:.0f}"]
            mapped = mapped or best[4]
        print(f"| {file.name} | {size:.0f} | {' | '.join(cells)} | {'yes' if mapped else 'no'} |", flush=True)


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    {"torch": make_torch, "keras": make_keras, "measure": measure}[what](*(paths[:-1]), Path(paths[-1]))
