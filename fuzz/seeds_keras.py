"""Seeds for the targets of HDF5 and .keras -> seeds/hdf5, seeds/keras: the smallest networks that Keras saves.

Python 3.11.7, keras 3.15.1, tf_keras 2.21.0, tensorflow-cpu 2.21.0, h5py 3.14.0, numpy 2.4.6. Command: python seeds_keras.py
"""

import os
import shutil
import zipfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
import keras
import numpy as np
import tf_keras

HERE = Path(__file__).resolve().parent


def folder(name):
    path = HERE / "seeds" / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def network(k):
    layers = k.layers
    x = inputs = k.Input((8, 8, 3))
    x = layers.Conv2D(1, 1, activation="relu", name="c")(x)
    x = layers.BatchNormalization(name="n")(x)
    x = layers.GlobalAveragePooling2D(name="m")(x)
    return k.Model(inputs, layers.Dense(2, activation="softmax", name="d")(x))


def main():
    hdf5, archives = folder("hdf5"), folder("keras")
    old = network(tf_keras)
    old.save(hdf5 / "whole.h5")
    old.save_weights(hdf5 / "weights.h5")
    new = network(keras)
    new.save_weights(hdf5 / "keras3.weights.h5")
    for name, how in (("oldest.h5", {}), ("latest.h5", {"libver": "latest"})):
        with h5py.File(hdf5 / name, "w", **how) as file:
            numbers = np.arange(4, dtype="float32").reshape(2, 2)
            file.create_dataset("plain", data=numbers)
            file.create_dataset("packed", data=numbers, chunks=(1, 2), compression="gzip", shuffle=True)
            file.attrs["layer_names"] = [b"plain", b"packed"]
    new.save(archives / "whole.keras")
    with zipfile.ZipFile(archives / "whole.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(archives / "deflated.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)


if __name__ == "__main__":
    main()
