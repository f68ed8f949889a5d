#!/usr/bin/env python3
"""Writes Cases/webp and Cases/tiff: small pictures in every coding, and what Pillow makes of them.

    python3 Tests/ImagesTests/make_format_cases.py     needs: pillow numpy, and webpmux, tiffcp

NAME.webp, NAME.tif            encoded
NAME.WIDTHxHEIGHT.rgb          decoded as upright RGB8 rows, transparency on white
NAME-ignore.WIDTHxHEIGHT.rgb   the same without transparency, where the file has some
Uncompressed TIFF files of every layout are made by TIFFSource.swift.
"""
import io, os, shutil, struct, subprocess, tempfile, zlib
import numpy as np
import PIL
from PIL import Image, ImageOps

HERE = os.path.dirname(os.path.abspath(__file__))
photo = Image.frombytes("RGB", (61, 47), open(f"{HERE}/Cases/resize/photo.61x47.rgb", "rb").read()).resize((40, 30))
W, H = photo.size
y, x = np.mgrid[0:H, 0:W]
alpha = Image.fromarray(((x * 13 + y * 7) % 256).astype(np.uint8))
scratch = tempfile.mkdtemp()


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def expected(data):
    """The pixels with transparency on white, rounded half up, and without it."""
    im = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if im.mode.startswith("I;16"):
        gray = (np.asarray(im).astype(np.int64) * 255 + 32767) // 65535
        return np.repeat(gray[..., None], 3, -1), None
    if not im.has_transparency_data:
        return np.asarray(im.convert("RGB")), None
    a = np.asarray(im.convert("RGBA")).astype(np.int64)
    colour, opacity = a[..., :3], a[..., 3:]
    return (2 * (colour * opacity + 255 * (255 - opacity)) + 255) // 510, colour


def write(folder, name, data):
    path = f"{HERE}/Cases/{folder}/{name}"
    open(f"{path}.{'tif' if folder == 'tiff' else folder}", "wb").write(data)
    for kind, a in zip(("", "-ignore"), expected(data)):
        if a is not None:
            h, w = a.shape[:2]
            open(f"{path}{kind}.{w}x{h}.rgb", "wb").write(a.astype(np.uint8).tobytes())


def encode(im, kind, **options):
    out = io.BytesIO()
    im.save(out, kind, **options)
    return out.getvalue()


def by_tool(data, *command):
    """What a program makes of a file; it gets the names of the old and the new one last."""
    old, new = f"{scratch}/old", f"{scratch}/new"
    open(old, "wb").write(data)
    run(*command, old, new)
    return open(new, "rb").read()


def exif(value):
    return b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0" + bytes([value]) + b"\0\0\0\0\0\0"


def webp():
    rgba = photo.copy()
    rgba.putalpha(alpha)
    for name, im, options in [
            ("lossy", photo, dict(quality=75)), ("low", photo, dict(quality=5)),
            ("lossless", photo, dict(lossless=True)), ("alpha", rgba, dict(quality=75)),
            ("alpha_raw", rgba, dict(quality=75, alpha_quality=20)),
            ("alpha_lossless", rgba, dict(lossless=True, exact=True)),
            ("palette", photo.quantize(9).convert("RGB"), dict(lossless=True)),
            ("odd", photo.resize((17, 1)), dict(quality=60)), ("tiny", photo.resize((9, 7)), dict(quality=60)),
            ("tiny_lossless", photo.resize((9, 7)), dict(lossless=True))]:
        write("webp", name, encode(im, "WEBP", method=6, **options))
    for value in range(1, 9):
        data = encode(photo.resize((9, 7)), "WEBP", lossless=True,
                      exif=(b"Exif\0\0" if value % 2 else b"") + exif(value))
        write("webp", f"exif{value}", data)
    # What the documents call XMP: Pillow reads this prefix and these quotes.
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    write("webp", "xmp", encode(photo.resize((9, 7)), "WEBP", lossless=True, xmp=xmp))
    # Animations: of the whole canvas, and of frames that cover a part of it.
    for name, im in (("animated", photo), ("animated_alpha", rgba)):
        write("webp", name, encode(im, "WEBP", save_all=True, append_images=[im.rotate(180)], quality=70))
        frame = f"{scratch}/frame.webp"
        open(frame, "wb").write(encode(im.resize((16, 10)), "WEBP", quality=80))
        large = f"{scratch}/large.webp"
        open(large, "wb").write(encode(im, "WEBP", quality=80))
        run("webpmux", "-frame", frame, "+100+6+8", "-frame", large, "+100", "-o", f"{scratch}/all.webp")
        write("webp", name + "_part", open(f"{scratch}/all.webp", "rb").read())


