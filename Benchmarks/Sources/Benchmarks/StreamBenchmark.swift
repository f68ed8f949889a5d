import Compute
import Files
import Tensors
import VisionTransformers

/// What task streams cost beside a merged pass over the same images: both in turn, in one run.
struct StreamBenchmark {
    private static let classes = 20

    private let configuration: BackboneConfiguration
    private let precision: ComputePrecision
    private let threads: Int

    init(_ configuration: BackboneConfiguration, precision: ComputePrecision, threads: Int) {
        (self.configuration, self.precision, self.threads) = (configuration, precision, threads)
    }

    /// Random streams with LoRA of rank 16 on queries and values, and token maps of rank 64.
    private func streams(_ count: Int) -> [TaskStream] {
        var noise = RandomBackbone.Noise(state: 3)
        let d = configuration.hiddenSize
        func change(_ rank: Int) -> LowRankChange {
            func tensor(_ rows: Int, _ columns: Int) -> Tensor {
                Tensor(shape: [rows, columns], values: (0..<rows * columns).map { _ in noise.next() * 0.01 })
            }
            return LowRankChange(down: tensor(rank, d), up: tensor(d, rank))
        }
        return (0..<count).map { number in
            var changes: [String: LowRankChange] = [:]
            for layer in 0..<configuration.layers {
                for name in ["q_proj", "v_proj"] { changes["layers.\(layer).attention.\(name)"] = change(16) }
            }
            let maps = (0..<configuration.layers).map { _ in
                TokenMap(change(64), shift: [Float](repeating: 0.01, count: d))
            }
            return TaskStream(task: "\(number)", changes: changes, maps: maps)
        }
    }

    private func model(_ count: Int, hasStreams: Bool) throws -> MultitaskModel {
        let heads = try (0..<count).map { number in
            try Head(
                task: "\(number)", classes: Head.placeholderNames(Self.classes),
                weight: Tensor(shape: [Self.classes, configuration.hiddenSize], repeating: 0.01),
                bias: Tensor(shape: [Self.classes]), activation: .softmax, path: "benchmark")
        }
        let source = RandomBackbone(configuration)
        return try MultitaskModel(
            source, configuration: configuration, heads: heads, imageSize: configuration.imageSize, threads: threads,
            precision: precision,
            quantized: precision == .int8 ? QuantizedBenchmarkBackbone.weights(configuration, threads: threads) : nil,
            streams: hasStreams ? TaskStreams(base: source, streams: streams(count)) : nil)
    }

    /// The ratio of the time of a batch with streams to that of a merged pass, and the ratio of operations.
    func ratios(streams count: Int, batch: Int, turns: Int) throws -> (time: Double, operations: Double) {
        try ModelPair(model(count, hasStreams: false), model(count, hasStreams: true)).ratios(
            batch: batch, turns: turns)
    }

    /// Measures and prints all models; gives them as JSON.
    static func run(cores: Int) throws -> JSON {
        print("\ntask streams beside one merged pass   precision  streams  batch  threads   time  operations")
        var lines: [JSON] = []
        for (name, text) in EngineTables.models.prefix(2) {
            let configuration = try BackboneConfiguration(JSON(parsing: Array(text.utf8)), path: name)
            for precision in ComputePrecision.allCases where precision.isSupported {
                for (count, batch, threads) in [
                    (6, 8 * cores, cores), (6, 8, 1), (6, 1, 1), (32, 8 * cores, cores),
                ] {
                    let benchmark = StreamBenchmark(configuration, precision: precision, threads: threads)
                    let ratios = try benchmark.ratios(streams: count, batch: batch, turns: 5)
                    print(
                        Text.left(name, 38), Text.left(precision.rawValue, 9), Text.right("\(count)", 9),
                        Text.right("\(batch)", 7), Text.right("\(threads)", 9), Text.right(ratios.time, 3, 7),
                        Text.right(ratios.operations, 3, 12), separator: "")
                    lines.append(
                        .object([
                            "model": .string(name), "precision": .string(precision.rawValue), "streams": .int(count),
                            "batch": .int(batch), "threads": .int(threads), "time": .number(ratios.time, decimals: 4),
                            "operations": .number(ratios.operations, decimals: 4),
                        ]))
                }
            }
        }
        return .array(lines)
    }
}
