"""Seeds of a few hundred bytes for each target -> seeds/. The fixtures of the tests are seeds as well, and larger.

Python 3.11.7, torch 2.15.0 (CPU), numpy 2.4.6, safetensors 0.8.0. Command: python seeds.py
"""

import pickle
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
PICTURES = HERE.parent / "tests" / "fixtures" / "pictures"


def folder(name):
    path = HERE / "seeds" / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def main():
    w, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(2, np.float32)

    out = folder("npy")
    array = np.empty((), dtype=object)
    array[()] = {"conv1_1": [w, b], "fc8": {0: np.asfortranarray(w), 1: b.astype(">f8")}}
    for protocol in (2, 3, 4, 5):
        with open(out / f"p{protocol}.npy", "wb") as file:
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
            pickle.dump(array, file, protocol=protocol)

    out = folder("npz")
    np.savez(out / "stored.npz", conv1_1_W=w, conv1_1_b=b.astype(np.float16))
    np.savez_compressed(out / "compressed.npz", **{"conv1_1/weights": np.asfortranarray(w), "steps": np.arange(2)})
    np.savez(out / "dict.npz", {"conv1_1": [w, b]})

    out = folder("safetensors")
    tensors = {"features.0.weight": torch.from_numpy(w), "half": torch.ones(2).bfloat16(), "n": torch.tensor(3)}
    save_file(tensors, out / "three.safetensors", metadata={"labels": '["cat"]'})

    out = folder("torch")
    flat = torch.arange(12.0)
    state = OrderedDict(w=flat.view(3, 4).T, b=flat[2:4], n=torch.tensor(3), h=torch.ones(2).half())
    checkpoint = {"epoch": 1, "state_dict": OrderedDict((f"module.{k}", torch.nn.Parameter(flat)) for k in "ab")}
    torch.save(state, out / "zip.pth")
    torch.save(checkpoint, out / "checkpoint.pth", pickle_protocol=4)
    torch.save(state, out / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(checkpoint, out / "legacy-checkpoint.pth", _use_new_zipfile_serialization=False)

    out = folder("picture")
    for name in (
        "rgb.jpg", "cmyk.jpg", "progressive.jpg", "orientation_6.jpg", "rgba_16bit.png", "palette_2bit.png", "animated.png",
        "orientation_6.png", "lossy.webp", "lossless.webp", "animated_alpha.webp", "animated.gif", "palette.bmp", "rgb.qoi",
        "grey.pgm", "rgb.tga", "lzw.tif", "cmyk.tif", "grey_16bit.tif",
    ):  # fmt: skip
        if (PICTURES / name).stat().st_size < 8192:
            shutil.copy(PICTURES / name, out)


if __name__ == "__main__":
    main()
