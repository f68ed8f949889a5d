import Compute
import Tensors

/// The kernels of transformer blocks of which only the first `outputs` tokens are read: all tokens, but fewer in the
/// last block when heads read prefix tokens alone. Everything after attention is then computed for these rows only.
///
/// Operands of products have the pass's type, and so have results that a product or an activation reads next. Layer
/// normalization, softmax and the residual stream with its gradient are f32.
struct BlockKernels: Sendable {
    let tokens: Int
    let outputs: Int

    // Forward, with (rows, columns): T tokens, R outputs, D the width, M the MLP's.
    /// (T, D).
    let norm1: Kernel
    /// (T, D) -> (T, 3D).
    let qkv: Kernel
    /// One head's q kᵀ, (R, T).
    let scores: Kernel
    /// One head's p v, (R, head size).
    let mix: Kernel
    /// (R, D) -> (R, D), added.
    let attentionOutput: Kernel
    /// (R, D).
    let norm2: Kernel
    /// (R, D) -> (R, M), also of a gated MLP's up branch.
    let first: Kernel
    /// (R, M).
    let activation: Kernel
    /// (R, M) -> (R, D), added.
    let second: Kernel

    // Backward.
    let secondBackward: Kernel
    let activationBackward: Kernel
    let firstBackward: Kernel
    /// The same, added.
    let firstBackwardAdded: Kernel
    let attentionOutputBackward: Kernel
    /// dp = do vᵀ, (R, T).
    let probabilityGradient: Kernel
    /// dv = pᵀ do, (T, head size).
    let valueGradient: Kernel
    /// dq = ds k, (R, head size).
    let queryGradient: Kernel
    /// dk = dsᵀ q, (T, head size).
    let keyGradient: Kernel
    let qkvBackward: Kernel

    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, tokens t: Int, outputs r: Int, precision p: OperandType
    ) throws {
        (tokens, outputs) = (t, r)
        let (d, m, h) = (c.hiddenSize, c.intermediateSize, c.headSize)
        let activation = c.activation
        func linear(
            _ rows: Int, _ from: Int, _ to: Int, _ result: OperandType, hasBias: Bool = true, adds: Bool = false
        ) throws -> Kernel {
            try Kernel.linear(
                engine, rows: rows, inputs: from, outputs: to, hasBias: hasBias, accumulates: adds, operands: p,
                result: result)
        }
        func backward(
            _ rows: Int, _ from: Int, _ to: Int, _ result: OperandType, adds: Bool = false
        ) throws -> Kernel { try linear(rows, from, to, result, hasBias: false, adds: adds) }
        norm1 = try Kernel.layerNorm(engine, rows: t, columns: d, epsilon: c.layerNormEpsilon)
        qkv = try linear(t, d, 3 * d, p)
        scores = try Kernel.product(
            engine, m: r, k: h, n: Softmax.stride(t), sourceStride: 3 * d, otherStride: 3 * d, transposed: true,
            outputStride: Softmax.stride(t), operands: p)
        mix = try Kernel.product(
            engine, m: r, k: t, n: h, sourceStride: t, otherStride: 3 * d, transposed: false, outputStride: d,
            operands: p, result: p)
        attentionOutput = try linear(r, d, d, .f32, adds: true)
        norm2 = try Kernel.layerNorm(engine, rows: r, columns: d, epsilon: c.layerNormEpsilon)
        first = try linear(r, d, m, p)
        self.activation = try Kernel.activation(engine, activation, rows: r, columns: m, type: p)
        second = try linear(r, m, d, .f32, adds: true)

        secondBackward = try backward(r, d, m, p)
        activationBackward = try Kernel.activationBackward(engine, activation, rows: r, columns: m, type: p)
        firstBackward = try backward(r, m, d, .f32)
        firstBackwardAdded = try backward(r, m, d, .f32, adds: true)
        attentionOutputBackward = try backward(r, d, d, p)
        probabilityGradient = try Kernel.product(
            engine, m: r, k: h, n: t, sourceStride: d, otherStride: 3 * d, transposed: true, outputStride: t,
            operands: p)
        valueGradient = try Kernel.product(
            engine, m: t, k: r, n: h, sourceStride: t, sourceTransposed: true, otherStride: d, transposed: false,
            outputStride: 3 * d, operands: p, result: p)
        queryGradient = try Kernel.product(
            engine, m: r, k: t, n: h, sourceStride: t, otherStride: 3 * d, transposed: false, outputStride: 3 * d,
            operands: p, result: p)
        keyGradient = try Kernel.product(
            engine, m: t, k: r, n: h, sourceStride: t, sourceTransposed: true, otherStride: 3 * d, transposed: false,
            outputStride: 3 * d, operands: p, result: p)
        qkvBackward = try backward(t, 3 * d, d, .f32)
    }

    /// The largest scratch memory that any of them needs, in elements.
    var scratchCount: Int {
        [
            norm1, qkv, scores, mix, attentionOutput, norm2, first, activation, second, secondBackward,
            activationBackward, firstBackward, firstBackwardAdded, attentionOutputBackward, probabilityGradient,
            valueGradient, queryGradient, keyGradient, qkvBackward,
        ].map(\.scratchCount).max() ?? 0
    }
}
