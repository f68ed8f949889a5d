import Compute
import Tensors

/// What attention computes between its linear layers, one head at a time.
struct AttentionHeadKernels: Sendable {
    private enum Method {
        case fused(any FusedAttention)
        case products(HeadProducts)
    }

    private let method: Method
    private let prefix, heads, headSize: Int
    private let rotary: Rotary?
    /// Whether a token counts as often as it is large, in proportional attention after token merging.
    private let weighsTokens: Bool

    /// Plans the kernels.
    ///
    /// - Parameters:
    ///   - isInt8: whether they multiply bytes.
    ///   - type: in which numbers queries, keys and values are.
    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ rotary: Rotary?,
        weighsTokens: Bool, isInt8: Bool, _ type: OperandType
    ) throws {
        (prefix, heads, headSize) = (c.prefix.count, c.heads, c.headSize)
        (self.rotary, self.weighsTokens) = (rotary, weighsTokens)
        let (all, rows) = (tokens.all, tokens.outputs)
        if isInt8, Int8.HeadAttention.isSupported {
            method = .fused(Int8.HeadAttention(heads: heads, headSize: headSize, tokens: all, rows: rows))
        } else if type == .bf16, BFloat16Attention.isSupported {
            method = .fused(BFloat16Attention(heads: heads, headSize: headSize, tokens: all, rows: rows))
        } else {
            method = .products(try HeadProducts(engine, c, tokens, type))
        }
    }

    var kernels: [Kernel] {
        switch method {
        case .fused: []
        case .products(let products): [products.scores, products.mix]
        }
    }

    var loopScratchCount: Int {
        switch method {
        case .fused(let attention): attention.scratchCount
        case .products: 0
        }
    }

    /// Binds all heads to buffers: from `qkv` to `normalized`.
    ///
    /// - Parameter bias: what is added to the scores, (heads, R, stride), or nil.
    func steps(_ b: ForwardBuffers, _ bias: FloatBuffer?) throws -> [ForwardStep] {
        let weights = weighsTokens ? b.sizes?.logarithms : nil
        var steps: [ForwardStep] = []
        if let rotary {
            steps.append(
                ForwardStep(.attention) { [prefix, heads, headSize, qkv = b.qkv] in
                    rotary.apply(to: qkv, row: prefix, stride: 3 * heads * headSize, heads: 2 * heads)
                })
        }
        switch method {
        case .fused(let attention):
            steps.append(
                ForwardStep(.attention) {
                    attention.apply(b.qkv, plus: bias, weights: weights, into: b.normalized, scratch: b.scratch)
                })
        case .products(let products):
            steps += try (0..<heads).flatMap { try products.steps(head: $0, b, bias, weights) }
        }
        let last = steps.removeLast()
        return steps + [last.showing(.attentionOutput, b.normalized)]
    }
}

/// The products of one head by the library, with softmax between them.
private struct HeadProducts: Sendable {
    private let tokens: BlockTokens
    private let width, headSize: Int
    /// q kᵀ, (R, T).
    let scores: Kernel
    /// p v, (R, head size).
    let mix: Kernel

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ type: OperandType) throws {
        (self.tokens, width, headSize) = (tokens, c.hiddenSize, c.headSize)
        let (d, stride) = (c.hiddenSize, Softmax.stride(tokens.all))
        // Whole vectors of scores take less time than all but a few of them.
        scores = try Kernel.product(
            engine, m: tokens.outputs, k: c.headSize, n: stride, sourceStride: 3 * d, otherStride: 3 * d,
            transposed: true, outputStride: stride, operands: type)
        mix = try Kernel.product(
            engine, m: tokens.outputs, k: tokens.all, n: c.headSize, sourceStride: stride, otherStride: 3 * d,
            transposed: false, outputStride: d, operands: type, result: type)
    }

    func steps(
        head: Int, _ b: ForwardBuffers, _ bias: FloatBuffer?, _ weights: FloatBuffer?
    ) throws -> [ForwardStep] {
        let column = head * headSize
        let scoreCall = try KernelCall(
            scores, source: Operand(b.qkv, offset: column), weights: Operand(b.qkv, offset: width + column),
            destination: Operand(b.scores), scratch: b.scratch)
        let mixCall = try KernelCall(
            mix, source: Operand(b.probabilities), weights: Operand(b.qkv, offset: 2 * width + column),
            destination: Operand(b.normalized, offset: column), scratch: b.scratch)
        let (rows, columns) = (tokens.outputs, tokens.all)
        let softmax = ForwardStep(.attention) { [scores = b.scores, probabilities = b.probabilities] in
            let count = rows * Softmax.stride(columns)
            if let bias { RowKernels.add(bias.base + head * count, to: scores.base, count: count) }
            Softmax.apply(scores, plus: weights?.base, into: probabilities, rows: rows, columns: columns)
        }
        return [ForwardStep(.attention, scoreCall), softmax, ForwardStep(.attention, mixCall)]
    }
}