def ycbcr(across, down):
    """A file of YCbCr in one strip: units of across x down samples of Y, one of Cb and one of Cr, in deflate."""
    planes = np.asarray(photo.convert("YCbCr"))
    padded = np.pad(planes, ((0, -H % down), (0, -W % across), (0, 0)), "edge")
    units = bytearray()
    for top in range(0, H, down):
        for left in range(0, W, across):
            block = padded[top:top + down, left:left + across]
            units += bytes(block[..., 0].flatten()) + bytes(int(block[..., c].mean()) for c in (1, 2))
    data = zlib.compress(bytes(units), 9)
    entries = [(256, 3, 1, W), (257, 3, 1, H), (258, 3, 3, 0), (259, 3, 1, 8), (262, 3, 1, 6), (273, 4, 1, 0),
               (277, 3, 1, 3), (278, 3, 1, H), (279, 4, 1, len(data)), (530, 3, 2, across | down << 16)]
    end = 8 + 2 + 12 * len(entries) + 4
    values = {258: end, 273: end + 6}
    directory = b"".join(struct.pack("<HHII", tag, kind, count, values.get(tag, value))
                         for tag, kind, count, value in entries)
    return (b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + struct.pack("<IHHH", 0, 8, 8, 8) + data)


def tiff():
    black = photo.convert("1")
    for name, im, compression in [
            ("lzw", photo, "tiff_lzw"), ("deflate", photo, "tiff_deflate"), ("adobe", photo, "tiff_adobe_deflate"),
            ("packbits", photo, "packbits"), ("zstd", photo, "zstd"), ("lzma", photo, "lzma"),
            ("rle", black, "tiff_ccitt"), ("group3", black, "group3"), ("group4", black, "group4"),
            ("bits", black, "packbits"), ("gray", photo.convert("L"), "tiff_lzw"),
            ("palette", photo.quantize(100), "tiff_lzw"), ("cmyk", photo.convert("CMYK"), "tiff_lzw"),
            ("jpeg_gray", photo.convert("L"), "jpeg"), ("jpeg_cmyk", photo.convert("CMYK"), "jpeg")]:
        write("tiff", name, encode(im, "TIFF", compression=compression))
    gray16 = Image.fromarray((x * 1601 + y * 17 + np.asarray(photo.convert("L")) * 3).astype(np.uint16))
    write("tiff", "gray16", encode(gray16, "TIFF", compression="tiff_deflate"))
    rgba = photo.copy()
    rgba.putalpha(alpha)
    write("tiff", "rgba", encode(rgba, "TIFF", compression="tiff_lzw"))
    for value in range(1, 9):
        data = encode(photo.resize((9, 7)), "TIFF", compression="tiff_lzw", tiffinfo={274: value})
        write("tiff", f"orientation{value}", data)
    raw = encode(photo, "TIFF")
    for name, options in [
            ("predictor", "-c lzw:2"), ("jpeg", "-c jpeg:r -r 16"), ("jpeg_rgb", "-c jpeg -r 16"),
            ("jpeg_tiles", "-c jpeg:r -t -w 16 -l 32"), ("tiles", "-c zip:2 -t -w 16 -l 16"),
            ("planar_strips", "-c lzw -p separate -r 7"), ("planar_tiles", "-c zip -p separate -t -w 32 -l 16"),
            ("big", "-8 -c lzw"), ("big_endian", "-B -c zip"), ("reversed", "-f lsb2msb -c lzw"),
            ("rows", "-c packbits -r 1")]:
        write("tiff", name, by_tool(raw, "tiffcp", *options.split()))
    for across, down in ((1, 1), (2, 2), (4, 1)):
        write("tiff", f"ycbcr{across}{down}", ycbcr(across, down))
    # A page after this one does not count.
    pages = io.BytesIO()
    photo.resize((9, 7)).save(pages, "TIFF", save_all=True, append_images=[photo], compression="tiff_lzw")
    write("tiff", "pages", pages.getvalue())


if __name__ == "__main__":
    for folder in ("webp", "tiff"):
        shutil.rmtree(f"{HERE}/Cases/{folder}", ignore_errors=True)
        os.makedirs(f"{HERE}/Cases/{folder}")
    webp()
    tiff()
    shutil.rmtree(scratch)
