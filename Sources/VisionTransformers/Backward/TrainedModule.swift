package import Tensors

/// A linear layer of the backbone that is trained, and how.
package struct TrainedModule: Sendable, Equatable {
    /// What is trained of a module's weight W.
    package enum Form: Sendable, Equatable {
        /// W + scale · B·A with A (rank, inputs) and B (outputs, rank). Hu et al., LoRA, ICLR 2022 (arXiv 2106.09685).
        case lowRank(rank: Int, scale: Double)
        /// W + ΔW with every element of ΔW.
        case dense
    }

    /// The largest rank of a low-rank module.
    package static let maximumRank = 65536

    /// The canonical name, such as `layers.0.attention.q_proj`.
    package let name: String
    /// What is trained of it.
    package let form: Form

    /// A module by its canonical name.
    package init(_ name: String, _ form: Form) { (self.name, self.form) = (name, form) }
}

/// Numbers that an optimiser changes where they lie, and the gradient that it goes by.
package final class TrainedTensor: Sendable {
    /// The name: `MODULE.lora_A.weight`, `MODULE.lora_B.weight`, or `MODULE.delta`.
    package let name: String
    /// The extents.
    package let shape: [Int]
    /// The elements, zero at first.
    package let values: FloatBuffer
    /// The gradient of the last batch, as large as `values`.
    package let gradient: FloatBuffer

    /// A tensor of zeros.
    package init(_ name: String, shape: [Int]) {
        let zeros = [Float](repeating: 0, count: shape.reduce(1, *))
        (self.name, self.shape) = (name, shape)
        (values, gradient) = (FloatBuffer(zeros), FloatBuffer(zeros))
    }

    /// The elements with their shape.
    package var tensor: Tensor { Tensor(shape: shape, values: Array(values.elements)) }

    /// Sets the elements.
    ///
    /// - Throws: `ModelError` when the shape is another.
    package func set(_ tensor: Tensor) throws {
        guard tensor.shape == shape else { throw ModelError(name, "expected shape \(shape), found \(tensor.shape)") }
        values.elements.baseAddress?.update(from: tensor.values, count: tensor.count)
    }
}

/// A trained module's place in its block.
struct ModulePlace: Sendable, Equatable {
    let layer: Int
    let place: LayerInput.Place
    /// The module's number among those that read in this place: which columns of the layer's output are its own.
    let position: Int
    let inputs: Int
    let outputs: Int

    /// Finds a module in a backbone.
    ///
    /// - Throws: `ModelError` when there is no such linear layer in a block.
    init(_ module: String, _ c: BackboneConfiguration) throws {
        let shape = c.parameterShapes.first { $0.name == "\(module).weight" }?.shape
        guard let layer = ParameterNames.layer(of: module), let shape, shape.count == 2,
            let inner = module.split(separator: ".", maxSplits: 2).last.map(String.init),
            let place = LayerInput.Place.allCases.first(where: { $0.modules.contains(inner) })
        else { throw ModelError(module, "not a linear layer in a block of this \(c.family.rawValue)") }
        self.layer = layer
        self.place = place
        position =
            place.modules.filter { name in
                c.parameterShapes.contains { $0.name == "layers.\(layer).\(name).weight" }
            }.firstIndex(of: inner) ?? 0
        (outputs, inputs) = (shape[0], shape[1])
    }

    /// Places in the order in which an image passes them, over all layers.
    var depth: Int { Self.depth(layer, place) }

    static func depth(_ layer: Int, _ place: LayerInput.Place) -> Int {
        let places = LayerInput.Place.allCases
        return layer * places.count + (places.firstIndex(of: place) ?? 0)
    }
}
