import Compute
import Tensors
import TestSupport
import Testing

/// Matching and merging of tokens against their readable version.
@Suite struct TokenMatcherTests {
    private struct Scene {
        let tokens, heads, headSize, prefix, width: Int
        /// Rows of queries, keys and values.
        let qkv: [Float]
        let rows: FloatBuffer
        let sizes: TokenSizes

        init(tokens: Int, heads: Int = 2, headSize: Int = 20, prefix: Int = 1, seed: UInt64 = 1) {
            (self.tokens, self.heads, self.headSize, self.prefix) = (tokens, heads, headSize, prefix)
            width = heads * headSize
            var noise = Noise(state: seed)
            qkv = noise.values((tokens + prefix) * 3 * width)
            rows = FloatBuffer(noise.values((tokens + prefix) * width))
            sizes = TokenSizes(tokens: tokens + prefix, headSize: headSize)
        }

        func row(_ index: Int) -> [Float] { Array(rows.elements[index * width..<(index + 1) * width]) }

        func run(_ matcher: TokenMatcher, _ keys: [Float]? = nil, type: OperandType = .f32) throws {
            let values = keys ?? qkv
            let buffer = NumberBuffer(type, count: values.count)
            buffer.set(values)
            let products = FloatBuffer(count: (tokens + 1) / 2 * (tokens / 2))
            try matcher.bind(
                keys: (buffer, prefix * 3 * width + width, 3 * width), rows: rows, width: width, prefix: prefix,
                sizes, products: products, scratch: FloatBuffer(count: matcher.scratchCount))()
        }

        func matcher(_ merged: Int) throws -> TokenMatcher {
            try TokenMatcher(
                KernelEngine(), tokens: tokens, merged: merged, heads: heads, headSize: headSize, largestSize: tokens)
        }
    }

    @Test(arguments: [(2, 1), (3, 1), (7, 3), (16, 5), (33, 16), (196, 40)])
    func theMostAlikeAreMerged(_ tokens: Int, _ merged: Int) throws {
        for type in [OperandType.f32, .bf16] {
            let scene = Scene(tokens: tokens)
            // Keys that bf16 holds exactly, so that both find the same.
            let keys = scene.qkv.map { Float(bitPattern: $0.bitPattern & 0xFFFF_0000) }
            func key(_ token: Int) -> [Double] {
                (0..<scene.headSize).map { channel in
                    (0..<scene.heads).reduce(0) {
                        $0
                            + Double(
                                keys[
                                    (scene.prefix + token) * 3 * scene.width + scene.width + $1 * scene.headSize
                                        + channel])
                    }
                }
            }
            func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
            var matches: [(candidate: Int, other: Int, cosine: Double)] = []
            for candidate in stride(from: 0, to: tokens, by: 2) {
                let own = key(candidate)
                let all = stride(from: 1, to: tokens, by: 2).map { other in
                    let theirs = key(other)
                    return (candidate, other, dot(own, theirs) / (dot(own, own) * dot(theirs, theirs)).squareRoot())
                }
                guard let best = all.max(by: { $0.2 < $1.2 }) else { continue }
                matches.append(best)
            }
            let chosen = matches.sorted { $0.cosine > $1.cosine }.prefix(merged)
            var expected: [(values: [Double], size: Double)] = (0..<tokens + 1).map {
                (scene.row($0).map(Double.init), 1)
            }
            for (candidate, other, _) in chosen.sorted(by: { $0.candidate < $1.candidate }) {
                let (one, two) = (expected[1 + candidate], expected[1 + other])
                let size = one.size + two.size
                expected[1 + other].size = size
                expected[1 + other].values = zip(one.values, two.values).map { ($0 * one.size + $1 * two.size) / size }
            }
            for candidate in chosen.map(\.candidate).sorted(by: >) { expected.remove(at: 1 + candidate) }
            try scene.run(scene.matcher(merged), keys, type: type)
            for (index, token) in expected.enumerated() {
                #expect(zip(scene.row(index), token.values).allSatisfy { abs(Double($0) - $1) < 1e-5 })
                #expect(Double(scene.sizes.sizes.base[index]) == token.size)
            }
            #expect(scene.sizes.logarithms.elements[0] == 0)
        }
    }

    /// Of equal keys the first candidates are merged, all into the first of the others.
    @Test func tiesAreDecidedByPosition() throws {
        let scene = Scene(tokens: 9)
        let before = (0..<10).map { scene.row($0) }
        let keys = [Float](repeating: 0.25, count: scene.qkv.count)
        try scene.run(scene.matcher(3), keys)
        #expect(scene.row(0) == before[0])
        // Tokens 0, 2 and 4 are in token 1, with which they begin.
        #expect(Array(scene.sizes.sizes.elements.prefix(7)) == [1, 4, 1, 1, 1, 1, 1])
        #expect((2..<7).map { scene.row($0) } == [4, 6, 7, 8, 9].map { before[$0] })
        let mean = (0..<scene.width).map { channel -> Float in
            let sum: Float = [1, 2, 3, 5].reduce(0) { $0 + before[$1][channel] }
            return sum / 4
        }
        #expect(zip(scene.row(1), mean).allSatisfy { abs($0 - $1) < 1e-6 })
    }

    /// Sizes add up over blocks, and a merged token counts as often as it is large.
    @Test func sizesAddUp() throws {
        let scene = Scene(tokens: 12)
        let sum = (0..<scene.width).map { channel in
            (1...12).reduce(0.0) { $0 + Double(scene.row($1)[channel]) }
        }
        try scene.run(scene.matcher(5))
        let second = try TokenMatcher(
            KernelEngine(), tokens: 7, merged: 3, heads: scene.heads, headSize: scene.headSize, largestSize: 12)
        try scene.run(second)
        #expect(scene.sizes.sizes.elements[1...4].reduce(0, +) == 12)
        for channel in 0..<scene.width {
            let weighted = (1...4).reduce(0.0) {
                $0 + Double(scene.sizes.sizes.base[$1]) * Double(scene.row($1)[channel])
            }
            #expect(abs(weighted - sum[channel]) < 1e-4)
        }
        scene.sizes.reset()
        #expect(scene.sizes.sizes.elements.allSatisfy { $0 == 1 })
        #expect(scene.sizes.logarithms.elements.allSatisfy { $0 == 0 })
    }

    /// Numbers that are not finite neither trap nor reach other tokens' places.
    @Test func anyNumbersAreTaken() throws {
        for value in [Float.nan, .infinity, 0] {
            let scene = Scene(tokens: 10)
            try scene.run(scene.matcher(4), [Float](repeating: value, count: scene.qkv.count))
            #expect(scene.sizes.sizes.elements[1...6].reduce(0, +) == 10)
        }
    }
}
