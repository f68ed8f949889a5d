import Compute
import Synchronization
import Tensors

/// The kernels of a block of task streams, shared by all blocks. Results are f32, as changes are added to them.
struct StreamKernels: Sendable {
    let shape: StreamShape
    /// Layer normalization of all rows.
    let norm: Kernel
    /// Queries of all rows.
    let query: Kernel
    /// A head's queries to the vectors that its scores multiply tokens by.
    let key: Kernel
    /// Of each block.
    let attention: [StreamAttentionKernels]
    /// A head's mixed tokens to its values.
    let value: Kernel
    let output: Kernel
    /// The MLP's first layer, and a gated MLP's up branch, before the activation.
    let first: Kernel
    /// The activation, in place.
    let activation: Kernel
    let second: Kernel
    private let changes: PlannedChanges

    init(_ engine: KernelEngine, _ shape: StreamShape) throws {
        let (c, type) = (shape.configuration, shape.type)
        let (d, m) = (c.hiddenSize, c.intermediateSize)
        self.shape = shape
        changes = PlannedChanges(engine, shape.type, groupSize: shape.groupSize)
        norm = try Kernel.layerNorm(engine, rows: shape.rows, columns: d, epsilon: c.layerNormEpsilon)
        func linear(_ layer: StreamLayer, hasBias: Bool = true, accumulates: Bool = false) throws -> Kernel {
            try Kernel.linear(
                engine, rows: shape.callRows(layer, engine), inputs: layer.inputs, outputs: layer.outputs,
                sourceStride: layer.sourceStride, outputStride: layer.outputStride, hasBias: hasBias,
                accumulates: accumulates, operands: type)
        }
        query = try linear(.query(c))
        key = try linear(.key(c), hasBias: false)
        attention = try shape.byContext { try StreamAttentionKernels(engine, c, $0, type) }
        value = try linear(.value(c))
        output = try linear(.query(c), accumulates: true)
        first = try linear(.first(c))
        activation = try Kernel.activation(engine, c.activation, rows: shape.rows, columns: m)
        second = try linear(.second(c), accumulates: true)
    }

    /// Binds a layer of the base to all rows, as many at a time as its kernel computes.
    ///
    /// - Parameters:
    ///   - source: where the first row is read, and the distance to the next.
    ///   - destination: where the first row is written, and the distance to the next.
    func calls(
        _ layer: PackedLinear, _ source: (buffer: NumberBuffer, offset: Int, stride: Int),
        _ destination: (buffer: FloatBuffer, offset: Int, stride: Int), scratch: FloatBuffer
    ) throws -> [() throws -> Void] {
        try stride(from: 0, to: shape.rows, by: layer.kernel.rows).map { row in
            let call = try layer.call(
                Operand(source.buffer, offset: source.offset + row * source.stride),
                Operand(destination.buffer, offset: destination.offset + row * destination.stride), scratch: scratch)
            return call.run
        }
    }

    /// `rows` rows of each image's inputs to the rank of a change.
    func down(rows: Int, inputs: Int, rank: Int, result: OperandType) throws -> ChangeKernel {
        try changes.kernel(.init(rows: rows, inputs: inputs, outputs: rank, result: result, accumulates: false))
    }

    /// The same rows from the rank, added to the outputs.
    func up(rows: Int, rank: Int, outputs: Int) throws -> ChangeKernel {
        try changes.kernel(.init(rows: rows, inputs: rank, outputs: outputs, result: .f32, accumulates: true))
    }

    /// The linear layers of the base, whose weights are packed.
    var linearKernels: [Kernel] { [query, key, value, output, first, second] }
    /// All other kernels.
    var otherKernels: [Kernel] { [norm, activation] + attention.flatMap { [$0.scores, $0.mix] } }
}

/// The kernels of some streams' attention to the context of their image.
struct StreamAttentionKernels: Sendable {
    /// (streams, H, stride).
    let scores: Kernel
    /// The mixed tokens, (streams, H, D).
    let mix: Kernel

    init(
        _ engine: KernelEngine, _ c: BackboneConfiguration, _ context: StreamContext, _ type: OperandType
    ) throws {
        let (d, rows, stride) = (c.hiddenSize, context.callStreams * c.heads, context.scoreStride)
        scores = try Kernel.product(
            engine, m: rows, k: d, n: stride, sourceStride: d, otherStride: d, transposed: true, outputStride: stride,
            operands: type)
        mix = try Kernel.product(
            engine, m: rows, k: context.tokens, n: d, sourceStride: stride, otherStride: d, transposed: false,
            outputStride: d, operands: type)
    }
}

/// A layer of a change, for some rows of each image of a group.
struct ChangeKernel: Sendable {
    /// Of the rows of all images, or of one.
    let kernel: Kernel
    /// The rows of all images.
    let rows: Int
    let inputs, outputs: Int
}

/// The kernels of changes, each planned once for all streams and blocks that have its shape.
private final class PlannedChanges: Sendable {
    struct Shape: Hashable {
        /// Of one image.
        let rows: Int
        let inputs, outputs: Int
        let result: OperandType
        let accumulates: Bool
    }

    private let engine: KernelEngine
    private let type: OperandType
    private let groupSize: Int
    private let planned = Mutex<[Shape: ChangeKernel]>([:])

    init(_ engine: KernelEngine, _ type: OperandType, groupSize: Int) {
        (self.engine, self.type, self.groupSize) = (engine, type, groupSize)
    }

    func kernel(_ shape: Shape) throws -> ChangeKernel {
        try planned.withLock { planned in
            if let kernel = planned[shape] { return kernel }
            let all = shape.rows * groupSize
            let isJoined = try Kernel.computesRowsAlike(
                engine, rows: all, asOf: all, inputs: shape.inputs, outputs: shape.outputs, operands: type)
            let kernel = try Kernel.linear(
                engine, rows: isJoined ? all : shape.rows, inputs: shape.inputs, outputs: shape.outputs, hasBias: false,
                accumulates: shape.accumulates, operands: type, result: shape.result)
            let result = ChangeKernel(kernel: kernel, rows: all, inputs: shape.inputs, outputs: shape.outputs)
            planned[shape] = result
            return result
        }
    }
}
