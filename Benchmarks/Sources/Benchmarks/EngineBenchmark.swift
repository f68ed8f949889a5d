import Compute
import Glibc
import Tensors
import VisionTransformers

/// The engine alone, on inputs that are already patches.
struct EngineBenchmark {
    private let model: MultitaskModel
    private let batch: Int
    private let threads: Int
    private let inputs: [Float]
    /// What all tokens would take in every block, too: the whole model's operations.
    private let wholeOperations: Double

    init(
        _ configuration: BackboneConfiguration, batch: Int, threads: Int, precision: ComputePrecision
    ) throws {
        model = try Self.model(configuration, precision, threads: threads)
        (self.batch, self.threads) = (batch, min(batch, threads))
        let (t, d) = (Double(model.hiddenShape[0]), Double(configuration.hiddenSize))
        let block = t * (4 * d * d + 2 * d * Double(configuration.intermediateSize) + 2 * t * d)
        wholeOperations = 2 * (Double(configuration.layers) * block + Double(model.inputCount) * d + 100 * d)
        var noise = RandomBackbone.Noise(state: 7)
        inputs = (0..<batch * model.inputCount).map { _ in noise.next() }
    }

    /// A random backbone with a head of 100 classes.
    ///
    /// - Parameter merged: the tokens that every block merges.
    static func model(
        _ configuration: BackboneConfiguration, _ precision: ComputePrecision, merged: Int = 0, threads: Int
    ) throws -> MultitaskModel {
        let head = try Head(
            task: "all", classes: Head.placeholderNames(100),
            weight: Tensor(shape: [100, configuration.hiddenSize], repeating: 0.01), bias: Tensor(shape: [100]),
            activation: .softmax, path: "benchmark")
        return try MultitaskModel(
            RandomBackbone(configuration), configuration: configuration, heads: [head],
            imageSize: configuration.imageSize, threads: threads, precision: precision,
            quantized: precision == .int8 ? QuantizedBenchmarkBackbone.weights(configuration, threads: threads) : nil,
            tokenMerging: TokenMerging(configuration, configuration.imageSize) { _ in merged })
    }

    /// Measures batches and the processor's limit in turn.
    func measure(turns: Int) throws -> Measurement {
        var logits = [Float](repeating: 0, count: batch * model.classCount)
        return try Measurement(
            turns: turns, threads: threads, precision: model.precision, operations: model.operationsPerImage,
            wholeOperations: wholeOperations
        ) {
            try model.run(inputs, images: batch, logits: &logits)
            return batch
        }
    }

    /// The part of one image's time that each kind of step takes; medians of several images.
    func shares(turns: Int) throws -> (milliseconds: Double, shares: [(stage: ForwardStage, share: Double)]) {
        let profiles = try (0..<turns).map { _ in
            try inputs.withUnsafeBufferPointer { inputs in
                guard let base = inputs.baseAddress else { return [ForwardStage: Double]() }
                return try model.profile(base)
            }
        }
        let times = ForwardStage.allCases.map { stage in median(profiles.map { $0[stage] ?? 0 }) }
        let sum = times.reduce(0, +)
        return (sum * 1e3, zip(ForwardStage.allCases, times.map { $0 / sum }).map { ($0, $1) })
    }
}
