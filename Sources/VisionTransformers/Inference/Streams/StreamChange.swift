import Compute
import Tensors

/// The change that a stream makes to a linear layer, for one row.
struct RowChange: Sendable {
    private let down, up: PackedLinear

    /// The change of a module, or nil if the stream has none.
    ///
    /// - Parameter factors: what each output of the module is multiplied by (see `WeightLoader.outputFactors`).
    init?(_ change: LowRankChange?, _ kernels: StreamKernels, factors: () throws -> [Float]) throws {
        guard let change, change.rank > 0 else { return nil }
        let (rank, inputs, outputs) = (change.rank, change.down.shape[1], change.up.shape[0])
        let factors = try factors()
        var scaled = change.up.values
        for output in 0..<outputs {
            for number in 0..<rank { scaled[output * rank + number] *= factors[output] }
        }
        down = try PackedLinear(
            LinearWeights(weight: change.down.values, bias: []),
            kernels.down(rows: 1, inputs: inputs, rank: rank, result: kernels.shape.type))
        up = try PackedLinear(
            LinearWeights(weight: scaled, bias: []), kernels.up(rows: 1, rank: rank, outputs: outputs))
    }

    /// The largest scratch memory of its kernels, in elements.
    var scratchCount: Int { max(down.kernel.scratchCount, up.kernel.scratchCount) }

    /// Binds the change to what the layer reads and writes of a row.
    func calls(_ source: Operand, _ destination: Operand, _ buffers: StreamBuffers) throws -> [() throws -> Void] {
        let first = try down.call(source, Operand(buffers.changes), scratch: buffers.scratch)
        let second = try up.call(Operand(buffers.changes), destination, scratch: buffers.scratch)
        return [first.run, second.run]
    }
}

/// A change of rows of tokens of width D, for one stream's heads: a token map on either side, or the part of a change
/// of keys or values that tokens pass through.
struct HeadsChange: Sendable {
    private let down, up: PackedLinear
    let rank: Int

    /// Adds `(x · downᵀ) · upᵀ`, with `down` (r, D) and `up` (D, r) row-major.
    init(down: [Float], up: [Float], rank: Int, _ kernels: StreamKernels) throws {
        let c = kernels.shape.configuration
        self.rank = rank
        self.down = try PackedLinear(
            LinearWeights(weight: down, bias: []),
            kernels.down(rows: c.heads, inputs: c.hiddenSize, rank: rank, result: kernels.shape.type))
        self.up = try PackedLinear(
            LinearWeights(weight: up, bias: []), kernels.up(rows: c.heads, rank: rank, outputs: c.hiddenSize))
    }

    /// The largest scratch memory of its kernels, in elements.
    var scratchCount: Int { max(down.kernel.scratchCount, up.kernel.scratchCount) }

    /// Binds it to the heads' tokens that begin at an offset, as operands and as the floats that the change is added
    /// to.
    func calls(_ tokens: RoundedBuffer, at offset: Int, _ buffers: StreamBuffers) throws -> [KernelCall] {
        [
            try down.call(
                Operand(tokens.operands, offset: offset), Operand(buffers.changes), scratch: buffers.scratch),
            try up.call(
                Operand(buffers.changes), Operand(tokens.floats, offset: offset), scratch: buffers.scratch),
        ]
    }
}
