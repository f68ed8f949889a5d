import Compute
import Files
import Glibc
import Tensors
import Training
import VisionTransformers

/// `make bench`: the whole command; the engine and training beside the processor's limit, and pictures beside their
/// libraries, measured in turn in one run.
///
/// Arguments name the parts that are wanted: engine, families, streams, tokens, shares, training, pictures, command;
/// `--json FILE` writes the figures there, too.
@main
struct Benchmarks {
    static func main() throws {
        let cores = AvailableProcessors.count
        var wanted = Array(CommandLine.arguments.dropFirst())
        var file: String?
        if let flag = wanted.firstIndex(of: "--json"), flag + 1 < wanted.count {
            file = wanted[flag + 1]
            wanted.removeSubrange(flag...flag + 1)
        }
        func wants(_ part: String) -> Bool { wanted.isEmpty || wanted.contains(part) }
        var result = Machine.json(cores: cores)
        print(Machine.line(cores: cores), "\n")
        let base = try BackboneConfiguration(JSON(parsing: Array(RandomBackbone.base16.utf8)), path: "config.json")
        // First: what a child is said to have taken at most begins with what this process has.
        if wants("command") { result["command"] = try CommandBenchmark.run(base) }
        if wants("engine") { result["engine"] = try EngineTables.measure(cores: cores) }
        if wants("families") { result["families"] = try FamilyTable.measure() }
        if wants("streams") { result["streams"] = try StreamBenchmark.run(cores: cores) }
        if wants("tokens") { result["tokens"] = try TokenMergingBenchmark.run(cores: cores) }
        if wants("shares") { result["shares"] = try EngineTables.shares() }
        if wants("training") { result["training"] = try training(base, threads: cores) }
        if wants("pictures") {
            let samples = try PictureSample.all()
            result["pictures"] = try PictureBenchmark.run(samples, cores: cores)
            result["labelling_pictures"] = try FolderBenchmark.run(samples, cores: cores)
        }
        result["load_at_end"] = Machine.load
        if let file { try write(JSON.object(result).serialized(), to: file) }
    }

    private static func training(_ configuration: BackboneConfiguration, threads: Int) throws -> JSON {
        print("\nLoRA of ViT-B/16, rank 16 on q and v, batch 8   images/s  CPU ms/image  of limit")
        var lines: [JSON] = []
        for precision in [ComputePrecision.f32, .bf16] where precision.isSupported {
            let result = try TrainingBenchmark(
                configuration, batch: 8, precision: precision == .f32 ? .f32 : .bf16, threads: threads
            ).measure(turns: 5, threads: threads)
            print(
                Text.left("\(precision), \(threads) threads", 48), Text.right(result.imagesPerSecond, 2, 8),
                Text.right(result.processorSeconds * 1e3, 1, 14), Text.right(result.ratio, 3, 10), separator: "")
            var line = result.json
            line["precision"] = .string(precision.rawValue)
            lines.append(.object(line))
        }
        return .array(lines)
    }

    private static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w"), fputs(text, file) >= 0, fclose(file) == 0 else {
            throw ModelError(path, String(cString: strerror(errno)))
        }
    }
}
