import Compute
import Tensors

// The pass over task streams on a page, for a group of B images of which the shared pass has recorded the tokens that
// streams read. S streams, one row for each stream and image, stream by stream, filled up to R rows. N context tokens:
// all but CLS. D, H and M as in `ForwardPlan`. Weights are the base's; `changes` are those of a row's own task.
//
//     tokens      (R, D)      = CLS embedding
//
//     in each block
//         normalized  (R, D)      = layerNorm(tokens, norm1)
//         query       (R, D)      = normalized · queryᵀ + bias + changes          1/√(head size) is folded in
//         in each head:
//         keyed       (R, H, D)   = query · key + changes           what scores multiply tokens by
//         own         (R, H)      = keyed · (normalized - shift)    the score of the stream's own token
//         keyed                  += (keyed · up) · down             the token map on the side of the scores
//         of each image, with the rows of all its streams and its context:
//         gathered    (S, H, D)   = keyed
//         scores      (S, H, N+1) = gathered · contextᵀ, own
//         probabilities           = softmax(scores)
//         mixed       (R, H, D)   = probabilities[..<N] · context
//         mixed                  += (mixed · downᵀ) · upᵀ           the token map on the side of the values
//         mixed                  += probabilities[N] · (normalized - shift) + shift
//         in each head:
//         attended    (R, D)      = mixed · valueᵀ + bias + changes
//         tokens      (R, D)     += attended · outputᵀ + bias + changes
//
//         normalized  (R, D)      = layerNorm(tokens, norm2)
//         hidden      (R, M)      = activation(normalized · firstᵀ + bias + changes) [· up branch]
//         tokens      (R, D)     += hidden · secondᵀ + bias + changes
//
//     features    (R, D)      = layerNorm(tokens, layernorm)
//     logits      (B, C)      = features of each task's stream · headᵀ + bias
//
// Where the shared pass merges tokens, N differs between blocks, and the logarithms of the tokens' sizes are added to
// scores.
//
// Key biases cancel in softmax, as they are the same for a stream's own token and the context. No keys and values of
// context tokens are computed for any stream; exact up to rounding. In bf16 and int8 the operands of products are bf16,
// and everything that is added up is f32.
//
// A row's result has the same bits whatever other rows there are: in any batch, and beside any other streams. Changes
// are computed for the B rows of one stream at a time, the base's layers for all rows, and attention for all streams of
// an image, if the library then computes each row as it does in calls of a fixed number of rows; else in such calls.
// So a task that is added to a bundle changes no other task's predictions.

/// The sizes of a pass over task streams.
struct StreamShape: Sendable {
    let configuration: BackboneConfiguration
    /// How operands of products are stored.
    let type: OperandType
    /// The number of streams, S.
    let streams: Int
    /// What streams read in each block.
    let contexts: [StreamContext]
    /// How many images are computed at once, B, so that weights are read once for all of them. The same for any number
    /// of streams.
    let groupSize: Int
    /// The rows of a group, R: those of its images and streams, filled up to whole calls of the base's layers.
    let rows: Int
    /// Whether every layer computes all rows as it does the usual number.
    private let computesAllAlike: Bool

    /// The rows that a layer of the base computes at a time unless the library's results depend on a row's position
    /// among them, or are the same for another number: those of six streams.
    private static func usualRows(_ type: OperandType) -> Int { type == .f32 ? 24 : 48 }
    /// Rows are filled up to a multiple of this.
    private static let rowMultiple = 8
    /// A thread's memory for the context of a group, in bytes, unless that of one image is larger.
    private static let maximumContextSize = 256 << 20

    /// How many images a group has: products of bf16 are so fast that weights have to be read for more rows at once.
    private static func groupSize(_ type: OperandType, contextSize: Int) -> Int {
        var size = type == .f32 ? 4 : 8
        while size > 1, size * contextSize > maximumContextSize { size /= 2 }
        return size
    }

    /// The sizes for some streams.
    ///
    /// - Throws: `ComputeError` when the library has no kernel for the sizes.
    init(
        _ c: BackboneConfiguration, streams: Int, contexts: [Int], _ type: OperandType, _ engine: KernelEngine
    ) throws {
        (configuration, self.streams, self.type) = (c, streams, type)
        let byTokens = try Dictionary(
            uniqueKeysWithValues: Set(contexts).map {
                ($0, try StreamContext(c, tokens: $0, streams: streams, type, engine))
            })
        self.contexts = contexts.compactMap { byTokens[$0] }
        let stride = self.contexts.map(\.scoreStride).max() ?? 0
        groupSize = Self.groupSize(type, contextSize: c.layers * stride * c.hiddenSize * (type == .f32 ? 4 : 2))
        let few = (groupSize * streams + Self.rowMultiple - 1) / Self.rowMultiple * Self.rowMultiple
        let usual = Self.usualRows(type)
        computesAllAlike = try StreamLayer.all(c).allSatisfy {
            try $0.computesAlike(engine, rows: few, asOf: usual, type)
        }
        rows = computesAllAlike ? few : (groupSize * streams + usual - 1) / usual * usual
    }

