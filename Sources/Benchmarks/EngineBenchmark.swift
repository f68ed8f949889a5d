import CProcessorLimits
import Compute
import Glibc
import Synchronization
import Tensors
import VisionTransformers

/// The engine alone, on inputs that are already patches.
struct EngineBenchmark {
    /// Medians over the turns.
    struct Result {
        let imagesPerSecond: Double
        let operationsPerSecond: Double
        let limit: Double
        /// Median of the ratios within each turn.
        let ratio: Double
        /// Processor seconds that an image took, all threads together; of all turns.
        let processorSeconds: Double
    }

    private let model: MultitaskModel
    private let batch: Int
    private let inputs: [Float]

    init(_ configuration: BackboneConfiguration, batch: Int, threads: Int) throws {
        let head = try Head(
            task: "all", classes: Head.placeholderNames(100),
            weight: Tensor(shape: [100, configuration.hiddenSize], repeating: 0.01), bias: Tensor(shape: [100]),
            path: "benchmark")
        model = try MultitaskModel(
            RandomBackbone(configuration), configuration: configuration, heads: [head],
            imageSize: configuration.imageSize, threads: threads)
        self.batch = batch
        var noise = RandomBackbone.Noise(state: 7)
        inputs = (0..<batch * model.inputCount).map { _ in noise.next() }
    }

    func measure(turns: Int, limitThreads: Int) throws -> Result {
        var logits = [Float](repeating: 0, count: batch * model.classCount)
        return try Self.measure(
            turns: turns, limitThreads: limitThreads, operationsPerImage: model.operationsPerImage
        ) {
            try model.run(inputs, images: batch, logits: &logits)
            return batch
        }
    }

    /// Measures something and the processor's limit in turn.
    ///
    /// - Parameters:
    ///   - precision: whose limit.
    ///   - body: computes some images, and says how many.
    static func measure(
        turns: Int, limitThreads: Int, precision: Precision = .f32, operationsPerImage: Double,
        _ body: () throws -> Int
    ) throws -> Result {
        _ = try body()
        var (rates, limits, ratios): ([Double], [Double], [Double]) = ([], [], [])
        var (processor, all) = (0.0, 0)
        for _ in 0..<turns {
            let before = try ProcessorLimit.measure(precision, threads: limitThreads)
            let (start, processorStart) = (seconds(), seconds(CLOCK_PROCESS_CPUTIME_ID))
            var images = 0
            while seconds() - start < 1 { images += try body() }
            let rate = Double(images) / (seconds() - start)
            processor += seconds(CLOCK_PROCESS_CPUTIME_ID) - processorStart
            all += images
            let after = try ProcessorLimit.measure(precision, threads: limitThreads)
            let limit = (before + after) / 2
            rates.append(rate)
            limits.append(limit)
            ratios.append(rate * operationsPerImage / limit)
        }
        return Result(
            imagesPerSecond: median(rates), operationsPerSecond: median(rates) * operationsPerImage,
            limit: median(limits), ratio: median(ratios), processorSeconds: processor / Double(all))
    }
}

/// What the processor can do with multiply-adds in registers.
enum ProcessorLimit {
    static var instructions: String { String(cString: mv_f32_instructions()) }

    /// Operations per second of so many threads together.
    static func measure(_ precision: Precision, threads: Int) throws -> Double {
        let pool = try WorkerPool(workers: threads)
        let sum = Mutex(0.0)
        pool.forEach(threads) { _, _ in
            let rate = precision == .f32 ? mv_f32_limit(0.25) : mv_bf16_limit(0.25)
            sum.withLock { $0 += rate }
        }
        return sum.withLock(\.self)
    }
}
