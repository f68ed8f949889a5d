package import Tensors

/// A linear layer of the backbone that is trained, and how.
package struct TrainedModule: Sendable, Equatable {
    /// The form of a module's trained change of its weight W.
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
    /// What of it is trained.
    package let form: Form

    /// A module by its canonical name.
    package init(_ name: String, _ form: Form) { (self.name, self.form) = (name, form) }
}

/// Numbers that an optimiser changes in place, and their gradient.
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