    /// How many rows a layer of the base computes at a time: all, or as many as give the same results for any number.
    func callRows(_ layer: StreamLayer, _ engine: KernelEngine) throws -> Int {
        let usual = Self.usualRows(type)
        if try computesAllAlike || layer.computesAlike(engine, rows: rows, asOf: usual, type) { return rows }
        return try rows.isMultiple(of: usual) && layer.computesAlike(engine, rows: usual, asOf: usual, type) ? usual : 1
    }

    /// The largest distance between rows of scores.
    var scoreStride: Int { contexts.map(\.scoreStride).max() ?? 0 }
    /// Elements of the largest block's context, with rows of zeros up to the stride of scores.
    var contextCount: Int { scoreStride * configuration.hiddenSize }
    /// Whether tokens are merged on the way.
    var mergesTokens: Bool { contexts.contains { $0.tokens != contexts.first?.tokens } }

    /// A value for each block, made once for blocks with as many tokens.
    func byContext<Value>(_ body: (StreamContext) throws -> Value) rethrows -> [Value] {
        var made: [Int: Value] = [:]
        return try contexts.map { context in
            if let value = made[context.tokens] { return value }
            let value = try body(context)
            made[context.tokens] = value
            return value
        }
    }

    /// Multiplications and additions of one image's matrix products: 2·m·k·n each.
    func operations(_ all: [TaskStream]) -> Double {
        let c = configuration
        let (d, m, h) = (Double(c.hiddenSize), Double(c.intermediateSize), Double(c.heads))
        let block = 4 * d * d + (c.isGated ? 3 : 2) * d * m
        let attention = contexts.reduce(0) { $0 + 2 * h * Double($1.tokens) * d }
        let changes = all.reduce(0.0) { sum, stream in
            let maps = stream.maps.reduce(0.0) { $0 + 4 * h * d * Double($1.change.rank) }
            return sum
                + stream.changes.values.reduce(maps) {
                    $0 + Double($1.rank * (($1.down.shape.last ?? 0) + ($1.up.shape.first ?? 0)))
                }
        }
        return 2 * (Double(streams) * (Double(c.layers) * block + attention) + changes)
    }
}

/// The tokens that streams read in a block.
struct StreamContext: Sendable {
    /// Their number, N.
    let tokens: Int
    /// How many streams of an image attend to them at a time: all or one.
    let callStreams: Int

    fileprivate init(
        _ c: BackboneConfiguration, tokens: Int, streams: Int, _ type: OperandType, _ engine: KernelEngine
    ) throws {
        let (d, stride) = (c.hiddenSize, Softmax.stride(tokens + 1))
        let isJoined =
            try streams > 1
            && Kernel.multipliesRowsAlike(
                engine, rows: streams * c.heads, asOf: c.heads, inputs: d, outputs: stride, transposed: true,
                sourceStride: d, operands: type)
            && Kernel.multipliesRowsAlike(
                engine, rows: streams * c.heads, asOf: c.heads, inputs: tokens, outputs: d, transposed: false,
                sourceStride: stride, operands: type)
        (self.tokens, callStreams) = (tokens, isJoined ? streams : 1)
    }

    /// The distance between rows of scores: N + 1 rounded up to whole vectors.
    var scoreStride: Int { Softmax.stride(tokens + 1) }
}

/// A linear layer of the base, as the rows of streams pass it.
struct StreamLayer {
    let inputs, outputs: Int
    /// The distances between rows.
    let sourceStride, outputStride: Int

    static func query(_ c: BackboneConfiguration) -> StreamLayer { dense(c.hiddenSize, c.hiddenSize) }
    static func key(_ c: BackboneConfiguration) -> StreamLayer {
        StreamLayer(
            inputs: c.headSize, outputs: c.hiddenSize, sourceStride: c.hiddenSize,
            outputStride: c.heads * c.hiddenSize)
    }
    static func value(_ c: BackboneConfiguration) -> StreamLayer {
        StreamLayer(
            inputs: c.hiddenSize, outputs: c.headSize, sourceStride: c.heads * c.hiddenSize,
            outputStride: c.hiddenSize)
    }
    static func first(_ c: BackboneConfiguration) -> StreamLayer { dense(c.hiddenSize, c.intermediateSize) }
    static func second(_ c: BackboneConfiguration) -> StreamLayer { dense(c.intermediateSize, c.hiddenSize) }

    private static func dense(_ inputs: Int, _ outputs: Int) -> StreamLayer {
        StreamLayer(inputs: inputs, outputs: outputs, sourceStride: inputs, outputStride: outputs)
    }

    /// All kinds; the output's is the query's.
    fileprivate static func all(_ c: BackboneConfiguration) -> [StreamLayer] {
        [query(c), key(c), value(c), first(c), second(c)]
    }

    /// Whether rows are computed as in calls of another number of rows.
    fileprivate func computesAlike(
        _ engine: KernelEngine, rows: Int, asOf others: Int, _ type: OperandType
    ) throws -> Bool {
        try Kernel.computesRowsAlike(
            engine, rows: rows, asOf: others, inputs: inputs, outputs: outputs, sourceStride: sourceStride,
            outputStride: outputStride, operands: type)
    }
}
