import Images

/// An uncompressed TIFF file of any layout, and the picture that it stands for.
struct TIFFSource {
    var photometric = 2
    var depth = 8
    var width = 7
    var height = 5
    /// The types of the samples after the colours; nil for no such tag.
    var extra: [Int]?
    var isSeparate = false
    var isBigEndian = false
    var isBigTIFF = false
    /// Rows of a strip; nil for one strip, and no tag.
    var rowsPerStrip: Int?
    /// The side of tiles, instead of strips.
    var tile: Int?
    var orientation: Int?
    var sampleFormat: Int?
    /// More entries of the directory: tag, type, values.
    var more: [(tag: Int, type: Int, values: [Int])] = []
    /// How many samples a pixel has; nil for its colours and what `extra` lists.
    var sampleCount: Int?

    var colours: Int { [2: 3, 5: 4, 6: 3, 8: 3][photometric] ?? 1 }
    var samples: Int { sampleCount ?? colours + (extra?.count ?? 0) }

    /// The sample of a pixel, a number of `depth` bits.
    func sample(_ x: Int, _ y: Int, _ index: Int) -> Int {
        let noise = (x * 2654 + y * 40503 + index * 9973 + x * y * 31) & 0xFFFF
        // Opacity is often none or full.
        if index == colours, (x + y) % 3 == 0 { return x % 2 == 0 ? 0 : 1 << depth - 1 }
        return noise >> max(0, 16 - depth) & (1 << depth - 1)
    }

    /// The palette's colours, in 16 bits.
    func palette(_ index: Int) -> [Int] { [index * 257 & 0xFFFF, 65535 - index * 100, (index * 7919) & 0xFFFF] }

    // MARK: the file

    /// Samples of a plane, or of all, in a rectangle; what is beyond the picture is 0. Rows begin at a byte.
    private func block(_ left: Int, _ top: Int, _ columns: Int, _ rows: Int, plane: Int?) -> [UInt8] {
        var bytes: [UInt8] = []
        for y in top..<top + rows {
            var (pending, bits) = (0, 0)
            for x in left..<left + columns {
                for index in plane.map({ $0..<$0 + 1 }) ?? 0..<samples {
                    let value = x < width && y < height ? sample(x, y, index) : 0
                    if depth == 16 || depth == 32 {
                        bytes += number(value, bytes: depth / 8)
                        continue
                    }
                    (pending, bits) = (pending << depth | value, bits + depth)
                    while bits >= 8 {
                        bits -= 8
                        bytes.append(UInt8(pending >> bits & 255))
                    }
                }
            }
            if bits > 0 { bytes.append(UInt8(pending << (8 - bits) & 255)) }
        }
        return bytes
    }

    private var blocks: [[UInt8]] {
        let planes: [Int?] = isSeparate ? (0..<samples).map { $0 } : [nil]
        return planes.flatMap { plane -> [[UInt8]] in
            if let tile {
                return stride(from: 0, to: height, by: tile).flatMap { y in
                    stride(from: 0, to: width, by: tile).map { block($0, y, tile, tile, plane: plane) }
                }
            }
            let rows = rowsPerStrip ?? height
            return stride(from: 0, to: height, by: rows).map {
                block(0, $0, width, min(rows, height - $0), plane: plane)
            }
        }
    }

