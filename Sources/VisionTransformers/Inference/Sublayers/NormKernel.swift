import Compute
import Tensors

/// Layer normalization as products read it: in f32 by the library, in bf16 by a loop that rounds.
struct NormKernel: Sendable {
    private let kernel: Kernel?
    private let rows: Int
    private let epsilon: Float

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, rows: Int, _ precision: Precision) throws {
        self.rows = rows
        epsilon = c.layerNormEpsilon
        kernel =
            precision == .f32
            ? try Kernel.layerNorm(engine, rows: rows, columns: c.hiddenSize, epsilon: epsilon) : nil
    }

    var scratchCount: Int { kernel?.scratchCount ?? 0 }

    /// Binds it to the stream and what receives its normalized rows.
    func step(_ norm: ForwardPlan.Norm, _ buffers: ForwardBuffers, _ result: NumberBuffer) throws -> ForwardStep {
        let (stream, rows, epsilon) = (buffers.stream, rows, epsilon)
        if case .bf16(let result) = result {
            return ForwardStep(.normalization) {
                BFloat16.layerNorm(
                    stream.base, scale: norm.scale.base, shift: norm.shift.base, epsilon: epsilon, into: result.base,
                    rows: rows, columns: norm.scale.count)
            }
        }
        let call = try kernel.map {
            try KernelCall(
                $0, source: Operand(stream), weights: Operand(norm.scale), bias: norm.shift,
                destination: Operand(result), scratch: buffers.scratch)
        }
        return ForwardStep(.normalization) { try call?.run() }
    }
}
