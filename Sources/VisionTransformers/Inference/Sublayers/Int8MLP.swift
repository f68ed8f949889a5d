import Compute
import Tensors

/// The kernels of MLPs over the same tokens, in int8.
struct Int8MLPKernels: SublayerKernels {
    let configuration: BackboneConfiguration
    let tokens: BlockTokens
    /// The first layer, and a gated MLP's up branch.
    let first: Kernel
    let second: Kernel

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, _ type: OperandType) throws {
        let (r, d, m) = (tokens.outputs, c.hiddenSize, c.intermediateSize)
        configuration = c
        self.tokens = tokens
        let rows = linearRows(r, isNarrow: true)
        first = try Kernel.products(engine, rows: rows, inputs: d, outputs: m, result: type)
        second = try Kernel.products(engine, rows: rows, inputs: m, outputs: d, result: .f32)
    }

    var linearKernels: [Kernel] { [first, second] }
    var otherKernels: [Kernel] { [] }

    func sublayer(_ weights: BlockWeights) throws -> any Sublayer { try Int8MLP(self, weights) }
}

/// A block's MLP in int8.
struct Int8MLP: Sublayer {
    private let kernels: Int8MLPKernels
    private let norm: LayerNorm
    /// The up branch of a gated MLP, else nil.
    private let up: PackedInt8Linear?
    private let first: PackedInt8Linear
    /// What each hidden value is multiplied by before it is quantized, (M).
    private let factor: FloatBuffer
    private let second: PackedInt8Linear

    init(_ kernels: Int8MLPKernels, _ weights: BlockWeights) throws {
        let c = kernels.configuration
        let quantized = try weights.loadQuantizedMLP()
        self.kernels = kernels
        norm = try weights.norm("norm2", quantized?.norm, width: c.hiddenSize)
        up = c.isGated ? try weights.int8("up", quantized?.up, kernels.first) : nil
        first = try weights.int8("first", quantized?.first, kernels.first)
        factor = try weights.vector("factor", quantized?.factor, count: c.intermediateSize)
        second = try weights.int8("second", quantized?.second, kernels.second)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        guard let int8 = b.int8 else { return [] }
        let rows = kernels.tokens.outputs
        var steps = [norm.int8Step(rows: rows, epsilon: kernels.configuration.layerNormEpsilon, b, int8)]
        if let up { steps.append(try up.step(int8.narrow, Operand(b.up), scratch: b.scratch)) }
        steps.append(try first.step(int8.narrow, Operand(b.hidden), scratch: b.scratch))
        steps.append(activation(rows: rows, b, int8))
        return steps + (try second.addingSteps(int8.wide, count: rows, b, int8))
    }

    private func activation(rows: Int, _ b: ForwardBuffers, _ int8: Int8Buffers) -> ForwardStep {
        let c = kernels.configuration
        let (activation, factor) = (c.activation, factor)
        let first = Int8.Products(b.hidden, first.scaling)
        let up = up.map { Int8.Products(b.up, $0.scaling) }
        return ForwardStep(.quantization) {
            Int8.activate(
                first, up: up, activation, factor: factor, of: int8.narrow, into: int8.wide, row: int8.wideRow,
                rows: rows)
        }
    }
}
