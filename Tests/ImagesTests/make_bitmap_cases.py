#!/usr/bin/env python3
"""Writes Cases/bmp and Cases/gif: small pictures, and what Pillow makes of them.

    python3 Tests/ImagesTests/make_bitmap_cases.py        needs: pillow numpy

NAME.bmp or .gif, NAME.WIDTHxHEIGHT.rgb     encoded, and decoded as RGB8 rows, transparency on white
"""
import io, os, shutil, struct
import numpy as np
from PIL import Image, ImageDraw

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Cases")
rng = np.random.default_rng(19)
W, H = 23, 14


def write(folder, name, data):
    path = f"{OUT}/{folder}/{name}"
    open(f"{path}.{folder}", "wb").write(data)
    with Image.open(io.BytesIO(data)) as im:
        im = im.convert("RGBA" if im.mode == "RGBA" or "transparency" in im.info else "RGB")
    a = np.asarray(im).astype(np.uint32)
    if a.shape[2] == 4:
        a = (2 * (a[..., :3] * a[..., 3:] + 255 * (255 - a[..., 3:])) + 255) // 510
    open(f"{path}.{a.shape[1]}x{a.shape[0]}.rgb", "wb").write(a.astype(np.uint8).tobytes())


def picture():
    im = Image.new("RGB", (W, H), (250, 240, 200))
    draw = ImageDraw.Draw(im)
    for _ in range(9):
        x, y = int(rng.integers(0, W)), int(rng.integers(0, H))
        draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=tuple(int(v) for v in rng.integers(0, 256, 3)))
    return im


def bmp(bits, pixels, palette=b"", compression=0, header=40, masks=(), height=H, width=W):
    """A BMP file of the bytes of its pixels."""
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(pixels), 2835, 2835,
                           len(palette) // 4 if bits <= 8 else 0, 0)
        info += struct.pack(f"<{len(masks)}I", *masks)
        info += bytes(max(0, header - len(info)))
    offset = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + info + palette + pixels


def rows(bits, values, flip=True):
    """Values of whole pixels, from the top, as rows of a file."""
    out = b""
    for row in values[::-1] if flip else values:
        if bits >= 8:
            line = b"".join(int(v).to_bytes(bits // 8, "little") for v in row)
        else:
            text = "".join(format(int(v), f"0{bits}b") for v in row)
            text += "0" * (-len(text) % 8)
            line = bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8))
        out += line + bytes(-len(line) % 4)
    return out


def rle(values, bits):
    """Each row as runs of one value, and as values by themselves, in turn."""
    out = b""
    for y, row in enumerate(values[::-1]):
        x = 0
        while x < len(row):
            n = 1
            while x + n < len(row) and row[x + n] == row[x] and n < 255:
                n += 1
            if n == 1 and len(row) - x >= 4 and y % 2:
                n = min(len(row) - x, 7)
                part = [int(v) for v in row[x:x + n]]
                if bits == 4:
                    part += [0] * (n % 2)
                    part = [a << 4 | b for a, b in zip(part[::2], part[1::2])]
                out += bytes([0, n] + part + [0] * (len(part) % 2))
            else:
                v = int(row[x])
                out += bytes([n, v << 4 | v if bits == 4 else v])
            x += n
        out += b"\0\0" if y < len(values) - 1 else b"\0\1"
    return out


