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

    /// A bias of zeros where a layer has none.
    private func bias(_ name: String, count: Int, exists: Bool = true) throws -> [Float] {
        exists ? try values("\(name).bias") : [Float](repeating: 0, count: count)
    }

    /// The patch embedding as a linear layer.
    func patchEmbedding() throws -> LinearWeights {
        let name = ParameterNames.patchProjection
        return LinearWeights(
            weight: try values("\(name).weight"),
            bias: try bias(name, count: configuration.hiddenSize, exists: configuration.anatomy.hasPatchBias))
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
        let parts = [("q_proj", queryScale), ("k_proj", 1), ("v_proj", 1)]
        for ((projection, factor), hasBias) in zip(parts, configuration.anatomy.biases.inOrder) {
            let name = "layers.\(layer).attention.\(projection)"
            let weight = try values("\(name).weight")
            let bias = try bias(name, count: d, exists: hasBias)
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
        guard configuration.anatomy.hasLayerScale, let layer = ParameterNames.layer(of: module) else { return nil }
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
        let (prefix, d, grid) = (configuration.prefix, configuration.hiddenSize, configuration.grid(for: image))
        var tokens: [Float] = []
        if prefix.hasCLS { tokens += try values("embeddings.cls_token") }
        if prefix.hasDistillation { tokens += try values("embeddings.distillation_token") }
        if prefix.registers > 0 { tokens += try values("embeddings.register_tokens") }
        tokens += [Float](repeating: 0, count: grid.height * grid.width * d)
        guard case .table(let resampling, let coversPrefix) = configuration.anatomy.positions else {
            return FloatBuffer(tokens)
        }
        let covered = coversPrefix ? prefix.read : 0
        var table = try source.parameter("embeddings.position_embeddings").values
        if let resampling, PositionEmbeddings.areResampled(for: image, configuration) {
            try PositionEmbeddings.check(image, configuration)
            table = PositionEmbeddings.resampled(
                table, width: d, prefix: covered, grid: grid, isAntialiased: resampling == .antialiasedBicubic)
        }
        // Registers have no positions.
        for index in 0..<covered * d { tokens[index] += table[index] }
        let (start, first) = (prefix.count * d, covered * d)
        for index in start..<tokens.count { tokens[index] += table[first + index - start] }
        return FloatBuffer(tokens)
    }

    /// The first token as it enters the first block, (D).
    func initialCLS(for image: ImageSize) throws -> FloatBuffer {
        let tokens = try initialTokens(for: image)
        let cls = withExtendedLifetime(tokens) { Array(tokens.elements.prefix(configuration.hiddenSize)) }
        guard configuration.anatomy.hasPreNorm else { return FloatBuffer(cls) }
        let (scale, shift) = try (
            values("\(ParameterNames.preNorm).weight"), values("\(ParameterNames.preNorm).bias")
        )
        let mean = cls.reduce(0) { $0 + Double($1) } / Double(cls.count)
        let variance = cls.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(cls.count)
        let deviation = (variance + Double(configuration.layerNormEpsilon)).squareRoot()
        return FloatBuffer(
            cls.indices.map { Float((Double(cls[$0]) - mean) / deviation) * scale[$0] + shift[$0] })
    }

    /// What is added to the scores of a block, (heads, tokens, stride): for each pair of patches the table's value at
    /// their offset, and for CLS the three last ones.
    ///
    /// - Parameters:
    ///   - rows: how many of the first queries are wanted.
    ///   - stride: the distance between rows.
    func scoreBias(_ layer: Int, rows: Int, stride: Int) throws -> [Float] {
        let (c, grid) = (configuration, configuration.grid(for: configuration.imageSize))
        let table = try values("layers.\(layer).\(ParameterNames.scoreBias)")
        let (heads, count) = (c.heads, grid.height * grid.width + 1)
        let offsets = (2 * grid.height - 1) * (2 * grid.width - 1)
        func row(_ query: Int, _ key: Int) -> Int {
            switch (query, key) {
            case (0, 0): return offsets + 2
            case (0, _): return offsets
            case (_, 0): return offsets + 1
            default:
                let (y, x) = ((query - 1) / grid.width, (query - 1) % grid.width)
                let (y1, x1) = ((key - 1) / grid.width, (key - 1) % grid.width)
                return (y - y1 + grid.height - 1) * (2 * grid.width - 1) + x - x1 + grid.width - 1
            }
        }
        var bias = [Float](repeating: 0, count: heads * rows * stride)
        for query in 0..<rows {
            for key in 0..<count {
                let source = row(query, key) * heads
                for head in 0..<heads { bias[(head * rows + query) * stride + key] = table[source + head] }
            }
        }
        return bias
    }
}
