import Images
import Tensors

/// A BMP picture from its pixels, with an encoder and a plain statement of what decoding must give.
struct BMPSource: CustomStringConvertible {
    /// The size of the header; 40 is that of most files.
    var header = 40
    var bits: Int
    /// The field for compression: 0 for none, 1 and 2 for RLE, 3 and 6 for masks.
    var compression: UInt32 = 0
    /// The masks of red, green, blue and, if there are four, opacity; of 16 and 32 bits.
    var masks: [UInt32] = []
    var isTopDown = false
    var width = 11
    var height = 9
    var planes = 1
    /// Red, green and blue of each entry.
    var palette: [[UInt8]] = []
    /// How many entries the header says the palette has.
    var statedColors = 0
    /// Unused bytes before the pixels.
    var gap = 0
    /// The pixels as stored, row by row from the top.
    var values: [UInt32] = []
    /// The compressed pixels, instead of those above.
    var data: [UInt8]?

    var description: String {
        let compressed = masks.isEmpty ? "" : ", " + masks.map { String($0, radix: 16) }.joined(separator: " ")
        let order = isTopDown ? ", top-down" : ""
        return "\(bits) bits, header of \(header), \(palette.count) colours\(compressed)\(order)"
    }

    /// The kinds that the format has, without compression.
    static let all: [BMPSource] = {
        var generator = SplitMix64(state: 11)
        var all: [BMPSource] = []
        let headers = [12, 16, 20, 36, 40, 42, 46, 48, 52, 56, 60, 64, 108, 124]
        for header in headers {
            for bits in [1, 2, 4, 8, 16, 24, 32] {
                for isTopDown in header == 12 ? [false] : [false, true] {
                    all.append(BMPSource(header: header, bits: bits, isTopDown: isTopDown))
                }
            }
        }
        // Palettes that are shorter than the pixels could name, and longer.
        for (bits, count) in [(1, 1), (4, 12), (8, 252), (8, 300), (24, 256), (32, 300)] {
            var source = BMPSource(bits: bits)
            source.statedColors = count
            source.gap = count % 7
            all.append(source)
        }
        let masked: [(Int, [UInt32])] = [
            (16, [0x7C00, 0x3E0, 0x1F]), (16, [0xF800, 0x7E0, 0x1F]), (16, [0xF00, 0xF0, 0xF, 0xF000]),
            (16, [0x7C00, 0x3E0, 0x1F, 0x8000]), (16, [0x30, 0xE, 0x1]), (16, [0xFF00, 0xFF, 0]),
            (16, [0x8000, 0x7FC0, 0x30, 0xF]), (24, [0xFF, 0xFF00, 0xFF0000]), (32, [0xFF0000, 0xFF00, 0xFF]),
            (24, [0x3F, 0xFFC0, 0xFF0000]),
            (32, [0xFF000000, 0xFF0000, 0xFF00]), (32, [0xFF, 0xFF00, 0xFF0000, 0xFF000000]),
            (32, [0xFF0000, 0xFF00, 0xFF, 0xFF000000]), (32, [0x3FF0_0000, 0xFFC00, 0x3FF, 0xC000_0000]),
            (32, [0xFFE0_0000, 0x1FFC00, 0x3FF]), (32, [0xFE, 0x01FF_FF00, 0xFE00_0000]), (32, [0xFFFF_FFFF, 0, 0]),
            (32, [0x0003_F000, 0xFC0, 0x3F, 0xFF00_0000]),
        ]
        for (bits, masks) in masked {
            for header in masks.count == 4 ? [40, 56, 108, 124] : [40, 52, 56, 108, 124] {
                var source = BMPSource(header: header, bits: bits, masks: masks, isTopDown: header == 56)
                source.compression = masks.count == 4 && header == 40 ? 6 : 3
                all.append(source)
            }
        }
        for index in all.indices { all[index].fill(&generator) }
        return all
    }()

    /// Random pixels, and a palette if there has to be one.
    mutating func fill(_ generator: inout SplitMix64) {
        let most: UInt32 = bits == 32 ? .max : 1 << UInt32(bits) - 1
        values = (0..<width * height).map { _ in UInt32.random(in: 0...most, using: &generator) }
        guard bits <= 8 || statedColors > 0 else { return }
        palette = (0..<(statedColors > 0 ? statedColors : 1 << bits)).map { _ in
            (0..<3).map { _ in UInt8.random(in: 0...255, using: &generator) }
        }
    }

