import Compute
import Synchronization
import Tensors

/// Brings a source's parameters into the form that the kernels want.
struct PlanLoader: Sendable {
    let source: any ParameterSource
    let configuration: BackboneConfiguration

    /// A parameter as it is; its memory in the file is given back.
    private func values(_ name: String) throws -> [Float] {
        defer { source.release(name) }
        return try source.parameter(name).values
    }

    func norm(_ name: String) throws -> ForwardPlan.Norm {
        ForwardPlan.Norm(
            scale: FloatBuffer(try values("\(name).weight")), shift: FloatBuffer(try values("\(name).bias")))
    }

    /// A linear layer. `rowScale` is DINOv2's layer scale, folded into the weights: λ(Wx + b) = (λW)x + λb.
    func linear(_ name: String, _ kernel: Kernel, rowScale: String? = nil) throws -> ForwardPlan.Linear {
        var weight = try values("\(name).weight")
        var bias = try values("\(name).bias")
        if let rowScale {
            let scale = try values(rowScale)
            let columns = weight.count / scale.count
            for row in scale.indices {
                bias[row] *= scale[row]
                for index in row * columns..<(row + 1) * columns { weight[index] *= scale[row] }
            }
        }
        return ForwardPlan.Linear(kernel: kernel, weights: try pack(weight, kernel), bias: FloatBuffer(bias))
    }

    private func pack(_ weight: [Float], _ kernel: Kernel) throws -> FloatBuffer {
        try weight.withUnsafeBufferPointer { try kernel.pack($0) }
    }

    /// Query, key and value as one layer, the query scaled by 1/√(head size).
    private func attentionInput(_ prefix: String, _ kernel: Kernel) throws -> ForwardPlan.Linear {
        let d = configuration.hiddenSize
        var weight: [Float] = []
        weight.reserveCapacity(3 * d * d)
        var bias: [Float] = []
        let scale = 1 / Float(configuration.headSize).squareRoot()
        for (projection, factor) in [("q_proj", scale), ("k_proj", 1), ("v_proj", 1)] {
            let name = "\(prefix).\(projection)"
            let part = try values("\(name).weight")
            let shift = configuration.hasQKVBias ? try values("\(name).bias") : [Float](repeating: 0, count: d)
            if factor == 1 {
                weight += part
                bias += shift
            } else {
                weight += part.map { $0 * factor }
                bias += shift.map { $0 * factor }
            }
        }
        return ForwardPlan.Linear(kernel: kernel, weights: try pack(weight, kernel), bias: FloatBuffer(bias))
    }

    private func block(_ layer: Int, _ kernels: PlannedLayers) throws -> ForwardPlan.Block {
        let prefix = "layers.\(layer)"
        let scales = configuration.family == .dinov2
        let scale1 = scales ? "\(prefix).layer_scale1.lambda1" : nil
        let scale2 = scales ? "\(prefix).layer_scale2.lambda1" : nil
        let gated = configuration.usesSwiGLU
        return ForwardPlan.Block(
            norm1: try norm("\(prefix).norm1"), qkv: try attentionInput("\(prefix).attention", kernels.qkv),
            attentionOutput: try linear("\(prefix).attention.o_proj", kernels.attentionOutput, rowScale: scale1),
            norm2: try norm("\(prefix).norm2"),
            up: try kernels.up.map { try linear("\(prefix).mlp.up_proj", $0) },
            first: try linear("\(prefix).mlp.\(gated ? "gate_proj" : "fc1")", kernels.first),
            second: try linear("\(prefix).mlp.\(gated ? "down_proj" : "fc2")", kernels.second, rowScale: scale2))
    }

    /// All blocks, loaded in parallel.
    func blocks(_ kernels: PlannedLayers, pool: WorkerPool) throws -> [ForwardPlan.Block] {
        let loaded = Mutex<[Int: Result<ForwardPlan.Block, any Error>]>([:])
        pool.forEach(configuration.layers) { _, layer in
            let block = Result { try self.block(layer, kernels) }
            loaded.withLock { $0[layer] = block }
        }
        let results = loaded.withLock(\.self)
        return try (0..<configuration.layers).compactMap { try results[$0]?.get() }
    }

    /// (tokens, D): prefix tokens with their positions, then the positions of the patches.
    func initialTokens(
        grid: BackboneConfiguration.Extent, image: BackboneConfiguration.Extent
    ) throws -> FloatBuffer {
        let prefix = configuration.family.prefixTokens
        let d = configuration.hiddenSize
        var table = try source.parameter("embeddings.position_embeddings")
        let stored = configuration.grid(for: configuration.imageSize)
        if configuration.interpolatesPositions, stored != grid || image.height != image.width {
            let positions = table.shape[1] - prefix
            let side = Int(Double(positions).squareRoot())
            guard side * side == positions else {
                throw ModelError(
                    "embeddings.position_embeddings",
                    "for images of \(image), \(positions) positions are to be resampled, which are no square grid")
            }
            table = PositionEmbeddings.resampled(table, prefix: prefix, grid: grid)
        }
        let names = ["embeddings.cls_token", "embeddings.distillation_token"]
        for (token, name) in names.prefix(prefix).enumerated() {
            let values = try values(name)
            for channel in 0..<d { table.values[token * d + channel] += values[channel] }
        }
        return FloatBuffer(table.values)
    }

    /// All heads as one layer over one image's features; a head that reads less than all of them gets zeros.
    static func heads(
        _ heads: [Head], classes: Int, featureSize: Int, engine: KernelEngine
    ) throws -> ForwardPlan.Linear? {
        guard classes > 0 else { return nil }
        var weight = [Float](repeating: 0, count: classes * featureSize)
        var bias: [Float] = []
        for head in heads {
            let columns = head.weight.shape[1]
            guard columns <= featureSize else {
                throw ModelError(
                    head.task, "the head reads \(columns) features, the backbone gives \(featureSize)")
            }
            for row in 0..<head.classes.count {
                let start = (bias.count + row) * featureSize
                weight.replaceSubrange(
                    start..<start + columns, with: head.weight.values[row * columns..<(row + 1) * columns])
            }
            bias += head.bias.values
        }
        let kernel = try Kernel.linear(engine, rows: 1, inputs: featureSize, outputs: classes)
        let packed = try weight.withUnsafeBufferPointer { try kernel.pack($0) }
        return ForwardPlan.Linear(kernel: kernel, weights: packed, bias: FloatBuffer(bias))
    }
}
