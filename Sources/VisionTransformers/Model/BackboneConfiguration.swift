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
    /// The MLP's activation; ignored with SwiGLU, which uses SiLU.
    package var activation: Activation
    /// Whether the MLP is gated: down(silu(gate(x)) · up(x)).
    package var usesSwiGLU: Bool
    /// The epsilon of layer normalization.
    package var layerNormEpsilon: Float
    /// The image size that the position embeddings are for, in pixels.
    package var imageSize: ImageSize
    /// The size of a patch in pixels.
    package var patchSize: ImageSize
    /// Whether query, key and value have biases.
    package var hasQKVBias: Bool
    /// The tokens before those of patches.
    package var prefix: PrefixTokens

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

    /// The number of parts of the features (see `FeatureParts`).
    package var featureParts: Int { prefix.count + 1 }

    /// The number of first parts that `classifier` in transformers reads.
    package var classifierParts: Int { family.features.classifier }

    /// The width of the vector that heads may read.
    package var featureSize: Int { hiddenSize * featureParts }

    /// The widths that a head's weight may have.
    package var headWidths: [Int] { (1...featureParts).map { hiddenSize * $0 } }

    /// The canonical names of the linear layers of a block's MLP: the first layer, or a gated MLP's gate; a gated MLP's
    /// up branch; and the last layer.
    func mlpNames(_ layer: Int) -> (first: String, up: String?, second: String) {
        let name = "layers.\(layer).mlp"
        return usesSwiGLU
            ? ("\(name).gate_proj", "\(name).up_proj", "\(name).down_proj") : ("\(name).fc1", nil, "\(name).fc2")
    }

    /// The parameters of the backbone with their shapes, by this project's names (see `ParameterNames`).
    package var parameterShapes: [(name: String, shape: [Int])] {
        let (d, m) = (hiddenSize, intermediateSize)
        let grid = grid(for: imageSize)
        var shapes: [(String, [Int])] = [("embeddings.cls_token", [1, 1, d])]
        if prefix.hasDistillation { shapes.append(("embeddings.distillation_token", [1, 1, d])) }
        shapes.append(("embeddings.position_embeddings", [1, grid.height * grid.width + prefix.count, d]))
        shapes.append(
            ("\(ParameterNames.patchProjection).weight", [d, Self.channels, patchSize.height, patchSize.width]))
        shapes.append(("\(ParameterNames.patchProjection).bias", [d]))
        func linear(_ name: String, _ outputs: Int, _ inputs: Int, bias: Bool = true) {
            shapes.append(("\(name).weight", [outputs, inputs]))
            if bias { shapes.append(("\(name).bias", [outputs])) }
        }
        for layer in 0..<layers {
            let prefix = "layers.\(layer)"
            for norm in ["norm1", "norm2"] {
                shapes.append(("\(prefix).\(norm).weight", [d]))
                shapes.append(("\(prefix).\(norm).bias", [d]))
            }
            for projection in ["q_proj", "k_proj", "v_proj"] {
                linear("\(prefix).attention.\(projection)", d, d, bias: hasQKVBias)
            }
            linear("\(prefix).attention.o_proj", d, d)
            let mlp = mlpNames(layer)
            linear(mlp.first, m, d)
            if let up = mlp.up { linear(up, m, d) }
            linear(mlp.second, d, m)
            if family.hasLayerScale {
                shapes.append(("\(prefix).layer_scale1.lambda1", [d]))
                shapes.append(("\(prefix).layer_scale2.lambda1", [d]))
            }
        }
        shapes.append(("layernorm.weight", [d]))
        shapes.append(("layernorm.bias", [d]))
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
        guard family.interpolatesPositions || size == imageSize else {
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
