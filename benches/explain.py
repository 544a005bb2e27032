"""What `gradcam PICTURE VGG16.npy` does, as a script with PyTorch and pytorch-grad-cam. Versions: see compare.py.

python explain.py PICTURE VGG16.npy OUT_DIR: for the three likeliest classes the heat map, the overlay, the picture lit by
the map and guided backpropagation, 224 x 224, PNG.
"""

import pathlib
import sys

import numpy as np
import torch
from PIL import Image
from pytorch_grad_cam import GradCAM, GuidedBackpropReLUModel
from pytorch_grad_cam.utils.image import show_cam_on_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

import vgg16


def main():
    picture, weights, out = sys.argv[1:]
    out = pathlib.Path(out)
    torch.set_num_threads(2)
    module = vgg16.torch_module(weights)
    rgb, read = vgg16.picture(picture)
    x = torch.from_numpy(read)[None]
    with torch.inference_mode():
        probabilities = module(x)[0].softmax(0)
    classes = probabilities.topk(3).indices.tolist()
    unit = rgb.astype(np.float32) / 255
    pictures = {}
    with GradCAM(model=module, target_layers=[module.features[29]]) as cam:
        for c in classes:
            heat = cam(input_tensor=x, targets=[ClassifierOutputTarget(c)])[0]
            pictures[c, "heatmap"] = np.repeat(heat[:, :, None], 3, axis=2)
            pictures[c, "gradcam"] = show_cam_on_image(unit, heat, use_rgb=True) / 255
            pictures[c, "segmented"] = unit * heat[:, :, None]
    # It replaces the module's ReLUs, so it comes last.
    guided = GuidedBackpropReLUModel(model=module, device=torch.device("cpu"))
    for c in classes:
        gradient = guided(x, target_category=c)[:, :, ::-1]
        low, high = gradient.min(), gradient.max()
        pictures[c, "guided_bprop"] = (gradient - low) / (high - low)
    for (c, suffix), pixels in pictures.items():
        name = f"{pathlib.Path(picture).stem}_{c}_{suffix}.png"
        Image.fromarray(np.uint8(pixels * 255)).save(out / name)
    print(classes)


if __name__ == "__main__":
    main()
