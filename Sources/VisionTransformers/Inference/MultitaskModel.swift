import Compute
package import Images
import Synchronization
import Tensors

/// A backbone with any number of heads: one pass over an image gives the logits of all tasks.
///
/// Not safe for use by several callers at once; it spreads the images of a batch over its own threads.
package final class MultitaskModel {
    /// The backbone's shape.
    package var configuration: BackboneConfiguration { shape.configuration }
    /// The heads in the order of the logits.
    package let heads: [Head]
    /// The size of its images, in pixels.
    package var imageSize: ImageSize { shape.imageSize }
    /// Values of one image's input: patches in row-major order, each (channel, row, column).
    package var inputCount: Int { shape.patches * configuration.patchLength }
    /// Logits of one image: all heads' classes in order.
    package var classCount: Int { heads.reduce(0) { $0 + $1.classes.count } }
    /// Values of one image's hidden state: tokens x D.
    package var hiddenShape: [Int] { [shape.tokens, configuration.hiddenSize] }

    /// Values of one image's features.
    package let featureCount: Int
    /// Values of one image's summary (see `TokenSummary`).
    package var summaryCount: Int { configuration.summaryCount }

    /// In which numbers it multiplies.
    package var precision: ComputePrecision { shape.precision }

    /// Whether the last block computes all tokens, as hidden states and observers need.
    private var computesAllTokens: Bool { !shape.poolsTokens && !hasStreams }
    /// Whether every head reads a token of its own task.
    let hasStreams: Bool
    /// How many images a thread computes at once, at most.
    let groupSize: Int
    private let shape: ForwardShape
    private let pool: WorkerPool
    private let passes: [ForwardPass]

    /// Plans the model for images of one size.
    ///
    /// - Parameters:
    ///   - source: where the weights come from.
    ///   - imageSize: the size of the images, as preprocessing gives them.
    ///   - threads: how many images are computed at the same time.
    ///   - outputs: what the model gives besides logits: `.features` for `run`, `.allTokens` for hidden states and
    ///     `observe`.
    ///   - precision: in which numbers it multiplies.
    ///   - tokenMerging: how many tokens each block merges; nil for none.
    ///   - quantized: the backbone's blocks in eight bits; int8 is less exact and slower without.
    /// - Throws: `ModelError` when the size does not fit the model; `FileError`; `ComputeError` when the processor has
    ///   no instructions for the precision.
    package convenience init(
        _ source: some ParameterSource, configuration: BackboneConfiguration, heads: [Head], imageSize: ImageSize,
        threads: Int, outputs: ModelOutputs = [], precision: ComputePrecision = .f32,
        quantized: QuantizedWeights? = nil, streams: TaskStreams? = nil, tokenMerging: TokenMerging? = nil
    ) throws {
        try self.init(
            BackboneWeights(source, quantized: quantized, streams: streams), configuration: configuration, heads: heads,
            InferenceSettings(imageSize: imageSize, outputs: outputs, precision: precision, tokenMerging: tokenMerging),
            WorkerPool(workers: threads))
    }

    /// Plans a model without heads for passes over many images.
    package convenience init(
        _ source: some ParameterSource, configuration: BackboneConfiguration, imageSize: ImageSize,
        passes: PassSettings, outputs: ModelOutputs = [], streams: TaskStreams? = nil
    ) throws {
        try self.init(
            source, configuration: configuration, heads: [], imageSize: imageSize, threads: passes.threads,
            outputs: outputs, precision: passes.precision.computePrecision, streams: streams)
    }

    /// Plans the model to be computed by threads that it may share.
    init(
        _ weights: BackboneWeights, configuration: BackboneConfiguration, heads: [Head],
        _ settings: InferenceSettings, _ pool: WorkerPool
    ) throws {
        try configuration.checkImageSize(settings.imageSize)
        try settings.tokenMerging?.check(configuration, settings.imageSize)
        guard settings.tokenMerging == nil || !settings.outputs.contains(.allTokens) else {
            throw ModelError("token merging", "not possible where the hidden states of all tokens are wanted")
        }
        self.heads = heads
        self.pool = pool
        hasStreams = weights.streams != nil
        var settings = settings
        if hasStreams { settings.outputs = .streamContext }
        let engine = try KernelEngine()
        let shape = ForwardShape(configuration, heads: hasStreams ? [] : heads, settings)
        self.shape = shape
        let plan = try ForwardPlan(shape, heads: hasStreams ? [] : heads, weights, engine, pool)
        let streams = try weights.streams.map {
            try StreamPlan(shape, heads: heads, $0, cache: weights.cache, engine, pool)
        }
        operationsPerImage = plan.operations + (streams?.operations ?? 0)
        passes = try (0..<pool.workers).map { _ in try ForwardPass(plan, streams: streams) }
        groupSize = streams?.shape.groupSize ?? 1
        featureCount =
            streams.map { $0.shape.streams * configuration.hiddenSize } ?? shape.features.featureSize
    }

    /// The parts of a batch, each computed at once by one thread: of a model with task streams several images, which
    /// read the weights of streams together. All threads get as many parts, of sizes that differ by one at most.
    func units(images: Int) -> [Range<Int>] {
        let workers = pool.workers
        let full = (images + groupSize - 1) / groupSize
        let count = min(images, (full + workers - 1) / workers * workers)
        return (0..<count).map { images * $0 / count..<images * ($0 + 1) / count }
    }

    /// Computes a batch of any size.
    ///
    /// - Parameters:
    ///   - inputs: (images, inputCount).
    ///   - images: the number of images.
    ///   - logits: receives (images, classCount), or nil.
    ///   - hidden: receives (images, tokens, D) after the final layer normalization, or nil.
    ///   - features: receives (images, featureCount), the vectors that heads read, or nil.
    ///   - summaries: receives (images, summaryCount), what fits know of the images, or nil.
    /// - Throws: `ModelError` for hidden states of a model that was not planned for them; `ComputeError` when a kernel
    ///   fails.
    package func run(
        _ inputs: UnsafePointer<Float>, images: Int, logits: UnsafeMutablePointer<Float>?,
        hidden: UnsafeMutablePointer<Float>? = nil, features: UnsafeMutablePointer<Float>? = nil,
        summaries: UnsafeMutablePointer<Float>? = nil
    ) throws {
        if hidden != nil { try requireAllTokens() }
        let failure = Mutex<(any Error)?>(nil)
        let hiddenCount = hiddenShape.reduce(1, *)
        let units = units(images: images)
        pool.forEach(units.count) { worker, unit in
            let image = units[unit].lowerBound
            do {
                try run(
                    inputs + image * inputCount, images: units[unit].count, worker: worker,
                    logits: logits.map { $0 + image * classCount },
                    hidden: hidden.map { $0 + image * hiddenCount },
                    features: features.map { $0 + image * featureCount },
                    summaries: summaries.map { $0 + image * summaryCount })
            } catch {
                failure.withLock { $0 = error }
            }
        }
        if let error = failure.withLock(\.self) { throw error }
    }

    /// Receives what the layers of one site read for one image of the batch: (rows, columns), valid during the call
    /// only.
    package typealias LayerObserver = (
        _ image: Int, _ layer: Int, _ site: LayerSite, _ values: UnsafePointer<Float>, _ rows: Int, _ columns: Int
    ) -> Void

    /// Shows what the layers read while a batch is computed, in 32-bit floats.
    ///
    /// - Parameters:
    ///   - inputs: (images, inputCount).
    ///   - images: the number of images.
    ///   - features: receives (images, featureCount), the vectors that heads read, or nil.
    ///   - observer: called on several threads at once, each with another image of the batch.
    /// - Throws: `ModelError` when the model was not planned to give all tokens, or computes in int8; `ComputeError`
    ///   when a kernel fails.
    package func observe(
        _ inputs: UnsafePointer<Float>, images: Int, features: UnsafeMutablePointer<Float>? = nil,
        _ observer: @escaping LayerObserver
    ) throws {
        try requireAllTokens()
        guard precision != .int8 else {
            throw ModelError("inputs of layers", "expected a model in f32 or bf16, found \(precision)")
        }
        let failure = Mutex<(any Error)?>(nil)
        let tokens = hiddenShape[0]
        let widest = LayerSite.allCases.map { $0.columns(configuration) }.max() ?? 0
        let widened = passes.map { _ in FloatBuffer(count: precision == .f32 ? 0 : tokens * widest) }
        pool.forEach(images) { worker, image in
            do {
                try passes[worker].run(
                    inputs + image * inputCount, logits: nil, features: features.map { $0 + image * featureCount },
                    observer: { layer, site, buffer in
                        let columns = site.columns(self.configuration)
                        let values = buffer.floats(count: tokens * columns, widenedInto: widened[worker])
                        observer(image, layer, site, values, tokens, columns)
                    })
            } catch {
                failure.withLock { $0 = error }
            }
        }
        if let error = failure.withLock(\.self) { throw error }
    }

    /// Refuses to give hidden states that are not computed.
    func requireAllTokens() throws {
        guard computesAllTokens else {
            throw ModelError(
                "hidden states",
                hasStreams
                    ? "a model with task streams has none of all tokens"
                    : "the model was planned to give the features alone")
        }
    }

    /// Computes one image on the calling thread, and measures each kind of step.
    ///
    /// - Parameter input: (inputCount).
    /// - Returns: seconds, including the clock's own time of about 50 ns per step.
    /// - Throws: `ComputeError` when a kernel fails.
    package func profile(_ input: UnsafePointer<Float>) throws -> [ForwardStage: Double] {
        var times: [ForwardStage: Double] = [:]
        var logits = [Float](repeating: 0, count: classCount)
        let clock = ContinuousClock()
        func measure(_ stage: ForwardStage, _ step: () throws -> Void) throws {
            let start = clock.now
            try step()
            let (seconds, attoseconds) = (clock.now - start).components
            times[stage, default: 0] += Double(seconds) + Double(attoseconds) * 1e-18
        }
        if hasStreams {
            try passes[0].record(input, as: 0, around: measure)
            try measure(.streams) { try passes[0].runStreams(images: 1, logits: &logits, features: nil) }
        } else {
            try passes[0].run(input, logits: &logits, around: measure)
        }
        return times
    }

    /// How many threads work on a batch.
    package var workers: Int { pool.workers }

    /// Computes a unit of a batch as one of the pool's workers (see `units`).
    func run(
        _ inputs: UnsafePointer<Float>, images: Int, worker: Int, logits: UnsafeMutablePointer<Float>?,
        hidden: UnsafeMutablePointer<Float>?, features: UnsafeMutablePointer<Float>? = nil,
        summaries: UnsafeMutablePointer<Float>? = nil
    ) throws {
        let pass = passes[worker]
        guard hasStreams else {
            return try pass.run(inputs, logits: logits, hidden: hidden, features: features, summary: summaries)
        }
        for image in 0..<images {
            try pass.record(
                inputs + image * inputCount, as: image, summary: summaries.map { $0 + image * summaryCount })
        }
        try pass.runStreams(images: images, logits: logits, features: features)
    }

    /// Multiplications and additions of one image's matrix products, for reports: 2·m·k·n each, of those that are
    /// computed.
    package let operationsPerImage: Double

    /// How long the linear layers of a sublayer take, in multiplications.
    func work(of sublayer: BlockSublayer) -> Double { shape.work(of: sublayer) }
}
