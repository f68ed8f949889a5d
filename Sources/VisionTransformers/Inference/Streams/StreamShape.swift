import Compute
import Tensors

// The pass over task streams on a page, for a group of B images of which the shared pass has recorded the tokens that
// streams read. S streams, one row for each image and stream, image by image, filled up to R rows. N context tokens:
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
//         of each row, with the context of its image:
//         scores      (H, N+1)    = keyed · contextᵀ, own
//         probabilities           = softmax(scores)
//         mixed       (H, D)      = probabilities[..<N] · context
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
// Key biases cancel in softmax, as they are the same for a stream's own token and the context. No keys and values of
// context tokens are computed for any stream; exact up to rounding. In bf16 and int8 the operands of products are bf16,
// and everything that is added up is f32.
//
// A row's result has the same bits whatever other rows there are: in any batch, and beside any other streams. Layers of
// the base are computed for a fixed number of rows at a time, changes and attention for one row. So a task that is
// added to a bundle changes no other task's predictions.

/// The sizes of a pass over task streams.
struct StreamShape: Sendable {
    let configuration: BackboneConfiguration
    /// How operands of products are stored.
    let type: OperandType
    /// The number of streams, S.
    let streams: Int
    /// The number of tokens that streams read, N.
    let context: Int
    /// How many images are computed at once, B, so that weights are read once for all of them.
    let groupSize: Int
    /// How many rows a layer of the base computes at a time.
    let callRows: Int

    /// The rows that are computed at a time unless the library's results depend on a row's position among them, or are
    /// the same for more.
    private static let usualRows = 24

    /// The sizes for some streams.
    ///
    /// - Throws: `ComputeError` when the library has no kernel for the sizes.
    init(
        _ c: BackboneConfiguration, streams: Int, patches: Int, _ type: OperandType, _ engine: KernelEngine
    ) throws {
        (configuration, self.streams, self.type) = (c, streams, type)
        context = patches + c.prefix.count - 1
        groupSize = max(4, min(8, Self.usualRows / max(streams, 1)))
        let (d, m) = (c.hiddenSize, c.intermediateSize)
        let layers = [
            (d, d, d, d), (c.headSize, d, d, c.heads * d), (d, c.headSize, c.heads * d, d), (d, m, d, m), (m, d, m, d),
        ]
        func isAlike(_ rows: Int) throws -> Bool {
            try layers.allSatisfy { inputs, outputs, sourceStride, outputStride in
                try Kernel.computesRowsAlike(
                    engine, rows: rows, asOf: Self.usualRows, inputs: inputs, outputs: outputs,
                    sourceStride: sourceStride, outputStride: outputStride, operands: type)
            }
        }
        let all = (groupSize * streams + Self.usualRows - 1) / Self.usualRows * Self.usualRows
        callRows = try !isAlike(Self.usualRows) ? 1 : all > Self.usualRows && isAlike(all) ? all : Self.usualRows
    }

    /// Rows of a group, R: those of its images and streams, filled up to whole calls.
    var rows: Int { (groupSize * streams + callRows - 1) / callRows * callRows }
    /// The distance between rows of scores: N + 1 rounded up to whole vectors.
    var scoreStride: Int { Softmax.stride(context + 1) }
    /// Elements of one block's context, with rows of zeros up to the stride of scores.
    var contextCount: Int { scoreStride * configuration.hiddenSize }

    /// Multiplications and additions of one image's matrix products: 2·m·k·n each.
    func operations(_ all: [TaskStream]) -> Double {
        let c = configuration
        let (d, m, h, n) = (Double(c.hiddenSize), Double(c.intermediateSize), Double(c.heads), Double(context))
        let block = 4 * d * d + 2 * h * n * d + (c.isGated ? 3 : 2) * d * m
        let changes = all.reduce(0.0) { sum, stream in
            let maps = stream.maps.reduce(0.0) { $0 + 4 * h * d * Double($1.change.rank) }
            return sum
                + stream.changes.values.reduce(maps) {
                    $0 + Double($1.rank * (($1.down.shape.last ?? 0) + ($1.up.shape.first ?? 0)))
                }
        }
        return 2 * (Double(streams * c.layers) * block + changes)
    }
}
