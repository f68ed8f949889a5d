import Compute
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

    /// A linear layer's parameters, with what is folded into them.
    struct Plain {
        /// (outputs, inputs).
        var weight: [Float]
        var bias: [Float]

        /// Some of the outputs alone.
        func outputs(_ range: Range<Int>) -> Plain {
            let columns = weight.count / bias.count
            return Plain(
                weight: Array(weight[range.lowerBound * columns..<range.upperBound * columns]),
                bias: Array(bias[range]))
        }

        /// Outputs and inputs exchanged, without a bias.
        var transposed: Plain {
            let columns = weight.count / bias.count
            var result = Plain(weight: weight, bias: [])
            for row in bias.indices {
                for column in 0..<columns {
                    result.weight[column * bias.count + row] = weight[row * columns + column]
                }
            }
            return result
        }
    }

    /// A linear layer. `rowScale` is DINOv2's layer scale, folded into the weights: λ(Wx + b) = (λW)x + λb.
    func plain(_ name: String, rowScale: String? = nil) throws -> Plain {
        var layer = Plain(weight: try values("\(name).weight"), bias: try values("\(name).bias"))
        if let rowScale {
            let scale = try values(rowScale)
            let columns = layer.weight.count / scale.count
            for row in scale.indices {
                layer.bias[row] *= scale[row]
                for index in row * columns..<(row + 1) * columns { layer.weight[index] *= scale[row] }
            }
        }
        return layer
    }

    /// Query, key and value as one layer, the query scaled by 1/√(head size).
    func plainAttentionInput(_ layer: Int) throws -> Plain {
        let d = configuration.hiddenSize
        var result = Plain(weight: [], bias: [])
        result.weight.reserveCapacity(3 * d * d)
        for (projection, factor) in [("q_proj", queryScale), ("k_proj", 1), ("v_proj", 1)] {
            let name = "layers.\(layer).attention.\(projection)"
            let part = try values("\(name).weight")
            let shift = configuration.hasQKVBias ? try values("\(name).bias") : [Float](repeating: 0, count: d)
            result.weight += factor == 1 ? part : part.map { $0 * factor }
            result.bias += factor == 1 ? shift : shift.map { $0 * factor }
        }
        return result
    }

    /// What queries are multiplied by.
    var queryScale: Float { 1 / Float(configuration.headSize).squareRoot() }

    /// The name of the layer scale that a module's outputs are multiplied by, or nil.
    func rowScale(of module: String) -> String? {
        guard configuration.family == .dinov2, let layer = ParameterNames.layer(of: module) else { return nil }
        if module.hasSuffix(".attention.o_proj") { return "layers.\(layer).layer_scale1.lambda1" }
        let isLast = module.hasSuffix(".mlp.fc2") || module.hasSuffix(".mlp.down_proj")
        return isLast ? "layers.\(layer).layer_scale2.lambda1" : nil
    }

    /// What each output of a module is multiplied by where the module's weights are folded into a layer.
    func outputFactors(of module: String, outputs: Int) throws -> [Float] {
        if let scale = rowScale(of: module) { return try values(scale) }
        return [Float](repeating: module.hasSuffix(".attention.q_proj") ? queryScale : 1, count: outputs)
    }

    /// A linear layer in the kernel's layout.
    func linear(_ name: String, _ kernel: Kernel) throws -> ForwardPlan.Linear {
        try pack(plain(name, rowScale: rowScale(of: name)), kernel)
    }

    func pack(_ layer: Plain, _ kernel: Kernel) throws -> ForwardPlan.Linear {
        ForwardPlan.Linear(
            kernel: kernel, weights: try layer.weight.withUnsafeBufferPointer { try kernel.pack($0) },
            bias: layer.bias.isEmpty ? nil : FloatBuffer(layer.bias))
    }

    /// (tokens, D): prefix tokens with their positions, then the positions of the patches.
    func initialTokens(
        grid: BackboneConfiguration.Extent, image: BackboneConfiguration.Extent
    ) throws -> FloatBuffer {
        let prefix = configuration.family.prefixTokens
        let d = configuration.hiddenSize
        var table = try source.parameter("embeddings.position_embeddings")
        if PositionEmbeddings.areResampled(for: image, configuration) {
            try PositionEmbeddings.check(image, configuration)
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
