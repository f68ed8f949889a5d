package import Compute
package import Images
package import Tensors

/// The shape of a Vision Transformer without its head, as `config.json` gives it.
package struct BackboneConfiguration: Sendable, Equatable {
    /// The family.
    package var family: BackboneFamily
    /// The width of a token, D.
    package var hiddenSize: Int
    /// The number of transformer blocks.
    package var layers: Int
    /// The number of attention heads.
    package var heads: Int
    /// The width of the MLP, M; with SwiGLU, of each of its two branches.
    package var intermediateSize: Int
    /// The MLP's activation.
    package var activation: Activation
    /// Whether the MLP is gated: down(activation(gate(x)) · up(x)).
    package var isGated: Bool
    /// The epsilon of layer normalization.
    package var layerNormEpsilon: Float
    /// The image size that the position embeddings are for, in pixels.
    package var imageSize: ImageSize
    /// The size of a patch in pixels.
    package var patchSize: ImageSize
    /// What it is made of.
    package var anatomy: Anatomy
    /// What its files call its parameters.
    package var names: ParameterNaming

    /// Colour channels; images are RGB.
    package static let channels = 3

    /// The number of patches down and across an image of the given size.
    package func grid(for image: ImageSize) -> ImageSize {
        ImageSize(height: image.height / patchSize.height, width: image.width / patchSize.width)
    }

    /// Values of one patch: channels x height x width.
    package var patchLength: Int { Self.channels * patchSize.height * patchSize.width }

    /// The width of one attention head.
    package var headSize: Int { hiddenSize / heads }

    /// The tokens before those of patches.
    package var prefix: PrefixTokens { anatomy.prefix }

    /// The number of parts of the features (see `FeatureParts`).
    package var featureParts: Int { (anatomy.features.hasTokens ? prefix.read : 0) + 1 }

    /// The number of first parts that `classifier` in transformers reads.
    package var classifierParts: Int { anatomy.features.classifier }

    /// The width of the vector that heads may read.
    package var featureSize: Int { hiddenSize * featureParts }

    /// The widths that a head's weight may have.
    package var headWidths: [Int] { (1...featureParts).map { hiddenSize * $0 } }

    /// The canonical names of the linear layers of a block's MLP: the first layer, or a gated MLP's gate; a gated MLP's
    /// up branch; and the last layer.
    func mlpNames(_ layer: Int) -> (first: String, up: String?, second: String) {
        let name = "layers.\(layer).mlp"
        return isGated
            ? ("\(name).gate_proj", "\(name).up_proj", "\(name).down_proj") : ("\(name).fc1", nil, "\(name).fc2")
    }

    /// The parameters of the backbone with their shapes, by this project's names (see `ParameterNames`).
    package var parameterShapes: [(name: String, shape: [Int])] {
        embeddingShapes + (0..<layers).flatMap(blockShapes)
            + (anatomy.finalNorm == .none ? [] : normShapes("layernorm"))
    }

    private typealias Shapes = [(name: String, shape: [Int])]

    private var embeddingShapes: Shapes {
        let (d, outer) = (hiddenSize, names.hasFlatEmbeddings ? [] : [1])
        var shapes: Shapes = []
        if prefix.hasCLS { shapes.append(("embeddings.cls_token", outer + outer + [d])) }
        if prefix.hasDistillation { shapes.append(("embeddings.distillation_token", [1, 1, d])) }
        if prefix.registers > 0 { shapes.append(("embeddings.register_tokens", [1, prefix.registers, d])) }
        if case .table(_, let coversPrefix) = anatomy.positions {
            let grid = grid(for: imageSize)
            let rows = grid.height * grid.width + (coversPrefix ? prefix.read : 0)
            shapes.append(("embeddings.position_embeddings", outer + [rows, d]))
        }
        let patch = ParameterNames.patchProjection
        shapes.append(("\(patch).weight", [d, Self.channels, patchSize.height, patchSize.width]))
        if anatomy.hasPatchBias { shapes.append(("\(patch).bias", [d])) }
        return shapes + (anatomy.hasPreNorm ? normShapes(ParameterNames.preNorm) : [])
    }

    private func normShapes(_ name: String) -> Shapes {
        [("\(name).weight", [hiddenSize]), ("\(name).bias", [hiddenSize])]
    }

    private func blockShapes(_ layer: Int) -> Shapes {
        let (d, m, prefix) = (hiddenSize, intermediateSize, "layers.\(layer)")
        var shapes = normShapes("\(prefix).norm1") + normShapes("\(prefix).norm2")
        func linear(_ name: String, _ outputs: Int, _ inputs: Int, bias: Bool = true) {
            shapes.append(("\(name).weight", [outputs, inputs]))
            if bias { shapes.append(("\(name).bias", [outputs])) }
        }
        for (projection, bias) in zip(["q_proj", "k_proj", "v_proj"], anatomy.biases.inOrder) {
            linear("\(prefix).attention.\(projection)", d, d, bias: bias)
        }
        linear("\(prefix).attention.o_proj", d, d)
        let mlp = mlpNames(layer)
        linear(mlp.first, m, d)
        if let up = mlp.up { linear(up, m, d) }
        linear(mlp.second, d, m)
        if anatomy.hasLayerScale {
            shapes.append(("\(prefix).layer_scale1.lambda1", [d]))
            shapes.append(("\(prefix).layer_scale2.lambda1", [d]))
        }
        if anatomy.hasScoreBias {
            let grid = grid(for: imageSize)
            let rows = (2 * grid.height - 1) * (2 * grid.width - 1) + 3
            shapes.append(("\(prefix).\(ParameterNames.scoreBias)", [rows, heads]))
        }
        return shapes
    }
}

extension BackboneConfiguration {
    /// The largest number of patches that an image may have. Attention has as many scores as its square in every
    /// thread; a size that comes from a file must not ask for more memory than there can be.
    package static let maximumPatches = 1 << 14

    /// Checks that the backbone can take images of a size.
    ///
    /// - Throws: `ModelError` when the size does not fit the model, or is too large.
    package func checkImageSize(_ size: ImageSize) throws {
        let (grid, path) = (grid(for: size), "preprocessor_config.json")
        guard anatomy.positions.isFlexible || size == imageSize else {
            throw ModelError(
                path, "gives images of \(size), the model's position embeddings are for \(imageSize)")
        }
        guard grid.height > 0, grid.width > 0 else {
            throw ModelError(path, "gives images of \(size), patches are \(patchSize)")
        }
        guard grid.height * grid.width <= Self.maximumPatches else {
            throw ModelError(
                path,
                "gives images of \(size), which are \(grid) patches; expected at most \(Self.maximumPatches)")
        }
        try PositionEmbeddings.check(size, self)
    }
}

/// Where the parameters of a backbone come from: a checkpoint, or one with adapters merged into it.
package protocol ParameterSource: Sendable {
    /// A parameter by its canonical name (see `ParameterNames`).
    func parameter(_ name: String) throws -> Tensor
    /// Tells that a parameter has been used and its memory may go.
    func release(_ name: String)
}

/// Tasks that share a backbone.
package struct TaskGroup<Backbone: Sendable>: Sendable {
    /// The backbone.
    package let backbone: Backbone
    /// The indices of its tasks among the heads of all groups.
    package let tasks: [Int]

    /// A group of tasks.
    package init(backbone: Backbone, tasks: [Int]) {
        self.backbone = backbone
        self.tasks = tasks
    }
}
