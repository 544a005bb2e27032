"""VGG16.npy of tensorflow-vgg as the peers want it: a torchvision module, an ncnn network. Versions: see compare.py."""

import numpy as np

BLOCKS = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]
CONVOLUTIONS = [
    f"conv{block}_{n}" for block, (_, count) in enumerate(BLOCKS, 1) for n in range(1, count + 1)
]
LINEAR = ["fc6", "fc7", "fc8"]
MEAN_BGR = np.float32([103.939, 116.779, 123.68])


def tensors(path):
    """name -> (weight, bias) in PyTorch's order: outputs first, and for fc6 its inputs as C x H x W."""
    loaded = np.load(path, allow_pickle=True, encoding="latin1").item()
    made = {}
    for name in CONVOLUTIONS:
        weight, bias = loaded[name]
        made[name] = np.ascontiguousarray(weight.transpose(3, 2, 0, 1)), bias
    for name in LINEAR:
        weight, bias = loaded[name]
        if name == "fc6":
            weight = weight.reshape(7, 7, 512, -1).transpose(2, 0, 1, 3).reshape(25088, -1)
        made[name] = np.ascontiguousarray(weight.T), bias
    return made


def torch_module(path):
    import torch
    import torchvision

    module = torchvision.models.vgg16(init_weights=False).eval()
    layers = [layer for layer in module.modules() if hasattr(layer, "weight")]
    with torch.no_grad():
        for layer, (weight, bias) in zip(layers, tensors(path).values(), strict=True):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
    return module


def write_ncnn(path, folder):
    """folder/vgg16.param and vgg16.bin, float32."""
    made = tensors(path)
    lines, top = ["Input data 0 1 data"], "data"

    def add(kind, name, arguments=""):
        nonlocal top
        lines.append(f"{kind} {name} 1 1 {top} {name} {arguments}".rstrip())
        top = name

    for block, (channels, count) in enumerate(BLOCKS, 1):
        for n in range(1, count + 1):
            name = f"conv{block}_{n}"
            add("Convolution", name, f"0={channels} 1=3 4=1 5=1 6={made[name][0].size} 9=1")
        add("Pooling", f"pool{block}", "0=0 1=2 2=2")
    for name in LINEAR:
        weight, bias = made[name]
        add("InnerProduct", name, f"0={bias.size} 1=1 2={weight.size} 9={int(name != 'fc8')}")
    (folder / "vgg16.param").write_text(
        "\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines]) + "\n"
    )
    with open(folder / "vgg16.bin", "wb") as file:
        for weight, bias in made.values():
            file.write(np.uint32(0).tobytes())  # the weights that follow are float32
            file.write(weight.astype("<f4").tobytes())
            file.write(bias.astype("<f4").tobytes())
    return top


def picture(path):
    """The centre square at 224 x 224, RGB, and what the network reads: BGR minus the mean, C x H x W."""
    from PIL import Image, ImageOps

    shown = ImageOps.fit(Image.open(path).convert("RGB"), (224, 224), Image.Resampling.BILINEAR)
    rgb = np.asarray(shown)
    read = (rgb[:, :, ::-1].astype(np.float32) - MEAN_BGR).transpose(2, 0, 1)
    return rgb, np.ascontiguousarray(read)
