import Compute
import Tensors

/// The kernels that MLP sublayers of the same tokens share, in int8.
struct Int8MLPKernels: SublayerKernels {
    let configuration: BackboneConfiguration
    let tokens: BlockTokens
    /// The first layer, and a gated MLP's up branch.
    let first: Kernel
    let second: Kernel

    init(_ engine: KernelEngine, _ c: BackboneConfiguration, _ tokens: BlockTokens, stored: Precision) throws {
        let (r, d, m) = (tokens.read, c.hiddenSize, c.intermediateSize)
        configuration = c
        self.tokens = tokens
        first = try Kernel.products(engine, rows: r, inputs: d, outputs: m, result: stored)
        second = try Kernel.products(engine, rows: r, inputs: m, outputs: d, result: .f32)
    }

    /// What follows the first layer; in a gated MLP, the gate.
    var activation: Activation { configuration.usesSwiGLU ? .swish(alpha: 1) : configuration.activation }

    var linear: [Kernel] { [first, second] }

    var scratchCount: Int { max(first.scratchCount, second.scratchCount) }

    func sublayer(_ packed: PackedWeights, layer: Int) throws -> any Sublayer {
        try Int8MLP(self, packed, layer: layer)
    }
}

/// A block's MLP in int8.
struct Int8MLP: Sublayer {
    private let kernels: Int8MLPKernels
    private let norm: ForwardPlan.Norm
    private let up: Int8Linear?
    private let first: Int8Linear
    /// What each hidden value is multiplied by before it is rounded.
    private let factor: FloatBuffer
    private let second: Int8Linear

    init(_ kernels: Int8MLPKernels, _ packed: PackedWeights, layer: Int) throws {
        let name = PlanLoader.blockName(layer)
        self.kernels = kernels
        norm = try packed.norm("\(name).norm2", width: kernels.configuration.hiddenSize)
        up = kernels.configuration.usesSwiGLU ? try packed.int8("\(name).up", kernels.first) : nil
        first = try packed.int8("\(name).first", kernels.first)
        factor = try packed.buffer("\(name).factor", count: kernels.configuration.intermediateSize)
        second = try packed.int8("\(name).second", kernels.second)
    }

    func steps(_ b: ForwardBuffers) throws -> [ForwardStep] {
        guard let int8 = b.int8 else { return [] }
        let read = kernels.tokens.read
        var steps = [norm.int8Step(rows: read, epsilon: kernels.configuration.layerNormEpsilon, b, int8)]
        if let up { steps.append(try up.step(int8.narrow, Operand(b.up), b)) }
        steps.append(try first.step(int8.narrow, Operand(b.hidden), b))
        steps.append(activate(rows: read, b, int8))
        return steps + (try second.addingSteps(int8.wide, count: read, b, int8))
    }

    private func activate(rows: Int, _ b: ForwardBuffers, _ int8: Int8Buffers) -> ForwardStep {
        let (activation, factor) = (kernels.activation, factor)
        let first = Int8.Products(b.hidden, first.scaling)
        let up = up.map { Int8.Products(b.up, $0.scaling) }
        return ForwardStep(.quantization) {
            Int8.activate(
                first, up: up, activation, factor: factor, of: int8.narrow, into: int8.wide, row: int8.wideRow,
                rows: rows)
        }
    }
}
