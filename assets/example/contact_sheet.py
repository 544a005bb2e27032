"""All methods on one picture -> methods.jpg beside this script.

Python 3.11.7, pillow 13.0.0. Command: python contact_sheet.py GRADCAM    (two minutes without a GPU)
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile

from PIL import Image, ImageDraw, ImageFont

HERE = pathlib.Path(__file__).resolve().parent
PICTURE = HERE.parent / "cat-and-coffee.png"
TILE, LABEL, COLUMNS = 160, 18, 5
# Fewer passes than the defaults: at this size nobody sees the difference. RISE alone needs many.
FEWER = ["--samples", "12", "--steps", "16", "--channels", "48", "--stride", "24"]
RISE = ["--samples", "200"]


def methods(gradcam):
    """As `gradcam --help` lists them."""
    refused = subprocess.run([gradcam, PICTURE, "-m", "?"], stderr=subprocess.PIPE, text=True).stderr
    return refused.split("[possible values: ")[1].split("]")[0].split(", ")


def explained(gradcam, out, names, options):
    """The overlay of each method."""
    command = [gradcam, PICTURE, "-c", "cat", "--score", "logit", "--outputs", "gradcam", "--json", "-o", out, *options]
    command += [part for name in names for part in ("-m", name)]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    (one,) = told["classes"]
    return {m["method"]: next(iter(m["files"].values())) for m in one["maps"]}


def main():
    gradcam = sys.argv[1]
    names = methods(gradcam)
    with tempfile.TemporaryDirectory() as out:
        files = explained(gradcam, out, [name for name in names if name != "rise"], FEWER)
        files |= explained(gradcam, out, ["rise"], RISE)
        tiles = [(name, Image.open(files[name]).convert("RGB").resize((TILE, TILE))) for name in names]
    rows = math.ceil(len(tiles) / COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + LABEL)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for index, (name, tile) in enumerate(tiles):
        x, y = index % COLUMNS * TILE, index // COLUMNS * (TILE + LABEL)
        sheet.paste(tile, (x, y))
        draw.text((x + TILE // 2, y + TILE + LABEL // 2), name, "black", font, "mm")
    sheet.save(HERE / "methods.jpg", quality=85)


if __name__ == "__main__":
    main()
