import Compute
package import Images
import Tensors

/// The patch tokens of a backbone as task streams read them, trained: computes the gradient of `TokenLoss` by changes
/// of the backbone's linear layers.
///
/// The last block's layers compute no patch tokens that a stream reads, so they are not trained. The gradients have the
/// same bits on any number of threads (see `TrainableBackbone`). Not safe for use by several callers at once.
package final class TrainableTokens {
    /// Values of one image's input.
    package var inputCount: Int { backbone.inputCount }
    /// The trained tensors, zero at first. After changing the values call `refresh`.
    package var tensors: [TrainedTensor] { backbone.tensors }
    /// How much each task's loss counts; as many as there are tasks.
    package var weights: [Double]

    private let backbone: TrainableBackbone
    private let adapters: AdaptedTokens
    private let losses: [TokenLossPass]
    private let tasks, tokens, width, layers: Int

    /// Plans the passes.
    ///
    /// - Parameters:
    ///   - start: the weights that training begins with.
    ///   - streams: the streams whose token maps the loss looks through; the changes of layers that they make are
    ///     those of the single adapters.
    ///   - form: what is trained of each layer.
    ///   - passes: how the single adapters' tokens, and those that are trained, are computed.
    /// - Throws: `ModelError` for a backbone of one block, whose patch tokens depend on no layer; `ModelError`,
    ///   `FileError`, `ComputeError`.
    package init(
        _ start: some ParameterSource, streams: TaskStreams, configuration c: BackboneConfiguration,
        imageSize: ImageSize, form: TrainedModule.Form, passes: PassSettings
    ) throws {
        guard c.layers > 1 else {
            throw ModelError(
                "distillation with streams", "a backbone of one block has no layers that patch tokens depend on")
        }
        let modules = c.linearModules.filter { ParameterNames.layer(of: $0).map { $0 < c.layers - 1 } ?? false }
        let backbone = try TrainableBackbone(
            start, configuration: c, imageSize: imageSize, modules: modules.map { TrainedModule($0, form) },
            featureParts: 1, precision: passes.precision, threads: passes.threads)
        self.backbone = backbone
        let grid = c.grid(for: imageSize)
        (tasks, width, layers) = (streams.streams.count, c.hiddenSize, c.layers)
        weights = streams.streams.map { _ in 1 }
        tokens = grid.height * grid.width + c.prefix.count - 1
        let engine = try KernelEngine()
        adapters = try AdaptedTokens(
            streams.base, c, image: imageSize, adapters: streams.streams.map(\.changes), engine: engine,
            passes: passes)
        let plan = try TokenLossPlan(
            streams.base, c, tokens: tokens, maps: streams.streams.map(\.maps), engine)
        losses = try (0..<backbone.workers).map { _ in try TokenLossPass(plan) }
    }

    /// Brings the tensors' current values to the passes.
    ///
    /// - Throws: `ComputeError` when a changed weight cannot be packed.
    package func refresh() throws { try backbone.refresh() }

    /// Computes the gradient of the mean weighted loss of a batch by the trained tensors, and leaves it in them. The
    /// targets, of all images of the batch, are in memory at once: (images, L - 1, N, D).
    ///
    /// - Parameters:
    ///   - inputs: (tasks, batch, `inputCount`).
    ///   - batch: images of each task.
    /// - Returns: the mean loss of each task over its images, the blocks, and the channels of a token; not weighted.
    /// - Throws: `ComputeError` when a kernel fails.
    package func gradients(_ inputs: UnsafePointer<Float>, batch: Int) throws -> [Double] {
        let (count, blocks, images) = (tokens * width, layers - 1, tasks * batch)
        let targets = FloatBuffer(count: images * blocks * count)
        for task in 0..<tasks {
            try adapters.run(inputs + task * batch * inputCount, images: batch, adapter: task) { image, layer, rows in
                let start = ((task * batch + image) * blocks + layer - 1) * count
                (targets.base + start).update(from: rows + width, count: count)
            }
        }
        let values = FloatBuffer([Float](repeating: 0, count: images * blocks))
        let shares = weights.map { $0 / Double(images * blocks) }
        try backbone.tokenGradients(inputs, images: images) { [width, losses] worker, image, layer, rows, sum in
            let place = image * blocks + layer - 1
            values.base[place] = Float(
                try losses[worker].evaluate(
                    task: image / batch, layer: layer, rows + width, targets.base + place * count,
                    share: shares[image / batch],
                    addingTo: sum + width))
        }
        return (0..<tasks).map { task in
            let range = task * batch * blocks..<(task + 1) * batch * blocks
            return range.reduce(0) { $0 + Double(values.base[$1]) } / Double(range.count * width)
        }
    }
}
