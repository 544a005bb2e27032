"""Seeds of a few hundred bytes for each target -> seeds/. The fixtures of the tests are seeds as well, and larger.

Python 3.11.7, torch 2.15.0 (CPU), numpy 2.4.6, safetensors 0.8.0, onnx 1.23.2. Command: python seeds.py
seeds_keras.py makes those of HDF5 and .keras.
"""

import pickle
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
PICTURES = HERE.parent / "tests" / "fixtures" / "pictures"


def folder(name):
    path = HERE / "seeds" / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def model(nodes, constants, shape, opset):
    value = lambda name, shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    last = nodes[-1].output[0]
    graph = helper.make_graph(nodes, "g", [value("x", shape)], [value(last, [1, 2])], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def planar():
    """As torch exports: channels first, weights as raw data."""
    node = lambda op, out, inputs, **attributes: helper.make_node(op, inputs.split(), [out], **attributes)
    raw = lambda name, *shape: numpy_helper.from_array(np.ones(shape, np.float32), name)
    nodes = [
        node("Conv", "c", "x w b", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", "n", "c b b b b"),
        node("Clip", "r", "n zero"),
        node("MaxPool", "p", "r", kernel_shape=[2, 2], strides=[2, 2]),
        node("Shape", "s", "p"),
        node("Gather", "first", "s at"),
        node("Concat", "to", "first rest", axis=0),
        node("Reshape", "f", "p to"),
        node("Gemm", "d", "f m b", transB=1, alpha=0.5),
        node("Softmax", "y", "d", axis=-1),
    ]
    lists = [helper.make_tensor(name, onnx.TensorProto.INT64, [1], [i]) for name, i in (("at", 0), ("rest", -1))]
    zero = numpy_helper.from_array(np.float32(0), "zero")
    return model(nodes, [raw("w", 2, 3, 3, 3), raw("b", 2), zero, raw("m", 2, 8), *lists], [1, 3, 8, 8], 17)


def turned():
    """As tf2onnx exports: channels last, typed data, opset 9, arithmetic left in the graph."""
    node = lambda op, out, inputs, **attributes: helper.make_node(op, inputs.split(), [out], **attributes)
    typed = lambda name, *shape: helper.make_tensor(name, onnx.TensorProto.FLOAT, shape, [0.5] * int(np.prod(shape)))
    nodes = [
        node("Transpose", "t", "x", perm=[0, 3, 1, 2]),
        node("Conv", "c", "t w", kernel_shape=[1, 1], auto_pad="SAME_UPPER"),
        node("Relu", "r", "c"),
        node("AveragePool", "a", "r", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", "back", "a", perm=[0, 2, 3, 1]),
        node("Reshape", "f", "back to"),
        node("MatMul", "d", "f m"),
        node("Mul", "scaled", "d v"),
        node("Add", "z", "scaled v"),
        node("Sigmoid", "y", "z"),
    ]
    to = helper.make_tensor("to", onnx.TensorProto.INT64, [2], [-1, 8])
    return model(nodes, [typed("w", 2, 3, 1, 1), typed("m", 8, 2), typed("v", 2), to], [1, 4, 4, 3], 9)


def blocks():
    """Blocks of positions as channels, and filters through a batch norm in training mode."""
    node = lambda op, out, inputs, **attributes: helper.make_node(op, inputs.split(), out.split(), **attributes)
    raw = lambda name, *shape: numpy_helper.from_array(np.ones(shape, np.float32), name)
    ints = lambda name, *values: helper.make_tensor(name, onnx.TensorProto.INT64, [len(values)], values)
    nodes = [
        node("Reshape", "cut", "x in_blocks"),
        node("Transpose", "turned", "cut", perm=[0, 3, 5, 1, 2, 4]),
        node("Reshape", "deep", "turned as_channels"),
        node("BatchNormalization", "normed mean variance", "w g g g g", training_mode=1),
        node("Reshape", "filters", "normed as_filters"),
        node("Conv", "c", "deep filters"),
        node("Relu", "r", "c"),
        node("SpaceToDepth", "s", "r", blocksize=2),
        node("Flatten", "f", "s"),
        node("Gemm", "y", "f m"),
    ]
    lists = [ints("in_blocks", 1, 3, 2, 2, 2, 2), ints("as_channels", 1, 12, 2, 2), ints("as_filters", 2, 12, 1, 1)]
    return model(nodes, [raw("w", 1, 2, 12), raw("g", 2), raw("m", 8, 2), *lists], [1, 3, 4, 4], 15)


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

    arrays = {"w": np.asfortranarray(w), "b": b.astype(">f8"), "n": np.int64(3)}
    torch.save({"state_dict": arrays, "epoch": 1}, out / "arrays.pth")
    for protocol in (2, 4, 5):
        (out / f"arrays-p{protocol}.pkl").write_bytes(pickle.dumps(arrays, protocol))

    out = folder("onnx")
    onnx.save(planar(), out / "planar.onnx")
    onnx.save(turned(), out / "turned.onnx")
    onnx.save(blocks(), out / "blocks.onnx")

    out = folder("labels")
    for name, text in {
        "lines.txt": "n01440764 tench, Tinca tinca\ncat\n",
        "quoted.txt": '"cat"\n"a ""dog"""\n',
        "list.json": '["cat", "dog, hound"]',
        "keras.json": '{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}',
        "config.json": '{"id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0, "dog": 1}}',
        "objects.json": '{"categories": [{"id": 1, "name": "dog"}, {"id": 0, "name": "cat", "wnid": "n02121808"}]}',
        "table.csv": 'id,name\n1,"dog, hound"\n0,cat\n',
        "table.tsv": "name\tid\ndog\t1\ncat\t0\n",
        "pairs.txt": "0: cat\n1: dog\n",
    }.items():
        (out / name).write_text(text)

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