    /// What decoding must give.
    func expected(_ policy: AlphaPolicy) -> RGBImage {
        let usual: [UInt32] = bits == 16 ? [0x7C00, 0x3E0, 0x1F] : [0xFF0000, 0xFF00, 0xFF]
        let masks = self.masks.isEmpty ? usual : self.masks
        var pixels: [UInt8] = []
        for value in values {
            guard bits > 8 else {
                pixels += value < palette.count ? palette[Int(value)] : [0, 0, 0]
                continue
            }
            let channels = masks.map { BMPSource.sample(value, $0) }
            let alpha = channels.count == 4 && policy != .ignore ? channels[3] : 255
            for color in channels.prefix(3) {
                let mixed = (Double(color * alpha) + (policy == .black ? 0 : 255) * Double(255 - alpha)) / 255
                pixels.append(UInt8((mixed + 0.5).rounded(.down)))
            }
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    /// The bits of a mask, bit by bit, as a share of 255, rounded down.
    private static func sample(_ value: UInt32, _ mask: UInt32) -> Int {
        var (sample, most): (UInt64, UInt64) = (0, 0)
        for bit in (0..<32).reversed() where mask >> bit & 1 == 1 {
            sample = sample << 1 | UInt64(value >> bit & 1)
            most = most << 1 | 1
        }
        return most == 0 ? 0 : Int(sample * 255 / most)
    }

    /// The file.
    func encoded() -> [UInt8] {
        var info = BMPSource.little(UInt32(header), 4)
        if header == 12 {
            info += [width, height, planes, bits].flatMap { BMPSource.little(UInt32($0), 2) }
        } else {
            info += BMPSource.little(UInt32(width), 4)
            info += BMPSource.little(UInt32(truncatingIfNeeded: isTopDown ? -height : height), 4)
            info += [planes, bits].flatMap { BMPSource.little(UInt32($0), 2) }
            info += BMPSource.little(compression, 4) + [UInt8](repeating: 0, count: 12)
            info += BMPSource.little(UInt32(statedColors), 4) + [0, 0, 0, 0]
            info += masks.flatMap { BMPSource.little($0, 4) }
            // Masks follow a header of 40 bytes, and are in longer ones; shorter ones end before other fields.
            let count = header == 40 ? 40 + 4 * masks.count : header
            info = Array(info.prefix(count)) + [UInt8](repeating: 0, count: max(0, count - info.count))
        }
        for color in palette { info += color.reversed() + (header == 12 ? [] : [0]) }
        info += [UInt8](repeating: 0xAA, count: gap)
        let pixels = data ?? rows()
        let start = UInt32(14 + info.count)
        return Array("BM".utf8) + BMPSource.little(start + UInt32(pixels.count), 4) + [0, 0, 0, 0]
            + BMPSource.little(start, 4) + info + pixels
    }

    /// The bytes of a row, without padding.
    var rowBytes: Int { (width * bits + 7) / 8 }

    private func rows() -> [UInt8] {
        var bytes: [UInt8] = []
        for row in 0..<height {
            let y = isTopDown ? row : height - 1 - row
            var line = [UInt8](repeating: 0, count: (rowBytes + 3) / 4 * 4)
            for (x, value) in values[y * width..<(y + 1) * width].enumerated() {
                if bits < 8 {
                    line[x * bits / 8] |= UInt8(value) << (8 - bits - x * bits % 8)
                } else {
                    for byte in 0..<bits / 8 { line[x * bits / 8 + byte] = UInt8(value >> (8 * byte) & 255) }
                }
            }
            bytes += line
        }
        return bytes
    }

    /// A number with its low byte first.
    static func little(_ value: UInt32, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(value >> (8 * $0) & 255) }
    }
}

extension BMPSource {
    /// A picture of 4 or 8 bits in RLE with runs, single pixels, skipped pixels and rows, and all ends.
    ///
    /// Rows below are from the lowest, as in the file. Index 0 is what the file leaves out.
    static func compressed(_ bits: Int) -> BMPSource {
        var source = BMPSource(bits: bits, compression: bits == 4 ? 2 : 1, width: 9, height: 6)
        let last: UInt8 = bits == 4 ? 15 : 255
        source.palette = (0...last).map { index in [index &* 15, 255 - index, index & 3] }
        let stream: [UInt8]
        let rows: [[UInt32]]
        if bits == 8 {
            stream = [
                9, 7, 0, 0,  // a run that fills its row
                0, 5, 1, 2, 3, 4, 5, 0, 4, 8, 0, 0,  // pixels with a byte of padding, and a run
                2, 6, 0, 2, 3, 0, 1, 9, 0, 0,  // three pixels skipped
                1, 3, 0, 2, 4, 2,  // to the fifth column after this pixel, two rows further
                0, 4, 1, 2, 3, 4, 0, 1,  // an even number of pixels; the end of the picture
            ]
            rows = [
                [7, 7, 7, 7, 7, 7, 7, 7, 7], [1, 2, 3, 4, 5, 8, 8, 8, 8], [6, 6, 0, 0, 0, 9, 0, 0, 0],
                [3, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 2, 3, 4],
            ]
        } else {
            stream = [
                9, 0x78, 0, 0,  // alternating
                0, 5, 0x12, 0x34, 0x50, 0, 4, 0x89, 0, 0,
                2, 0x66, 0, 2, 3, 0, 1, 0x9F, 0, 0,
                1, 0x30, 0, 2, 4, 2,
                0, 4, 0x12, 0x34, 0, 1,
            ]
            rows = [
                [7, 8, 7, 8, 7, 8, 7, 8, 7], [1, 2, 3, 4, 5, 8, 9, 8, 9], [6, 6, 0, 0, 0, 9, 0, 0, 0],
                [3, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 2, 3, 4],
            ]
        }
        source.data = stream
        source.values = rows.reversed().flatMap { $0 }
        return source
    }
}