    private func number(_ value: Int, bytes count: Int) -> [UInt8] {
        let little = (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        return isBigEndian ? little.reversed() : little
    }

    /// The file: its header, and what it holds. Smaller copies of the picture are directories after its own.
    func encoded(copies: [TIFFSource] = []) -> [UInt8] {
        let word = isBigTIFF ? 8 : 4
        var file: [UInt8] = isBigEndian ? [0x4D, 0x4D] : [0x49, 0x49]
        file += number(isBigTIFF ? 43 : 42, bytes: 2) + (isBigTIFF ? number(8, bytes: 2) + [0, 0] : [])
        let start = file.count
        file += [UInt8](repeating: 0, count: word)
        var directory = 0
        for var copy in copies.reversed() {
            copy.more.append((254, 4, [1]))
            directory = copy.append(to: &file, next: directory)
        }
        directory = append(to: &file, next: directory)
        file.replaceSubrange(start..<start + word, with: number(directory, bytes: word))
        return file
    }

    /// Adds the pixels, a directory, and the values that do not fit into it; the offset of the directory.
    private func append(to file: inout [UInt8], next: Int) -> Int {
        let word = isBigTIFF ? 8 : 4
        let blocks = blocks
        var offsets: [Int] = []
        for block in blocks {
            offsets.append(file.count)
            file += block
        }
        if file.count % 2 == 1 { file.append(0) }
        var entries: [(tag: Int, type: Int, values: [Int])] = [
            (256, 3, [width]), (257, 3, [height]), (258, 3, [Int](repeating: depth, count: samples)), (259, 3, [1]),
            (262, 3, [photometric]), (277, 3, [samples]), (284, 3, [isSeparate ? 2 : 1]),
        ]
        if let tile {
            entries += [(322, 3, [tile]), (323, 3, [tile]), (324, 4, offsets), (325, 4, blocks.map(\.count))]
        } else {
            entries += [(273, 4, offsets), (279, 4, blocks.map(\.count))]
            if let rowsPerStrip { entries.append((278, 3, [rowsPerStrip])) }
        }
        if let orientation { entries.append((274, 3, [orientation])) }
        if photometric == 3 {
            let colours = (0..<1 << depth).map(palette)
            entries.append((320, 3, (0..<3).flatMap { channel in colours.map { $0[channel] } }))
        }
        if let extra { entries.append((338, 3, extra)) }
        if let sampleFormat { entries.append((339, 3, [Int](repeating: sampleFormat, count: samples))) }
        entries = (entries + more).sorted { $0.tag < $1.tag }
        let place = file.count
        var directory = number(entries.count, bytes: isBigTIFF ? 8 : 2)
        var values: [UInt8] = []
        let end = file.count + directory.count + entries.count * (4 + 2 * word) + word
        for entry in entries {
            let size = entry.type == 1 ? 1 : entry.type == 3 ? 2 : 4
            var value = entry.values.flatMap { number($0, bytes: size) }
            directory += number(entry.tag, bytes: 2) + number(entry.type, bytes: 2)
            directory += number(entry.values.count, bytes: word)
            if value.count > word {
                directory += number(end + values.count, bytes: word)
                values += value + (value.count % 2 == 1 ? [0] : [])
            } else {
                value += [UInt8](repeating: 0, count: word - value.count)
                directory += value
            }
        }
        file += directory + number(next, bytes: word) + values
        if file.count % 2 == 1 { file.append(0) }
        return place
    }

    // MARK: the picture

    /// A sample in 8 bits, rounded.
    private func rounded(_ value: Int) -> Int {
        let most = 1 << depth - 1
        return (value * 255 + most / 2) / most
    }

    private func colour(_ x: Int, _ y: Int) -> [Int] {
        let stored = (0..<samples).map { sample(x, y, $0) }
        switch photometric {
        case 0: return [Int](repeating: 255 - rounded(stored[0]), count: 3)
        case 1: return [Int](repeating: rounded(stored[0]), count: 3)
        case 3: return palette(stored[0]).map { $0 >> 8 }
        case 5:
            let white = 255 - rounded(stored[3])
            return (0..<3).map { white - (rounded(stored[$0]) * white * 2 + 255) / 510 }
        default: return (0..<3).map { rounded(stored[$0]) }
        }
    }

    /// The decoded picture.
    func expected(_ policy: AlphaPolicy) -> RGBImage {
        var pixels: [UInt8] = []
        let kind = extra?.first ?? (photometric == 2 && samples == 4 ? 2 : 0)
        for y in 0..<height {
            for x in 0..<width {
                var colour = colour(x, y)
                if kind != 0 {
                    let opacity = rounded(sample(x, y, colours))
                    if kind == 1 { colour = colour.map { opacity == 0 ? 0 : min(255, $0 * 255 / opacity) } }
                    let background = policy == .black ? 0 : 255
                    if policy != .ignore {
                        colour = colour.map { (2 * ($0 * opacity + background * (255 - opacity)) + 255) / 510 }
                    }
                }
                pixels += colour.map { UInt8($0) }
            }
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    /// Every layout that is decoded.
    static let all: [TIFFSource] = {
        var all: [TIFFSource] = []
        for (photometric, depths) in [
            (0, [1, 2, 4, 8, 12, 16]), (1, [1, 2, 4, 8, 12, 16]), (2, [8, 16]), (3, [1, 2, 4, 8]), (5, [8, 16]),
        ] {
            all += depths.map { TIFFSource(photometric: photometric, depth: $0) }
        }
        for depth in [8, 16] {
            for extra in [[0], [1], [2], [0, 0], [2, 0], [1, 0, 0]] {
                all.append(TIFFSource(depth: depth, extra: extra))
                if depth == 8, extra.count == 1 { all.append(TIFFSource(photometric: 1, extra: extra)) }
            }
            all.append(TIFFSource(photometric: 5, depth: depth, extra: [0]))
            all.append(TIFFSource(depth: depth, sampleCount: 4))
        }
        all.append(TIFFSource(photometric: 3, extra: [2]))
        return all
    }()
}

extension TIFFSource: CustomStringConvertible {
    var description: String {
        "photometric \(photometric), \(samples) x \(depth) bits, extra \(extra.map { "\($0)" } ?? "none")"
    }
}
