/// How a stored picture must be turned to be upright: the values of EXIF tag 0x0112 and of XMP's `tiff:Orientation`.
///
/// The input is untrusted: whatever is invalid means upright.
enum Orientation: Int, CaseIterable {
    case upright = 1
    case mirrored, upsideDown, flipped, transposed, quarterRight, transversed, quarterLeft

    /// Whether width and height are swapped.
    var swapsSides: Bool { rawValue >= Orientation.transposed.rawValue }

    /// Whether a stored row, read from its left, goes to the left or up in the upright picture.
    var reversesRows: Bool {
        [.mirrored, .upsideDown, .transversed, .quarterLeft].contains(self)
    }

    /// Whether a stored column, read from its top, goes up or to the left in the upright picture.
    var reversesColumns: Bool {
        [.upsideDown, .flipped, .quarterRight, .transversed].contains(self)
    }
}

extension RGBImage {
    /// The picture turned upright.
    func turned(from orientation: Orientation) -> RGBImage {
        if orientation == .upright { return self }
        let (w, h) = (width, height)
        // Pixel (x, y) of the result is the stored pixel at origin + x * right + y * down.
        let origin: Int
        let right: Int
        let down: Int
        switch orientation {
        case .upright: (origin, right, down) = (0, 1, w)
        case .mirrored: (origin, right, down) = (w - 1, -1, w)
        case .upsideDown: (origin, right, down) = (w * h - 1, -1, -w)
        case .flipped: (origin, right, down) = (w * (h - 1), 1, -w)
        case .transposed: (origin, right, down) = (0, w, 1)
        case .quarterRight: (origin, right, down) = (w * (h - 1), -w, 1)
        case .transversed: (origin, right, down) = (w * h - 1, -w, -1)
        case .quarterLeft: (origin, right, down) = (w - 1, w, -1)
        }
        let (newWidth, newHeight) = orientation.swapsSides ? (h, w) : (w, h)
        let turned = [UInt8](unsafeUninitializedCapacity: pixels.count) { buffer, initialized in
            pixels.withUnsafeBufferPointer { source in
                guard let from = source.baseAddress, let to = buffer.baseAddress else { return }
                // Square tiles, since a transposition reads one of the two pictures across its rows.
                let tile = 32
                for top in stride(from: 0, to: newHeight, by: tile) {
                    for left in stride(from: 0, to: newWidth, by: tile) {
                        for y in top..<min(top + tile, newHeight) {
                            var stored = from + 3 * (origin + left * right + y * down)
                            var result = to + 3 * (y * newWidth + left)
                            for _ in left..<min(left + tile, newWidth) {
                                result[0] = stored[0]
                                result[1] = stored[1]
                                result[2] = stored[2]
                                stored += 3 * right
                                result += 3
                            }
                        }
                    }
                }
            }
            initialized = pixels.count
        }
        return RGBImage(width: newWidth, height: newHeight, pixels: turned)
    }
}

extension ImageSize {
    /// The size of the upright picture. Its own inverse.
    func turned(from orientation: Orientation) -> ImageSize {
        orientation.swapsSides ? ImageSize(height: width, width: height) : self
    }
}
