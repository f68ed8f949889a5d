import Compute
import Glibc
import Tensors
import VisionTransformers

/// `make bench`: the engine and training beside the processor's limit, measured in turn in one run; then the whole command.
/// Arguments name the parts that are wanted: engine, training, command.
@main
struct Benchmarks {
    /// Turns of limit and engine; medians are reported, because machines are shared and noisy.
    static let turns = 7

    static func main() throws {
        let threads = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        let configuration = try BackboneConfiguration(
            JSON(parsing: Array(RandomBackbone.base16.utf8)), path: "config.json")
        print("\(KernelEngine.libraryVersion), \(ProcessorLimit.instructions), \(threads) threads")
        print("ViT-B/16 at 224 x 224, random weights, f32 unless bf16 is said\n")
        let wanted = CommandLine.arguments.dropFirst()
        func wants(_ part: String) -> Bool { wanted.isEmpty || wanted.contains(part) }
        if wants("engine") { try engine(configuration, threads: threads) }
        if wants("training") { try training(configuration, threads: threads) }
        if wants("command") { try CommandBenchmark.run(configuration) }
    }

    private static func engine(_ configuration: BackboneConfiguration, threads: Int) throws {
        print("engine                      images/s    GFLOP/s   limit GFLOP/s   ratio to limit")
        for batch in [1, 8, 32] {
            let used = min(batch, threads)
            let result = try EngineBenchmark(configuration, batch: batch, threads: threads)
                .measure(turns: turns, limitThreads: used)
            line("batch \(batch) on \(used) threads", result, decimals: 1)
        }
    }

    private static func training(_ configuration: BackboneConfiguration, threads: Int) throws {
        print("LoRA, rank 16 on q and v    images/s    GFLOP/s   limit GFLOP/s   ratio to limit   CPU s/image")
        for precision in Precision.allCases where precision.isSupported {
            let result = try TrainingBenchmark(configuration, batch: 8, precision: precision, threads: threads)
                .measure(turns: turns, limitThreads: threads)
            line(
                "\(precision), batch 8, \(threads) threads", result, decimals: 2,
                more: column(result.processorSeconds, 2, 14))
        }
    }

    private static func line(_ name: String, _ result: EngineBenchmark.Result, decimals: Int, more: String = "") {
        print(
            column(name, 24), column(result.imagesPerSecond, decimals, 11),
            column(result.operationsPerSecond * 1e-9, 1, 10), column(result.limit * 1e-9, 1, 15),
            column(result.ratio, 3, 16), more, separator: "")
    }

    private static func column(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    static func column(_ value: Double, _ decimals: Int, _ width: Int) -> String {
        let text = decimal(value, decimals)
        return String(repeating: " ", count: max(0, width - text.count)) + text
    }

    /// A number with a fixed number of decimals.
    static func decimal(_ value: Double, _ decimals: Int) -> String {
        let scale = (0..<decimals).reduce(1.0) { power, _ in power * 10 }
        let digits = String(Int((value * scale).rounded()))
        let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
        return decimals == 0 ? padded : "\(padded.dropLast(decimals)).\(padded.suffix(decimals))"
    }
}

/// The middle value.
func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? .nan : sorted[sorted.count / 2]
}

/// Seconds since some fixed moment, or of another clock.
func seconds(_ clock: clockid_t = CLOCK_MONOTONIC) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
}
