import Compute
import Synchronization
import Tensors

/// A backbone with any number of heads, ready to answer: one pass over an image gives the logits of every task.
///
/// Not safe for use by several callers at once; it spreads the images of a batch over its own threads.
package final class MultitaskModel {
    /// The backbone's shape.
    package let configuration: BackboneConfiguration
    /// The heads in the order of the logits.
    package let heads: [Head]
    /// The size of the images that it takes, in pixels.
    package let imageSize: BackboneConfiguration.Extent
    /// Values of one image's input: patches in row-major order, each (channel, row, column).
    package let inputCount: Int
    /// Logits of one image: all heads' classes in order.
    package let classCount: Int
    /// Values of one image's hidden state: tokens x D.
    package let hiddenShape: [Int]

    /// The most patches that an image may have. Attention's scores are as many as the square of that, in every thread;
    /// sizes that come from a file must not ask for more memory than there can be.
    package static let maximumPatches = 1 << 14

    /// Values of one image's features, if they are asked for.
    package let featureCount: Int

    /// In what numbers it multiplies.
    package let precision: InferencePrecision

    /// Whether all tokens are computed in the last block, as hidden states and observers need, or only those that are read.
    private let givesAllTokens: Bool

    private let pool: WorkerPool
    private let passes: [ForwardPass]

    /// Plans the model for images of one size.
    ///
    /// - Parameters:
    ///   - source: where the weights come from.
    ///   - imageSize: what preprocessing gives.
    ///   - threads: how many images are computed at the same time.
    ///   - givesFeatures: whether `run` can give the features, all parts of them.
    ///   - givesAllTokens: whether `run` can give hidden states, and `observe` can be used. Without, the last block is computed
    ///     only for the tokens that are read.
    ///   - precision: in what numbers it multiplies.
    ///   - rounded: the backbone's blocks in eight bits; int8 is less exact and slower without.
    /// - Throws: `ModelError` when the size does not fit the model; `FileError`; `ComputeError` when the processor has
    ///   no instructions for the precision.
    package convenience init(
        _ source: some ParameterSource, configuration: BackboneConfiguration, heads: [Head],
        imageSize: BackboneConfiguration.Extent, threads: Int, givesFeatures: Bool = false,
        givesAllTokens: Bool = false, precision: InferencePrecision = .f32, rounded: RoundedWeights? = nil
    ) throws {
        try self.init(
            source, configuration: configuration, heads: heads, imageSize: imageSize,
            pool: WorkerPool(workers: threads), givesFeatures: givesFeatures, givesAllTokens: givesAllTokens,
            precision: precision, rounded: rounded)
    }

    /// Plans the model to be computed by threads that it may share.
    init(
        _ source: some ParameterSource, configuration: BackboneConfiguration, heads: [Head],
        imageSize: BackboneConfiguration.Extent, pool: WorkerPool, givesFeatures: Bool = false,
        givesAllTokens: Bool = false, precision: InferencePrecision = .f32, rounded: RoundedWeights? = nil,
        cache: PackedCache? = nil
    ) throws {
        try Self.check(imageSize, configuration)
        self.configuration = configuration
        self.heads = heads
        self.imageSize = imageSize
        let engine = try KernelEngine()
        self.pool = pool
        let plan = try ForwardPlan(
            source, configuration, image: imageSize, heads: heads, givesFeatures: givesFeatures,
            givesAllTokens: givesAllTokens, precision: precision, rounded: rounded, cache: cache,
            engine: engine, pool: pool)
        self.precision = precision
        self.givesAllTokens = givesAllTokens || plan.layout.tokens == plan.tokens
        operationsPerImage = plan.operations
        passes = try (0..<pool.workers).map { _ in try ForwardPass(plan) }
        inputCount = plan.patches * configuration.patchLength
        classCount = plan.classes
        hiddenShape = [plan.tokens, configuration.hiddenSize]
        featureCount = plan.layout.featureSize
    }

    /// Checks that a model can take images of a size.
    ///
    /// - Throws: `ModelError` when the size does not fit the model, or is too large.
    static func check(_ imageSize: BackboneConfiguration.Extent, _ configuration: BackboneConfiguration) throws {
        let grid = configuration.grid(for: imageSize)
        guard configuration.interpolatesPositions || imageSize == configuration.imageSize else {
            throw ModelError(
                "preprocessor_config.json",
                "gives images of \(imageSize), the model's position embeddings are for \(configuration.imageSize)")
        }
        guard grid.height > 0, grid.width > 0 else {
            throw ModelError(
                "preprocessor_config.json", "gives images of \(imageSize), patches are \(configuration.patchSize)")
        }
        guard grid.height * grid.width <= maximumPatches else {
            throw ModelError(
                "preprocessor_config.json",
                "gives images of \(imageSize), which are \(grid) patches; expected at most \(maximumPatches)")
        }
        try PositionEmbeddings.check(imageSize, configuration)
    }

    /// Computes a batch of any size.
    ///
    /// - Parameters:
    ///   - inputs: (images, inputCount).
    ///   - images: how many there are.
    ///   - logits: receives (images, classCount), if wanted.
    ///   - hidden: receives (images, tokens, D) after the final layer normalization, if wanted.
    ///   - features: receives (images, featureCount), what heads read, if wanted.
    /// - Throws: `ModelError` when hidden states are wanted of a model that was not planned for them; `ComputeError` when a
    ///   kernel fails.
    package func run(
        _ inputs: UnsafePointer<Float>, images: Int, logits: UnsafeMutablePointer<Float>?,
        hidden: UnsafeMutablePointer<Float>? = nil, features: UnsafeMutablePointer<Float>? = nil
    ) throws {
        if hidden != nil { try needAllTokens() }
        let failure = Mutex<(any Error)?>(nil)
        let hiddenCount = hiddenShape.reduce(1, *)
        pool.forEach(images) { worker, image in
            do {
                try run(
                    inputs + image * inputCount, worker: worker, logits: logits.map { $0 + image * classCount },
                    hidden: hidden.map { $0 + image * hiddenCount },
                    features: features.map { $0 + image * featureCount })
            } catch {
                failure.withLock { $0 = error }
            }
        }
        if let error = failure.withLock(\.self) { throw error }
    }

    /// Shows what the layers read while a batch is computed.
    ///
    /// - Parameters:
    ///   - inputs: (images, inputCount).
    ///   - images: how many there are.
    ///   - observer: called on several threads at once, each with another image of the batch.
    /// - Throws: `ModelError` when the model was not planned to give all tokens in f32; `ComputeError` when a kernel fails.
    package func observe(
        _ inputs: UnsafePointer<Float>, images: Int, _ observer: @escaping LayerInput.Observer
    ) throws {
        try needAllTokens()
        guard precision == .f32 else {
            throw ModelError("inputs of layers", "expected a model in f32, found \(precision)")
        }
        let failure = Mutex<(any Error)?>(nil)
        let tokens = hiddenShape[0]
        pool.forEach(images) { worker, image in
            do {
                try passes[worker].run(inputs + image * inputCount, logits: nil) { layer, place, buffer in
                    observer(image, layer, place, buffer.base, tokens, buffer.count / tokens)
                }
            } catch {
                failure.withLock { $0 = error }
            }
        }
        if let error = failure.withLock(\.self) { throw error }
    }

    /// Refuses what needs tokens that are not computed.
    func needAllTokens() throws {
        guard givesAllTokens else {
            throw ModelError("hidden states", "the model was planned to give the features alone")
        }
    }

    /// Computes one image on the calling thread, and says how long each kind of step took.
    ///
    /// - Parameter input: (inputCount).
    /// - Returns: seconds; the clock's own time is in them, some 50 ns a step.
    /// - Throws: `ComputeError` when a kernel fails.
    package func profile(_ input: UnsafePointer<Float>) throws -> [ForwardStage: Double] {
        var times: [ForwardStage: Double] = [:]
        var logits = [Float](repeating: 0, count: classCount)
        let clock = ContinuousClock()
        try passes[0].run(
            input, logits: &logits,
            around: { stage, step in
                let start = clock.now
                try step()
                let (seconds, attoseconds) = (clock.now - start).components
                times[stage, default: 0] += Double(seconds) + Double(attoseconds) * 1e-18
            })
        return times
    }

    /// How many threads work on a batch.
    package var workers: Int { pool.workers }

    /// Computes one image as one of the pool's workers.
    func run(
        _ input: UnsafePointer<Float>, worker: Int, logits: UnsafeMutablePointer<Float>?,
        hidden: UnsafeMutablePointer<Float>?, features: UnsafeMutablePointer<Float>? = nil
    ) throws {
        try passes[worker].run(input, logits: logits, hidden: hidden, features: features)
    }

    /// Multiplications and additions of one image's matrix products, for reports: 2·m·k·n each, of those that are computed.
    package let operationsPerImage: Double
}
