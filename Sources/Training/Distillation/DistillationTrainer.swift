import Adapters
import Compute
import Images
import Tensors
import VisionTransformers

/// The merge that is trained: a backbone with the changes that an optimiser makes, read by every task's head.
final class DistillationTrainer {
    /// Values of one image's input.
    var inputCount: Int { backbone.inputCount }
    /// Values of one image's features.
    var featureCount: Int { backbone.featureCount }

    private let backbone: TrainableBackbone
    private let losses: [DistillationLoss]
    private let optimizer: Optimizer
    private let batch: Int
    private let values: ResultBuffer<DistillationLoss.Value>

    /// Plans the training of every linear layer of the blocks.
    ///
    /// - Parameters:
    ///   - start: the merge that training begins with.
    ///   - imageSize: what preprocessing gives.
    ///   - passes: how images are computed.
    /// - Throws: `ModelError` naming what does not fit; `FileError`, `ComputeError`.
    init(
        _ start: some ParameterSource, configuration: BackboneConfiguration, imageSize: ImageSize,
        tasks: [DistillationTask], settings: DistillationSettings, passes: PassSettings
    ) throws {
        let modules = try LoRATargets("all-linear").modules(of: configuration).map { TrainedModule($0, settings.form) }
        let backbone = try TrainableBackbone(
            start, configuration: configuration, imageSize: imageSize, modules: modules,
            featureParts: configuration.featureParts, precision: passes.precision, threads: passes.threads)
        self.backbone = backbone
        losses = try tasks.map { try DistillationLoss($0, settings: settings, features: backbone.featureCount) }
        optimizer = Optimizer(backbone.tensors, AdamW(weightDecay: settings.weightDecay))
        batch = settings.batch
        values = ResultBuffer(tasks.count * batch, DistillationLoss.Value())
        try Initialization(seed: settings.seed).apply(to: backbone.tensors, given: [:])
        try backbone.refresh()
    }

    /// Takes one step.
    ///
    /// - Parameters:
    ///   - inputs: (tasks, batch, `inputCount`).
    ///   - targets: for each task what its single adapter gives of its images, (batch, `featureCount`).
    /// - Returns: the mean over the images, with the weights from before the step.
    /// - Throws: `ModelError` when the loss is not finite; `ComputeError` when a kernel fails.
    func step(
        _ inputs: UnsafePointer<Float>, targets: [UnsafePointer<Float>], learningRate: Double
    ) throws -> DistillationLoss.Value {
        let value = try gradients(inputs, targets: targets)
        guard value.distance.isFinite, value.divergence.isFinite else {
            throw ModelError(
                "step \(optimizer.steps + 1)", "the loss is not a finite number; a smaller learning rate may help")
        }
        optimizer.step(learningRate: learningRate)
        try backbone.refresh()
        return value
    }

    /// Computes the mean loss of a batch, and its gradients into the tensors.
    func gradients(
        _ inputs: UnsafePointer<Float>, targets: [UnsafePointer<Float>]
    ) throws -> DistillationLoss.Value {
        let (values, batch, width) = (values, batch, featureCount)
        let images = losses.count * batch
        try backbone.gradients(inputs, images: images, dropout: nil) { _, image, features, gradient in
            let (task, number) = (image / batch, image % batch)
            values.base[image] = losses[task].evaluate(
                features, targets[task] + number * width, share: 1 / Double(images), gradient: gradient)
        }
        return DistillationLoss.Value(meanOf: UnsafeBufferPointer(start: values.base, count: images))
    }

    /// What training added to the weights, by parameter.
    var deltas: [String: WeightDelta] { WeightDelta.trained(backbone.tensors) }

    /// The gradients of the last batch, for tests.
    var lastGradients: [(name: String, tensor: Tensor)] {
        optimizer.tensors.map { ($0.name, Tensor(shape: $0.shape, values: Array($0.gradient.elements))) }
    }

    /// What is trained, AdamW's moments and the number of steps taken.
    var state: [(name: String, tensor: Tensor)] { optimizer.state }

    /// Goes back to a state that `state` gave.
    ///
    /// - Throws: `ModelError` naming what is missing, left over or misshapen.
    func restore(_ state: [(name: String, tensor: Tensor)]) throws {
        try optimizer.restore(state)
        try backbone.refresh()
    }
}

extension DistillationLoss.Value {
    /// The mean of several images.
    package init(meanOf values: some Collection<Self>) {
        for value in values {
            distance += value.distance
            divergence += value.divergence
            sameLabel += value.sameLabel
        }
        let count = Double(max(values.count, 1))
        (distance, divergence, sameLabel) = (distance / count, divergence / count, sameLabel / count)
    }
}
