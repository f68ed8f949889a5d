import Files
import VisionTransformers

/// What token merging saves: models with and without it in turn, and the part of a pass that matching takes.
enum TokenMergingBenchmark {
    /// Tokens per block, as constant schedules.
    private static let levels = [4, 8, 13]

    /// The part of one image's time that matching and merging take; the median of several images.
    private static func mergingShare(_ model: MultitaskModel) throws -> Double {
        var noise = RandomBackbone.Noise(state: 9)
        let inputs = (0..<model.inputCount).map { _ in noise.next() }
        let shares = try (0..<15).map { _ in
            let times = try model.profile(inputs)
            return (times[.merging] ?? 0) / times.values.reduce(0, +)
        }
        return median(shares)
    }

    /// Measures and prints all models; gives them as JSON.
    static func run(cores: Int) throws -> JSON {
        print("\ntoken merging           precision  per block  batch  threads   time  operations  matching")
        var lines: [JSON] = []
        for (name, text) in EngineTables.models.prefix(2) {
            let configuration = try BackboneConfiguration(JSON(parsing: Array(text.utf8)), path: name)
            for precision in ComputePrecision.allCases where precision.isSupported {
                let plain = try EngineBenchmark.model(configuration, precision, threads: cores)
                for merged in levels {
                    let merging = try EngineBenchmark.model(configuration, precision, merged: merged, threads: cores)
                    let ratios = try ModelPair(plain, merging).ratios(batch: 8 * cores, turns: 5)
                    let share = try mergingShare(merging)
                    print(
                        Text.left(name, 24), Text.left(precision.rawValue, 9), Text.right("\(merged)", 11),
                        Text.right("\(8 * cores)", 7), Text.right("\(cores)", 9), Text.right(ratios.time, 3, 7),
                        Text.right(ratios.operations, 3, 12), Text.right(share, 3, 10), separator: "")
                    lines.append(
                        .object([
                            "model": .string(name), "precision": .string(precision.rawValue),
                            "merged_per_block": .int(merged), "batch": .int(8 * cores), "threads": .int(cores),
                            "time": .number(ratios.time, decimals: 4),
                            "operations": .number(ratios.operations, decimals: 4),
                            "matching": .number(share, decimals: 4),
                        ]))
                }
            }
        }
        return .array(lines)
    }
}
