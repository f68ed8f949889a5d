import Compute
import Tensors

/// A backbone's weights as kernels read them, by name: folded, rounded and in the kernels' own layout. They come from a
/// source's parameters (see `PlanLoader`) or from a file that an earlier run left (see `PackedCache`).
struct PackedWeights: Sendable {
    /// The buffers by name.
    private(set) var buffers: [String: FloatBuffer] = [:]

    init(_ buffers: [String: FloatBuffer] = [:]) { self.buffers = buffers }

    /// Adds a buffer.
    mutating func add(_ name: String, _ buffer: FloatBuffer) { buffers[name] = buffer }

    /// Adds a normalization.
    mutating func add(_ name: String, _ norm: ForwardPlan.Norm) {
        add("\(name).scale", norm.scale)
        add("\(name).shift", norm.shift)
    }

    /// Adds a linear layer.
    mutating func add(_ name: String, _ layer: ForwardPlan.Linear) {
        add("\(name).weight", layer.weights)
        if let bias = layer.bias { add("\(name).bias", bias) }
    }

    /// Adds all that another has.
    mutating func add(_ other: PackedWeights) { buffers.merge(other.buffers) { $1 } }

    /// A buffer of so many elements.
    ///
    /// - Throws: `ModelError` when there is none of that name and size.
    func buffer(_ name: String, count: Int) throws -> FloatBuffer {
        guard let buffer = buffers[name], buffer.count == count else {
            let found = buffers[name].map { "\($0.count)" } ?? "none"
            throw ModelError("packed weights", "\(name): expected \(count) elements, found \(found)")
        }
        return buffer
    }

    /// A normalization of rows of so many channels.
    func norm(_ name: String, width: Int) throws -> ForwardPlan.Norm {
        ForwardPlan.Norm(
            scale: try buffer("\(name).scale", count: width), shift: try buffer("\(name).shift", count: width))
    }

    /// The layer that a kernel computes.
    func linear(_ name: String, _ kernel: Kernel) throws -> ForwardPlan.Linear {
        ForwardPlan.Linear(
            kernel: kernel, weights: try buffer("\(name).weight", count: kernel.packedCount),
            bias: kernel.biasCount == 0 ? nil : try buffer("\(name).bias", count: kernel.biasCount))
    }
}

/// A plan's weights, each with the kernel that reads it.
struct PlanWeights {
    let embedding: ForwardPlan.Linear
    let initialTokens: FloatBuffer
    let finalNorm: ForwardPlan.Norm
    /// Of each block, in their order.
    let blocks: [[any Sublayer]]

    /// - Throws: `ModelError` when a weight is missing or does not have the size that its kernel wants.
    init(_ packed: PackedWeights, _ kernels: PlanKernels, _ configuration: BackboneConfiguration) throws {
        let width = configuration.hiddenSize
        embedding = try packed.linear(ParameterNames.patchProjection, kernels.embedding)
        initialTokens = try packed.buffer(PlanLoader.initialTokensName, count: kernels.tokens.all * width)
        finalNorm = try packed.norm(PlanLoader.finalNormName, width: width)
        blocks = try kernels.blocks.enumerated().map { layer, sublayers in
            try sublayers.map { try $0.sublayer(packed, layer: layer) }
        }
    }
}
