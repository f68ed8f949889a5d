import Compute
import Tensors

/// Layer normalization of the stream's first rows into the operands that linear layers read: in f32 by the library, in
/// bf16 by a loop that rounds.
struct LayerNormKernel: Sendable {
    private let kernel: Kernel?
    private let rows: Int
    private let epsilon: Float

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, rows: Int, _ type: OperandType) throws {
        self.rows = rows
        epsilon = c.layerNormEpsilon
        kernel =
            type == .f32
            ? try Kernel.layerNorm(engine, rows: rows, columns: c.hiddenSize, epsilon: epsilon) : nil
    }

    /// The library's kernel, if that is used.
    var kernels: [Kernel] { kernel.map { [$0] } ?? [] }

    /// Binds a normalization to the stream and the buffer of its result.
    func step(_ norm: LayerNorm, _ buffers: ForwardBuffers, _ result: NumberBuffer) throws -> ForwardStep {
        let (stream, rows, epsilon) = (buffers.stream, rows, epsilon)
        if case .bf16(let result) = result {
            return ForwardStep(.normalization) {
                BFloat16.layerNorm(
                    stream.base, scale: norm.scale.base, shift: norm.shift.base, epsilon: epsilon, into: result.base,
                    rows: rows, columns: norm.scale.count)
            }
        }
        let call = try kernel.map { try norm.call($0, stream, result, scratch: buffers.scratch) }
        return ForwardStep(.normalization) { try call?.run() }
    }
}

extension LayerNorm {
    /// Binds the normalization of the stream's first rows into rows in eight bits.
    func int8Step(rows: Int, epsilon: Float, _ buffers: ForwardBuffers, _ int8: Int8Buffers) -> ForwardStep {
        let (stream, scale, shift) = (buffers.stream, scale, shift)
        return ForwardStep(.normalization) {
            Int8.layerNorm(
                stream, scale: scale, shift: shift, epsilon: epsilon, into: int8.narrow, row: int8.narrowRow, rows: rows
            )
        }
    }
}