def bmps():
    colours = rng.integers(0, 256, (256, 3), np.uint8)

    def palette(n, padding=b"\0"):
        return b"".join(bytes(c) + padding for c in colours[:n])

    for bits in (1, 4, 8):
        indexes = rng.integers(0, 1 << bits, (H, W))
        write("bmp", f"p{bits}", bmp(bits, rows(bits, indexes), palette(1 << bits)))
        write("bmp", f"p{bits}_os2", bmp(bits, rows(bits, indexes), palette(1 << bits, b""), header=12))
    write("bmp", "p8_v5", bmp(8, rows(8, indexes), palette(256), header=124))
    flat = np.asarray(picture().quantize(14))
    write("bmp", "p4_short", bmp(4, rows(4, flat % 12), palette(12)))
    write("bmp", "p8_beyond", bmp(8, rows(8, np.arange(W * H).reshape(H, W) % 256), palette(200)))
    write("bmp", "p8_down", bmp(8, rows(8, flat, flip=False), palette(14), height=-H))
    write("bmp", "rle4", bmp(4, rle(flat, 4), palette(14), compression=2))
    write("bmp", "rle8", bmp(8, rle(flat, 8), palette(14), compression=1))
    wide = [9, 3] * 6 + [1, 1]
    jumps = bytes([W, 3, 0, 0, 4, 5, 0, 2, 6, 2, 0, 3, 1, 2, 3, 0]) + bytes([0, 0] + [W, 1, 0, 0] * (H - 4) + [0, 1])
    write("bmp", "rle8_jumps", bmp(8, jumps, palette(14), compression=1))
    write("bmp", "rle8_wide", bmp(8, bytes(([W + 40, 7] + wide + [0, 0]) * H + [0, 1]), palette(14), compression=1))
    for name, bits, masks in (("555", 16, (0x7C00, 0x3E0, 0x1F)), ("565", 16, (0xF800, 0x7E0, 0x1F)),
                              ("bgrx", 32, (0xFF0000, 0xFF00, 0xFF)), ("xbgr", 32, (0xFF000000, 0xFF0000, 0xFF00)),
                              ("bgxr", 32, (0xFF000000, 0xFF00, 0xFF))):
        values = rng.integers(0, 1 << bits, (H, W))
        write("bmp", f"masks_{name}", bmp(bits, rows(bits, values), compression=3, masks=masks))
    for name, masks in (("abgr", (0xFF000000, 0xFF0000, 0xFF00, 0xFF)), ("rgba", (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
                        ("bgra", (0xFF0000, 0xFF00, 0xFF, 0xFF000000)), ("none", (0, 0, 0, 0))):
        values = rng.integers(0, 1 << 32, (H, W))
        write("bmp", f"alpha_{name}", bmp(32, rows(32, values), compression=3, masks=masks, header=124))
    for bits in (16, 24, 32):
        write("bmp", f"rgb{bits}", bmp(bits, rows(bits, rng.integers(0, 1 << bits, (H, W)))))
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        out = io.BytesIO()
        picture().convert(mode).save(out, "BMP")
        write("bmp", f"pillow_{mode}", out.getvalue())


def gifs():
    def save(name, im, **options):
        out = io.BytesIO()
        im.save(out, "GIF", **options)
        write("gif", name, out.getvalue())

    for colours in (2, 3, 16, 200):
        im = picture().quantize(colours)
        save(f"c{colours}", im, interlace=0)
        save(f"c{colours}_interlaced", im, interlace=1)
        save(f"c{colours}_transparent", im, transparency=1)
    save("gray", picture().convert("L"))
    save("noise", Image.fromarray(rng.integers(0, 256, (90, 90), np.uint8)).quantize(256))
    first, second = picture().quantize(8), picture().quantize(9)
    save("animation", first, save_all=True, append_images=[second], duration=50, loop=0, disposal=2)
    # A picture with its own palette inside a larger canvas, with and without a transparent colour.
    out = io.BytesIO()
    picture().quantize(16).save(out, "GIF", interlace=0)
    data = out.getvalue()
    start = data.index(b",", 13 + 48)
    body = data[start + 10:]
    descriptor = struct.pack("<HHHHB", 3, 5, W, H, 0x83)
    local = bytes(rng.integers(0, 256, 48, np.uint8))
    for name, control in (("inside", b""), ("inside_transparent", b"!\xF9\4\1\0\0\6\0")):
        for canvas in ((W + 9, H + 8), (10, 10)):
            head = b"GIF89a" + struct.pack("<HH", *canvas) + b"\xF3\7\0" + data[13:61]
            write("gif", f"{name}_{canvas[0]}", head + control + b"," + descriptor + local + body)
    write("gif", "no_palette", b"GIF87a" + struct.pack("<HH", W, H) + b"\0\0\0," + struct.pack("<HHHHB", 0, 0, W, H, 0)
          + body)
    write("gif", "beyond", b"GIF87a" + struct.pack("<HH", W, H) + b"\x80\0\0" + local[:6] + b","
          + struct.pack("<HHHHB", 0, 0, W, H, 0) + body)


if __name__ == "__main__":
    for folder, make in (("bmp", bmps), ("gif", gifs)):
        shutil.rmtree(f"{OUT}/{folder}", ignore_errors=True)
        os.makedirs(f"{OUT}/{folder}")
        make()
