"""One peer's VGG16 forward pass: prints its logits' largest class and its times as JSON. Versions: see compare.py.

python forward.py torch|ncnn-vulkan|ncnn-cpu VGG16.npy PICTURE RUNS
"""

import json
import pathlib
import sys
import tempfile
import time

import numpy as np

import vgg16


def torch_forward(weights, x):
    import torch

    torch.set_num_threads(2)
    module = vgg16.torch_module(weights)
    x = torch.from_numpy(x)[None]

    def run():
        with torch.inference_mode():
            return module(x)[0].numpy()

    return run


def ncnn_forward(weights, x, vulkan):
    import ncnn

    net = ncnn.Net()
    net.opt.use_vulkan_compute = vulkan
    net.opt.num_threads = 2
    for half in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, half, False)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        top = vgg16.write_ncnn(weights, folder)
        net.load_param(str(folder / "vgg16.param"))
        net.load_model(str(folder / "vgg16.bin"))

    def run():
        extractor = net.create_extractor()
        extractor.input("data", ncnn.Mat(x))
        return np.array(extractor.extract(top)[1])

    run.net = net
    return run


def main():
    peer, weights, picture, runs = sys.argv[1:]
    _, x = vgg16.picture(picture)
    if peer == "torch":
        run = torch_forward(weights, x)
    else:
        run = ncnn_forward(weights, x, peer == "ncnn-vulkan")
    logits = run()
    run()
    wall, cpu = [], []
    for _ in range(int(runs)):
        began = time.perf_counter(), time.process_time()
        run()
        wall.append((time.perf_counter() - began[0]) * 1e3)
        cpu.append((time.process_time() - began[1]) * 1e3)
    print(json.dumps({"class": int(logits.argmax()), "wall_ms": wall, "cpu_ms": cpu}))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
