#!/usr/bin/env python3
"""Compares the pictures that mergevit and Pillow decode, in any folders.

    python3 Tests/ImagesTests/compare_with_pillow.py FOLDER ...      needs: pillow numpy, and `make build`

Prints each file that differs with both results, and a table: format, files, the same pixels, refused by both, others.
What Pillow makes of a file follows docs/preprocessing.md: upright, transparency on white rounded half up, and grays of
12 and 16 bits rounded to 8, which Pillow would cut. The figures on that page are those of Pillow's Tests/images,
image-rs' image and image-tiff, libtiff's test/images, libwebp-test-data and bmpsuite.
"""
import json, os, struct, subprocess, sys, tempfile, warnings
import numpy as np
from PIL import Image, ImageOps

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND = os.environ.get("MERGEVIT_BINARY", f"{ROOT}/.build/release/mergevit")
FORMATS = {"webp": "WebP", "tif": "TIFF", "tiff": "TIFF", "bmp": "BMP", "dib": "BMP", "gif": "GIF", "png": "PNG",
           "jpg": "JPEG", "jpeg": "JPEG"}
warnings.simplefilter("ignore")
Image.MAX_IMAGE_PIXELS = 100_000_000    # Pillow refuses twice as many, as mergevit does


def pillow(path):
    """The pixels, or why there are none."""
    try:
        im = Image.open(path)
        tags = getattr(im, "tag_v2", {})
        bits, is_inverted = tags.get(258, (16,))[0], tags.get(262) == 0
        im.load()
        im = ImageOps.exif_transpose(im)
        if im.mode.startswith("I;16"):
            most = (1 << bits) - 1
            a = np.asarray(im).astype(np.int64)
            a = (a * 255 + most // 2) // most
            return np.repeat((255 - a if is_inverted else a)[..., None], 3, -1).astype(np.uint8)
        if im.mode in ("I", "F"):
            return f"mode {im.mode}"
        if im.mode == "La":
            im = im.convert("LA")
        if not im.has_transparency_data:
            return np.asarray(im.convert("RGB"))
        a = np.asarray(im.convert("RGBA")).astype(np.int64)
        colour, opacity = a[..., :3], a[..., 3:]
        return ((2 * (colour * opacity + 255 * (255 - opacity)) + 255) // 510).astype(np.uint8)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def mergevit(path, scratch):
    out = f"{scratch}/dump.safetensors"
    if os.path.exists(out):
        os.remove(out)
    run = subprocess.run([COMMAND, "inspect", "--base", f"{ROOT}/samples/base", "--image", path, "--dump", out],
                         capture_output=True, timeout=300)
    if run.returncode != 0:
        if run.returncode < 0:
            sys.exit(f"{path}: ended by signal {-run.returncode}")
        return run.stderr.decode(errors="replace").strip().split("\n")[-1].rsplit(f"{path}: ", 1)[-1]
    data = open(out, "rb").read()
    length = struct.unpack("<Q", data[:8])[0]
    rgb = json.loads(data[8:8 + length])["rgb"]
    start, end = rgb["data_offsets"]
    return np.frombuffer(data[8 + length + start:8 + length + end], np.uint8).reshape(rgb["shape"])


def verdict(ours, theirs):
    if isinstance(ours, str) and isinstance(theirs, str):
        return "both refuse", None
    if isinstance(ours, str):
        return "only Pillow reads", ours
    if isinstance(theirs, str):
        return "only mergevit reads", theirs
    if ours.shape != theirs.shape:
        return "differ", f"{ours.shape[1]} x {ours.shape[0]}, Pillow {theirs.shape[1]} x {theirs.shape[0]}"
    gap = np.abs(ours.astype(int) - theirs)
    if not gap.any():
        return "same", None
    kind = "differ by at most 3" if gap.max() <= 3 else "differ"
    return kind, f"by at most {gap.max()}, {gap.mean():.3f} on average"


def main(folders):
    files = sorted(os.path.join(top, name) for folder in folders for top, _, names in os.walk(folder) for name in names
                   if name.rsplit(".", 1)[-1].lower() in FORMATS)
    columns = ["same", "both refuse", "differ by at most 3", "differ", "only mergevit reads", "only Pillow reads"]
    table = {}
    with tempfile.TemporaryDirectory() as scratch:
        for path in files:
            kind, detail = verdict(mergevit(path, scratch), pillow(path))
            row = table.setdefault(FORMATS[path.rsplit(".", 1)[-1].lower()], dict.fromkeys(columns, 0))
            row[kind] += 1
            if detail is not None:
                print(f"{kind}: {path}: {detail}", flush=True)
    print(f"| format | files | {' | '.join(columns)} |")
    for name, row in sorted(table.items()):
        print(f"| {name} | {sum(row.values())} | {' | '.join(str(row[c]) for c in columns)} |")


if __name__ == "__main__":
    main(sys.argv[1:] or sys.exit(__doc__))
