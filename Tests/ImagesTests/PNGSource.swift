import Images
import Tensors
import TestSupport

/// A PNG picture from its samples, with an encoder and a plain statement of what decoding must give.
struct PNGSource: CustomStringConvertible {
    var colorType: UInt8
    var depth: Int
    var isInterlaced = false
    var width = 11
    var height = 9
    /// Samples of the file, channel by channel within a pixel, row by row.
    var samples: [Int] = []
    var palette: [[Int]] = []
    /// The contents of the tRNS chunk: alphas of palette entries, or the transparent gray or colour.
    var transparency: [Int]?
    /// Further chunks before IDAT.
    var extra: [(String, [UInt8])] = []
    /// Further chunks behind IDAT.
    var behind: [(String, [UInt8])] = []

    var channels: Int { [0: 1, 2: 3, 3: 1, 4: 2, 6: 4][colorType] ?? 0 }

    var description: String {
        "type \(colorType), \(depth) bit\(isInterlaced ? ", interlaced" : "")\(transparency == nil ? "" : ", tRNS")"
    }

    /// Every combination of colour type, depth, interlacing and tRNS that the format has.
    static let all: [PNGSource] = {
        var generator = SplitMix64(state: 3)
        var all: [PNGSource] = []
        let depths: [UInt8: [Int]] = [0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]]
        for (type, depths) in depths.sorted(by: { $0.key < $1.key }) {
            for depth in depths {
                for (isInterlaced, isTransparent) in [(false, false), (true, false), (false, true), (true, true)]
                where !isTransparent || type < 4 {
                    var source = PNGSource(colorType: type, depth: depth, isInterlaced: isInterlaced)
                    source.fill(isTransparent, &generator)
                    all.append(source)
                }
            }
        }
        return all
    }()

    private mutating func fill(_ isTransparent: Bool, _ generator: inout SplitMix64) {
        let count = width * height * channels
        samples = (0..<count).map { _ in Int.random(in: 0..<1 << depth, using: &generator) }
        if colorType == 3 {
            palette = (0..<1 << depth).map { _ in (0..<3).map { _ in Int.random(in: 0...255, using: &generator) } }
            if isTransparent {
                transparency = (0..<max(palette.count - 1, 1)).map { _ in Int.random(in: 0...255, using: &generator) }
            }
        } else if isTransparent {
            let key = Array(samples[0..<channels])
            transparency = key
            // The key again, and beside it a colour that differs in the lowest bit only.
            samples.replaceSubrange(count - channels..<count, with: key)
            samples.replaceSubrange(count - 2 * channels..<count - channels, with: key)
            samples[count - 2 * channels] ^= 1
        }
    }

    /// What decoding must give.
    func expected(_ policy: AlphaPolicy) -> RGBImage {
        func eight(_ value: Int) -> Int {
            depth == 16 ? (value * 255 + 32767) / 65535 : value * 255 / (1 << depth - 1)
        }
        var pixels: [UInt8] = []
        for index in 0..<width * height {
            let stored = Array(samples[index * channels..<(index + 1) * channels])
            var color: [Int]
            var alpha = 255
            switch colorType {
            case 3:
                color = palette[stored[0]]
                if let transparency, stored[0] < transparency.count { alpha = transparency[stored[0]] }
            case 0, 2:
                color = stored.map(eight)
                if stored == transparency { alpha = 0 }
            default:
                color = stored.dropLast().map(eight)
                alpha = eight(stored[channels - 1])
            }
            if color.count == 1 { color = [color[0], color[0], color[0]] }
            let background = policy == .black ? 0.0 : 255
            for value in color {
                let mixed = (Double(value * alpha) + background * Double(255 - alpha)) / 255
                pixels.append(policy == .ignore ? UInt8(value) : UInt8((mixed + 0.5).rounded(.down)))
            }
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    /// The file, its data in stored (not compressed) blocks.
    func encoded() -> [UInt8] {
        var data: [UInt8] = []
        let starts = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        for (x0, y0, dx, dy) in isInterlaced ? starts : [(0, 0, 1, 1)] where x0 < width {
            for y in stride(from: y0, to: height, by: dy) {
                var row: [Int] = []
                for x in stride(from: x0, to: width, by: dx) {
                    let start = (y * width + x) * channels
                    row += samples[start..<start + channels]
                }
                data.append(0)
                data += PNGSource.packed(row, depth)
            }
        }
        var file = PNGFile.signature
        file += PNGFile.header(width, height, depth: depth, colorType: colorType, isInterlaced: isInterlaced)
        if !palette.isEmpty { file += PNGFile.chunk("PLTE", palette.flatMap { $0.map { UInt8($0) } }) }
        if let transparency {
            file += PNGFile.chunk("tRNS", PNGSource.packed(transparency, colorType == 3 ? 8 : 16))
        }
        for (name, content) in extra { file += PNGFile.chunk(name, content) }
        file += PNGFile.chunk("IDAT", PNGFile.stored(data))
        for (name, content) in behind { file += PNGFile.chunk(name, content) }
        return file + PNGFile.chunk("IEND", [])
    }

    private static func packed(_ samples: [Int], _ depth: Int) -> [UInt8] {
        if depth == 16 { return samples.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] } }
        var bytes = [UInt8](repeating: 0, count: (samples.count * depth + 7) / 8)
        for (index, sample) in samples.enumerated() {
            bytes[index * depth / 8] |= UInt8(sample << (8 - depth - index * depth % 8))
        }
        return bytes
    }
}
