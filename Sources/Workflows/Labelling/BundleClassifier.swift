import Images
package import Labelling
import Tensors
package import VisionTransformers

/// A bundle's model as a classifier of all its tasks.
package struct BundleClassifier: MultitaskClassifying {
    private let model: GroupedModel
    /// The bundle's tasks in the order of their logits.
    package let tasks: [TaskLabels]

    /// Wraps a model.
    package init(_ model: GroupedModel) {
        self.model = model
        tasks = model.heads.map { TaskLabels(name: $0.task, classes: $0.classes, activation: $0.activation) }
    }

    /// Computes logits of shape (images, classes of all tasks).
    ///
    /// - Throws: `ComputeError` when a kernel fails.
    package func logits(
        _ inputs: UnsafeBufferPointer<Float>, images: Int, into output: UnsafeMutableBufferPointer<Float>
    ) throws {
        guard let source = inputs.baseAddress else { return }
        try model.run(source, images: images, logits: output.baseAddress)
    }
}
