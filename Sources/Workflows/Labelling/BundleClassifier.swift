import Images
package import Labelling
import Tensors
package import VisionTransformers

/// A bundle's model as a classifier of all its tasks.
package final class BundleClassifier: MultitaskClassifying {
    private let load: () throws -> GroupedModel
    private var model: GroupedModel?
    /// The bundle's tasks in the order of their logits.
    package let tasks: [TaskLabels]

    /// Wraps a model.
    package convenience init(_ model: GroupedModel) {
        self.init(model.heads) { model }
        self.model = model
    }

    /// Wraps a model that is loaded when the first image comes.
    ///
    /// - Parameter heads: the heads of the model, in the order of its logits.
    package init(_ heads: [Head], load: @escaping () throws -> GroupedModel) {
        self.load = load
        tasks = heads.map { TaskLabels(name: $0.task, classes: $0.classes, activation: $0.activation) }
    }

    /// Which columns of the features the heads of which tasks read; none before the model is loaded.
    package var featureColumns: [FeatureColumns] {
        model?.featureColumns.map { part in
            FeatureColumns(tasks: part.heads.map { tasks[$0].name }, columns: part.columns)
        } ?? []
    }

    /// Loads the model, if it is not yet.
    ///
    /// - Throws: `ModelError`, `FileError`, `ComputeError` as the bundle does.
    package func prepare() throws { if model == nil { model = try load() } }

    /// Computes logits of shape (images, classes of all tasks).
    ///
    /// - Throws: `ComputeError` when a kernel fails.
    package func logits(
        _ inputs: UnsafeBufferPointer<Float>, images: Int, into output: UnsafeMutableBufferPointer<Float>,
        features: UnsafeMutablePointer<Float>?
    ) throws {
        guard let source = inputs.baseAddress else { return }
        try model?.run(source, images: images, logits: output.baseAddress, features: features)
    }
}
