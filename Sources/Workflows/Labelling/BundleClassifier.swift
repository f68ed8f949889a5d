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
        self.init(model.heads, fitted: Set(model.fittedTasks)) { model }
        self.model = model
    }

    /// Wraps a model that is loaded when the first image comes.
    ///
    /// - Parameters:
    ///   - heads: the heads of the model, in the order of its logits.
    ///   - fitted: the tasks that have a fit.
    package init(_ heads: [Head], fitted: Set<String> = [], load: @escaping () throws -> GroupedModel) {
        self.load = load
        tasks = heads.map {
            TaskLabels(
                name: $0.task, classes: $0.classes, activation: $0.activation, hasFit: fitted.contains($0.task))
        }
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

    /// Computes the outputs, of shape (images, `tasks.outputCount`).
    ///
    /// - Throws: `ComputeError` when a kernel fails.
    package func logits(
        _ inputs: UnsafeBufferPointer<Float>, images: Int, into output: UnsafeMutableBufferPointer<Float>,
        features: UnsafeMutablePointer<Float>?
    ) throws {
        guard let model, let source = inputs.baseAddress, let target = output.baseAddress else { return }
        let fits = model.fittedTasks.count
        guard fits > 0 else { return try model.run(source, images: images, logits: target, features: features) }
        // The model writes logits and fits each side by side, the outputs have both of an image together.
        let (classes, count) = (model.classCount, model.classCount + model.fittedTasks.count)
        let (logits, values) = (FloatBuffer(count: images * classes), FloatBuffer(count: images * fits))
        try model.run(source, images: images, logits: logits.base, features: features, fits: values.base)
        for image in 0..<images {
            (target + image * count).update(from: logits.base + image * classes, count: classes)
            (target + image * count + classes).update(from: values.base + image * fits, count: fits)
        }
    }
}
