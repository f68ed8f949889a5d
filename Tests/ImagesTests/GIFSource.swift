import Images
import Tensors

/// A GIF of one picture from its indexes, with an encoder and a plain statement of what decoding must give.
struct GIFSource: CustomStringConvertible {
    var version = "89a"
    /// The canvas.
    var screen = (width: 11, height: 9)
    /// The picture in it.
    var left = 0
    var top = 0
    var width = 11
    var height = 9
    var isInterlaced = false
    /// Red, green and blue of each entry, as many as a power of 2.
    var globalPalette: [[UInt8]] = []
    var localPalette: [[UInt8]] = []
    var background: UInt8 = 0
    var transparent: UInt8?
    /// The bits of an index, as the codes have it.
    var bits = 8
    /// Whether the table of codes is cleared when it is full.
    var clears = true
    /// Extensions before the picture.
    var extensions: [UInt8] = []
    /// The indexes of the picture, row by row from the top.
    var indexes: [UInt8] = []
    /// The blocks of the codes, instead of the indexes'.
    var data: [UInt8]?
    /// What follows the picture.
    var end: [UInt8] = [0x3B]

    var description: String {
        "GIF\(version), \(width) x \(height) at \(left), \(top)\(isInterlaced ? ", interlaced" : ""), "
            + "\(globalPalette.count) and \(localPalette.count) colours, \(bits) bits"
            + (transparent.map { ", transparent \($0)" } ?? "")
    }

    /// The kinds that the format has.
    static let all: [GIFSource] = {
        var generator = SplitMix64(state: 23)
        var all: [GIFSource] = []
        for bits in 1...8 {
            for isInterlaced in [false, true] {
                for palettes in [(1, 0), (0, 1), (1, 1), (0, 0)] {
                    var source = GIFSource(isInterlaced: isInterlaced, bits: bits)
                    if palettes.0 == 1 { source.globalPalette = palette(1 << bits, &generator) }
                    if palettes.1 == 1 { source.localPalette = palette(1 << bits, &generator) }
                    if bits == 3 || bits == 8 { source.transparent = 2 }
                    all.append(source)
                }
            }
        }
        // Pictures smaller than the canvas, at its edges, and beyond them.
        for (left, top, width, height) in [
            (0, 0, 5, 4), (3, 2, 5, 4), (6, 5, 5, 4), (0, 3, 11, 2), (10, 8, 1, 1), (4, 4, 20, 3), (11, 9, 2, 30),
        ] {
            for transparent in [nil, 1, 255] as [UInt8?] {
                for isInterlaced in [false, true] {
                    var source = GIFSource(isInterlaced: isInterlaced, transparent: transparent, bits: 4)
                    (source.left, source.top, source.width, source.height) = (left, top, width, height)
                    source.globalPalette = palette(16, &generator)
                    source.background = 3
                    all.append(source)
                }
            }
        }
        for height in 1...9 {
            var source = GIFSource(version: "87a", isInterlaced: true, bits: 2)
            (source.height, source.screen.height) = (height, height)
            source.globalPalette = palette(4, &generator)
            all.append(source)
        }
        for index in all.indices { all[index].fill(&generator) }
        // Indexes beyond the palette.
        var few = all[7 * 8]
        few.globalPalette = palette(4, &generator)
        all.append(few)
        return all
    }()

    /// A picture whose codes fill the table, several times.
    static func large(clears: Bool) -> GIFSource {
        var generator = SplitMix64(state: 29)
        var source = GIFSource(screen: (200, 170), width: 200, height: 170, bits: 5, clears: clears)
        source.globalPalette = palette(32, &generator)
        source.fill(&generator)
        return source
    }

    /// Random colours.
    static func palette(_ count: Int, _ generator: inout SplitMix64) -> [[UInt8]] {
        (0..<count).map { _ in (0..<3).map { _ in UInt8.random(in: 0...255, using: &generator) } }
    }

    /// Random indexes in runs, so that codes stand for more than a pixel.
    mutating func fill(_ generator: inout SplitMix64) {
        indexes = []
        while indexes.count < width * height {
            let index = UInt8(Int.random(in: 0..<1 << bits, using: &generator))
            indexes += [UInt8](repeating: index, count: Int.random(in: 1...6, using: &generator))
        }
        indexes = Array(indexes.prefix(width * height))
    }

