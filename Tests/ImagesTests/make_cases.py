#!/usr/bin/env python3
"""Writes Cases/: small pictures, and what Pillow and transformers make of them.

    python3 Tests/ImagesTests/make_cases.py        needs: pillow numpy torch torchvision transformers

jpeg/NAME.jpg, jpeg/NAME.WIDTHxHEIGHT.rgb          encoded, and decoded as upright RGB8 rows
resize/photo.61x47.rgb, resize/FILTER.WxH.rgb      a picture, and Pillow's resizes of it
torchvision/FILTER.WxH.rgb                         torchvision's resizes of it
torchvision/NAME.HEIGHTxWIDTH.f32                  the pixel values with preprocess/NAME.json by torchvision
damage/many_scans.jpg                              568 scans, a bit of a coefficient each; made with libjpeg's scan_info
preprocess/NAME.json, NAME.HEIGHTxWIDTH.f32        settings, and the pixel values (3, H, W) of that picture
"""
import io, json, os, shutil, struct
import numpy as np
import PIL
from PIL import Image, ImageOps

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Cases")
rng = np.random.default_rng(7)


def draw(w, h):
    y, x = np.mgrid[0:h, 0:w].astype(float)
    a = np.stack([x / w * 255, y / h * 255, (x + y) / (w + h) * 255], -1)
    for _ in range(6):
        m = np.hypot(x - rng.uniform(0, w), y - rng.uniform(0, h)) < rng.uniform(2, w / 4)
        a[m] = rng.uniform(0, 255, 3)
    return (a + rng.normal(0, 6, a.shape)).clip(0, 255).astype(np.uint8)


def raw(path, a):
    h, w = a.shape[:2]
    open(f"{path}.{w}x{h}.rgb", "wb").write(np.ascontiguousarray(a, dtype=np.uint8).tobytes())


def jpegs(photo):
    d = f"{OUT}/jpeg"
    os.makedirs(d)

    def write(name, data):
        open(f"{d}/{name}.jpg", "wb").write(data)
        raw(f"{d}/{name}", np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")))

    def encode(im, **kw):
        out = io.BytesIO()
        im.save(out, "JPEG", **kw)
        return out.getvalue()

    for name, kw in {"444": dict(subsampling=0), "422": dict(subsampling=1), "420": dict(subsampling=2),
                     "progressive": dict(progressive=True, quality=70), "restarts": dict(restart_marker_rows=1),
                     "rgb": dict(keep_rgb=True), "optimized": dict(optimize=True, quality=40)}.items():
        write(name, encode(photo, **({"quality": 88} | kw)))
    write("gray", encode(photo.convert("L"), quality=80))
    cmyk = encode(photo.convert("CMYK"), quality=90)
    write("cmyk", cmyk)
    adobe = cmyk.index(b"Adobe")   # byte 11 of the segment is the transform: 2 makes the same bytes YCCK
    write("ycck", cmyk[:adobe + 11] + b"\2" + cmyk[adobe + 12:])
    write("tiny", encode(photo.resize((16, 12)), quality=60))
    write("tiny_progressive", encode(photo.resize((16, 12)), quality=60, progressive=True))
    small = photo.resize((23, 17))
    for o in range(1, 9):
        exif = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHH", 0x0112, 3, 1, o, 0) + b"\0\0\0\0" if o % 2 else \
            b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHIHH", 0x0112, 3, 1, o, 0) + b"\0\0\0\0"
        write(f"exif{o}", encode(small, quality=85, exif=b"Exif\0\0" + exif))


def resizes(photo):
    d = f"{OUT}/resize"
    os.makedirs(d)
    raw(f"{d}/photo", np.asarray(photo))
    filters = dict(nearest=0, lanczos=1, bilinear=2, bicubic=3, box=4, hamming=5)
    for name, k in filters.items():   # 58x9 and 70x20 are resized vertically first
        for size in ((32, 32), (61, 20), (17, 47), (90, 71), (1, 1), (7, 60), (58, 9), (70, 20), (31, 5)):
            raw(f"{d}/{name}", np.asarray(photo.resize(size, k)))


def torchvision_resizes(photo):
    import torch
    from torchvision.transforms.v2 import InterpolationMode, functional
    os.makedirs(f"{OUT}/torchvision")
    pixels = torch.from_numpy(np.asarray(photo).copy()).permute(2, 0, 1)
    for name in ("nearest", "lanczos", "bilinear", "bicubic"):    # box and hamming are not there for tensors
        for w, h in ((32, 32), (61, 20), (17, 47), (90, 71), (1, 1), (7, 60), (58, 9), (70, 20), (31, 5)):
            mode = InterpolationMode.NEAREST_EXACT if name == "nearest" else getattr(InterpolationMode, name.upper())
            resized = functional.resize(pixels, [h, w], interpolation=mode, antialias=True)
            raw(f"{OUT}/torchvision/{name}", resized.permute(1, 2, 0).numpy())


def preprocess(photo):
    import torch, transformers
    d = f"{OUT}/preprocess"
    os.makedirs(d)
    cases = {"vit": ("ViT", dict(size=dict(height=24, width=32))),
             "deit": ("DeiT", dict(size=36, crop_size=32)),
             "dinov2": ("Bit", dict(size=dict(shortest_edge=33), crop_size=dict(height=28, width=28))),
             "clip": ("CLIP", dict(size=20, crop_size=25)),      # 20 x 25 is padded above and below
             "siglip": ("Siglip", dict(size=dict(height=16, width=16))),
             "padded": ("ViT", dict(do_resize=False, do_center_crop=True, crop_size=dict(height=50, width=64))),
             "raw": ("ViT", dict(size=8, do_rescale=False, do_normalize=False)),
             "shortest": ("ViT", dict(size=dict(shortest_edge=20), resample=5, do_normalize=False))}
    for name, (cls, settings) in cases.items():
        p = getattr(transformers, f"{cls}ImageProcessorPil")(**settings)
        v = np.asarray(p(photo, return_tensors="np")["pixel_values"][0], np.float32)
        open(f"{d}/{name}.{v.shape[1]}x{v.shape[2]}.f32", "wb").write(v.tobytes())
        if settings.get("resample") != 5:    # torchvision has no hamming
            t = getattr(transformers, f"{cls}ImageProcessor")(**settings)
            v = t(photo, return_tensors="pt")["pixel_values"][0].numpy().astype(np.float32)
            open(f"{OUT}/torchvision/{name}.{v.shape[1]}x{v.shape[2]}.f32", "wb").write(v.tobytes())
        json.dump({"image_processor_type": f"{cls}ImageProcessor", **settings}, open(f"{d}/{name}.json", "w"))


if __name__ == "__main__":
    for folder in ("jpeg", "resize", "torchvision", "preprocess"):
        shutil.rmtree(f"{OUT}/{folder}", ignore_errors=True)
    photo = Image.fromarray(draw(61, 47))
    jpegs(photo)
    resizes(photo)
    torchvision_resizes(photo)
    preprocess(photo)
    open(f"{OUT}/README", "w").write(f"Written by make_cases.py with Pillow {PIL.__version__}.\n")
