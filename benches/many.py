"""Many pictures: pictures a second of gradcam against others, in one run, taking turns, on this machine.

Python 3.11, torch (CPU), torchvision, grad-cam 1.5.
Command: python many.py GRADCAM WEIGHTS ARCHITECTURE FOLDER [ROUNDS]

ARCHITECTURE is a torchvision name, of which WEIGHTS, a .pth or .onnx, are those; beside a .onnx lies the .pth of the same name.
Each round runs in turns: a folder in one run, one by one and in groups; one run a picture, for a few of them; pytorch-grad-cam in
batches of 8. All find the top class and write the overlay, and start-up counts in all. Beside wall clock stands processor time (user
and system), which other programs on the machine disturb least. The folder's time, start-up apart, is held against its own forward
passes and against the device's whole work, as the JSON tells them.
"""

import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

PEER = """
import sys, time, pathlib
import numpy as np, torch, torchvision
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
name, weights, folder, out = sys.argv[1:5]
model = getattr(torchvision.models, name)(weights=None)
model.load_state_dict(torch.load(weights)); model.eval()
layer = model.features[29] if name.startswith("vgg") else model.layer4[-1]
mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
paths = sorted(pathlib.Path(folder).iterdir())
with GradCAM(model=model, target_layers=[layer]) as cam:
    for first in range(0, len(paths), 8):
        seen = []
        for path in paths[first:first + 8]:
            picture = Image.open(path).convert("RGB")
            side = min(picture.size)
            left, top = (picture.width - side) // 2, (picture.height - side) // 2
            picture = picture.crop((left, top, left + side, top + side)).resize((224, 224), Image.BILINEAR)
            seen.append(np.float32(picture) / 255)
        batch = torch.from_numpy(np.stack([(s - mean) / std for s in seen]).transpose(0, 3, 1, 2).copy())
        for path, s, heat in zip(paths[first:], seen, cam(input_tensor=batch, targets=None)):
            Image.fromarray(show_cam_on_image(s, heat, use_rgb=True)).save(pathlib.Path(out) / (path.stem + ".jpg"))
"""


def timed(command):
    """Wall and processor seconds of a process, and its output."""
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return numpy.array([time.perf_counter() - began, processor]), done.stdout


def main():
    gradcam, weights, name, folder = sys.argv[1:5]
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    pictures = sorted(pathlib.Path(folder).iterdir())
    few = pictures[: max(1, len(pictures) // 16)]
    ask = [weights, "1", "--outputs", "gradcam", "-q"]
    seconds = {"folder": [], "folder, --batch 4": [], "one run a picture": [], "pytorch-grad-cam": []}
    over = {"its forward passes": [], "the device's work": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as out:
            took, lines = timed([gradcam, folder, *ask, "-o", out, "--json"])
            seconds["folder"].append(took / len(pictures))
            told = [json.loads(line)["timings_ms"] for line in lines.splitlines()]
            rest = took[0] * 1e3 - told[0]["open_device"] - told[0]["set_up"]
            over["its forward passes"].append(rest / sum(t["forward"] for t in told))
            over["the device's work"].append(rest / sum(t["forward"] + t["backward"] for t in told))
        with tempfile.TemporaryDirectory() as out:
            took, _ = timed([gradcam, folder, *ask, "-o", out, "--batch", "4"])
            seconds["folder, --batch 4"].append(took / len(pictures))
        with tempfile.TemporaryDirectory() as out:
            took = sum(timed([gradcam, picture, *ask, "-o", out])[0] for picture in few)
            seconds["one run a picture"].append(took / len(few))
        with tempfile.TemporaryDirectory() as out:
            pth = str(pathlib.Path(weights).with_suffix(".pth"))
            took, _ = timed([sys.executable, "-c", PEER, name, pth, folder, out])
            seconds["pytorch-grad-cam"].append(took / len(pictures))
    ours = numpy.median(seconds["folder"], axis=0)
    for what, each in seconds.items():
        [wall, processor] = numpy.median(each, axis=0)
        print(f"{what:20} {1 / wall:8.2f} pictures/s, {processor:8.2f} processor seconds a picture, "
              f"{wall / ours[0]:6.2f} and {processor / ours[1]:6.2f} of the folder's")
    for what, each in over.items():
        print(f"the folder, start-up apart, takes {statistics.median(each):.2f} of {what}")


if __name__ == "__main__":
    main()