    /// What decoding must give.
    func expected(_ policy: AlphaPolicy) -> RGBImage {
        let palette = localPalette.isEmpty ? globalPalette : localPalette
        func color(_ index: UInt8) -> [UInt8] {
            if index == transparent, policy != .ignore {
                return [UInt8](repeating: policy == .black ? 0 : 255, count: 3)
            }
            if palette.isEmpty { return [index, index, index] }
            return index < palette.count ? palette[Int(index)] : [0, 0, 0]
        }
        let size = (width: max(screen.width, left + width), height: max(screen.height, top + height))
        var pixels: [UInt8] = []
        for y in 0..<size.height {
            for x in 0..<size.width {
                let isInside = (left..<left + width).contains(x) && (top..<top + height).contains(y)
                pixels += color(isInside ? indexes[(y - top) * width + x - left] : transparent ?? 0)
            }
        }
        return RGBImage(width: size.width, height: size.height, pixels: pixels)
    }

    /// The file.
    func encoded() -> [UInt8] {
        var file = Array("GIF\(version)".utf8)
        for side in [screen.width, screen.height] { file += BMPSource.little(UInt32(side), 2) }
        file += [GIFSource.flags(globalPalette), background, 0] + globalPalette.flatMap { $0 } + extensions
        if let transparent { file += [0x21, 0xF9, 4, 1, 0, 0, transparent, 0] }
        file.append(0x2C)
        for side in [left, top, width, height] { file += BMPSource.little(UInt32(side), 2) }
        file += [GIFSource.flags(localPalette) | (isInterlaced ? 64 : 0)] + localPalette.flatMap { $0 }
        return file + [UInt8(bits)] + (data ?? GIFSource.blocks(GIFSource.packed(codes(), bits))) + end
    }

    private static func flags(_ palette: [[UInt8]]) -> UInt8 {
        palette.isEmpty ? 0 : 0x80 | UInt8(palette.count.trailingZeroBitCount - 1)
    }

    /// The rows in the order of the file.
    private var order: [Int] {
        guard isInterlaced else { return Array(0..<height) }
        return [(0, 8), (4, 8), (2, 4), (1, 2)].flatMap { Array(stride(from: $0.0, to: height, by: $0.1)) }
    }

    /// The codes of the picture, from a clear code to the end code.
    func codes() -> [Int] {
        let clear = 1 << bits
        var codes = [clear]
        var table: [Int: Int] = [:]
        var next = clear + 2
        var last: Int?
        for pixel in order.flatMap({ indexes[$0 * width..<($0 + 1) * width] }) {
            guard let prefix = last else {
                last = Int(pixel)
                continue
            }
            let key = prefix << 8 | Int(pixel)
            if let code = table[key] {
                last = code
                continue
            }
            codes.append(prefix)
            last = Int(pixel)
            if next < 4096 {
                table[key] = next
                next += 1
            } else if clears {
                codes.append(clear)
                table = [:]
                next = clear + 2
            }
        }
        if let last { codes.append(last) }
        return codes + [clear + 1]
    }

    /// Codes as bits, of as many as the reader expects.
    static func packed(_ codes: [Int], _ bits: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var (buffer, count) = (0, 0)
        var (width, next, isFirst) = (bits + 1, 1 << bits + 2, true)
        for code in codes {
            buffer |= (code & (1 << width - 1)) << count
            count += width
            while count >= 8 {
                bytes.append(UInt8(buffer & 255))
                buffer >>= 8
                count -= 8
            }
            if code == 1 << bits {
                (width, next, isFirst) = (bits + 1, 1 << bits + 2, true)
                continue
            }
            if !isFirst, next < 4096 { next += 1 }
            isFirst = false
            if next == 1 << width, width < 12 { width += 1 }
        }
        return count > 0 ? bytes + [UInt8(buffer & 255)] : bytes
    }

    /// Data in blocks of up to 255 bytes, with the empty one at the end.
    static func blocks(_ data: [UInt8], _ length: Int = 255) -> [UInt8] {
        stride(from: 0, to: data.count, by: length).flatMap { start in
            let block = data[start..<min(start + length, data.count)]
            return [UInt8(block.count)] + block
        } + [0]
    }
}
