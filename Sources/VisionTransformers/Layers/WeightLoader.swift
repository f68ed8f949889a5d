import Compute
import Images
import Tensors

/// A linear layer's parameters as plain matrices, with what is folded into them.
struct LinearWeights: Sendable {
    /// (outputs, inputs).
    var weight: [Float]
    /// (outputs).
    var bias: [Float]

    /// The layer with some of its outputs only.
    func outputs(_ range: Range<Int>) -> LinearWeights {
        let columns = weight.count / bias.count
        return LinearWeights(
            weight: Array(weight[range.lowerBound * columns..<range.upperBound * columns]),
            bias: Array(bias[range]))
    }

    /// The transposed weight, without a bias.
    var transposed: LinearWeights {
        let columns = weight.count / bias.count
        var result = LinearWeights(weight: weight, bias: [])
        for row in bias.indices {
            for column in 0..<columns {
                result.weight[column * bias.count + row] = weight[row * columns + column]
            }
        }
        return result
    }
}

/// A layer normalization's scale and shift, (D) each.
struct LayerNorm: Sendable {
    let scale: FloatBuffer
    let shift: FloatBuffer
}

/// The parameters of a block's attention.
struct AttentionWeights: Sendable {
    let norm: LayerNorm
    /// Query, key and value as one layer, (3D, D); the query is already divided by the root of the head size.
    let input: LinearWeights
    let output: LinearWeights
}

/// The parameters of a block's MLP.
struct MLPWeights: Sendable {
    let norm: LayerNorm
    /// The first layer; in a gated MLP, the gate.
    let first: LinearWeights
    /// A gated MLP's up branch.
    let up: LinearWeights?
    let second: LinearWeights
}

/// Reads a source's parameters and folds into each layer what belongs to it: the root of the head size into the query,
/// DINOv2's layer scale into the layer before it, the tokens' own embeddings into their positions.
struct WeightLoader: Sendable {
    let source: any ParameterSource
    let configuration: BackboneConfiguration

    /// A parameter as stored; its memory in the file is given back.
    private func values(_ name: String) throws -> [Float] {
        defer { source.release(name) }
        return try source.parameter(name).values
    }

    /// A layer normalization by its canonical name.
    func norm(_ name: String) throws -> LayerNorm {
        LayerNorm(scale: FloatBuffer(try values("\(name).weight")), shift: FloatBuffer(try values("\(name).bias")))
    }

    /// A linear layer by its canonical name, with its layer scale λ folded in: λ(Wx + b) = (λW)x + λb.
    func linear(_ name: String) throws -> LinearWeights {
        var layer = LinearWeights(weight: try values("\(name).weight"), bias: try values("\(name).bias"))
        guard let scaleName = layerScale(of: name) else { return layer }
        let scale = try values(scaleName)
        let columns = layer.weight.count / scale.count
        for row in scale.indices {
            layer.bias[row] *= scale[row]
            for index in row * columns..<(row + 1) * columns { layer.weight[index] *= scale[row] }
        }
        return layer
    }

    /// A block's query, key and value as one layer, the query divided by the root of the head size.
    func attentionInput(_ layer: Int) throws -> LinearWeights {
        let d = configuration.hiddenSize
        var result = LinearWeights(weight: [], bias: [])
        result.weight.reserveCapacity(3 * d * d)
        for (projection, factor) in [("q_proj", queryScale), ("k_proj", 1), ("v_proj", 1)] {
            let name = "layers.\(layer).attention.\(projection)"
            let weight = try values("\(name).weight")
            let bias = configuration.hasQKVBias ? try values("\(name).bias") : [Float](repeating: 0, count: d)
            result.weight += factor == 1 ? weight : weight.map { $0 * factor }
            result.bias += factor == 1 ? bias : bias.map { $0 * factor }
        }
        return result
    }

    /// A block's attention.
    func attention(_ layer: Int) throws -> AttentionWeights {
        AttentionWeights(
            norm: try norm("layers.\(layer).norm1"), input: try attentionInput(layer),
            output: try linear("layers.\(layer).attention.o_proj"))
    }

    /// A block's MLP.
    func mlp(_ layer: Int) throws -> MLPWeights {
        let names = configuration.mlpNames(layer)
        return MLPWeights(
            norm: try norm("layers.\(layer).norm2"), first: try linear(names.first), up: try names.up.map(linear),
            second: try linear(names.second))
    }

    /// What queries are multiplied by, so that their products with keys are the scores: 1 / √(head size).
    private var queryScale: Float { 1 / Float(configuration.headSize).squareRoot() }

    /// The name of the layer scale that a module's outputs are multiplied by, or nil.
    private func layerScale(of module: String) -> String? {
        guard configuration.family.hasLayerScale, let layer = ParameterNames.layer(of: module) else { return nil }
        if module.hasSuffix(".attention.o_proj") { return "layers.\(layer).layer_scale1.lambda1" }
        let isLast = module.hasSuffix(".mlp.fc2") || module.hasSuffix(".mlp.down_proj")
        return isLast ? "layers.\(layer).layer_scale2.lambda1" : nil
    }

    /// What each output of a module is multiplied by in the layer that the module is folded into.
    func outputFactors(of module: String, outputs: Int) throws -> [Float] {
        if let scale = layerScale(of: module) { return try values(scale) }
        return [Float](repeating: module.hasSuffix(".attention.q_proj") ? queryScale : 1, count: outputs)
    }

    /// The tokens before the patch embedding is added, (tokens, D): prefix tokens with their positions, then the
    /// positions of the patches, resampled for the image size where the family does that.
    func initialTokens(for image: ImageSize) throws -> FloatBuffer {
        let (prefix, d) = (configuration.prefix.count, configuration.hiddenSize)
        var table = try source.parameter("embeddings.position_embeddings")
        if PositionEmbeddings.areResampled(for: image, configuration) {
            try PositionEmbeddings.check(image, configuration)
            table = PositionEmbeddings.resampled(table, prefix: prefix, grid: configuration.grid(for: image))
        }
        let names = ["embeddings.cls_token", "embeddings.distillation_token"]
        for (token, name) in names.prefix(prefix).enumerated() {
            let values = try values(name)
            for channel in 0..<d { table.values[token * d + channel] += values[channel] }
        }
        return FloatBuffer(table.values)
    }
}
