/// How a stored picture has to be turned to be upright: the values of EXIF's tag 0x0112.
///
/// The readers take bytes from strangers: whatever does not make sense means upright.
enum Orientation: Int, CaseIterable {
    case upright = 1
    case mirrored, upsideDown, flipped, transposed, quarterRight, transversed, quarterLeft

    /// Whether width and height change places.
    var swapsSides: Bool { rawValue >= Orientation.transposed.rawValue }

    /// Whether going along a stored row from its left is going backwards, to the left or up, in the upright picture.
    var reversesRows: Bool {
        [.mirrored, .upsideDown, .transversed, .quarterLeft].contains(self)
    }

    /// Whether going down a stored column is going backwards, up or to the left, in the upright picture.
    var reversesColumns: Bool {
        [.upsideDown, .flipped, .quarterRight, .transversed].contains(self)
    }

    /// The orientation in a JPEG file: that of the first APP1 segment holding EXIF.
    init(jpeg bytes: UnsafeRawBufferPointer) {
        self = .upright
        var position = 2
        while let marker = Orientation.nextMarker(bytes, &position) {
            switch marker {
            case 0x01, 0xD0...0xD8: continue
            case 0xD9, 0xDA: return
            default: break
            }
            guard position + 2 <= bytes.count else { return }
            let length = Int(bytes[position]) << 8 | Int(bytes[position + 1])
            guard length >= 2, position + length <= bytes.count else { return }
            let segment = bytes[position + 2..<position + length]
            if marker == 0xE1, segment.starts(with: [0x45, 0x78, 0x69, 0x66, 0, 0]) {
                self = Orientation(tiff: UnsafeRawBufferPointer(rebasing: segment.dropFirst(6)))
                return
            }
            position += length
        }
    }

    private static func nextMarker(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) -> UInt8? {
        while position < bytes.count, bytes[position] != 0xFF { position += 1 }
        while position < bytes.count, bytes[position] == 0xFF { position += 1 }
        guard position < bytes.count else { return nil }
        position += 1
        return bytes[position - 1]
    }

    /// The orientation in a TIFF structure, which is what EXIF data is: only the first directory is read, and no
    /// offset but the one to it is followed.
    init(tiff bytes: UnsafeRawBufferPointer) {
        self = .upright
        let isLittleEndian: Bool
        switch bytes.prefix(4) {
        case let start where start.elementsEqual([0x49, 0x49, 0x2A, 0]): isLittleEndian = true
        case let start where start.elementsEqual([0x4D, 0x4D, 0, 0x2A]): isLittleEndian = false
        default: return
        }
        func number(at offset: Int, bytes count: Int) -> Int? {
            guard offset >= 0, offset <= bytes.count - count else { return nil }
            var value = 0
            for index in 0..<count {
                value = value << 8 | Int(bytes[offset + (isLittleEndian ? count - 1 - index : index)])
            }
            return value
        }
        guard let directory = number(at: 4, bytes: 4), let entries = number(at: directory, bytes: 2) else { return }
        for index in 0..<entries {
            let entry = directory + 2 + index * 12
            // A directory that is cut short keeps what came before, and the last of several values holds, as in Pillow.
            guard entry + 12 <= bytes.count else { return }
            guard number(at: entry, bytes: 2) == 0x0112, number(at: entry + 4, bytes: 4) == 1 else { continue }
            let value: Int?
            switch number(at: entry + 2, bytes: 2) {
            case 1: value = number(at: entry + 8, bytes: 1)
            case 3: value = number(at: entry + 8, bytes: 2)
            case 4: value = number(at: entry + 8, bytes: 4)
            default: value = nil
            }
            self = value.flatMap(Orientation.init(rawValue:)) ?? .upright
        }
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
                // Square tiles, since a transposition walks one of the two pictures across its rows.
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
