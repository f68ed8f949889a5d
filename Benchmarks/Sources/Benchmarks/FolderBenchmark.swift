import Compute
import Datasets
import Files
import Glibc
import Images
import Labelling
import Tensors
import VisionTransformers

/// `label` of folders of pictures with the sample model, beside decoding and preparing the same pictures and nothing
/// else.
enum FolderBenchmark {
    private static let binary = ".build/release/mergevit"
    private static let tasks = ["traffic", "trash", "corn", "flowers", "clothing", "aerial"]

    /// Measures and prints; gives the figures as JSON.
    static func run(_ samples: [PictureSample], cores: Int) throws -> JSON {
        guard access(binary, X_OK) == 0, access("samples/base/config.json", R_OK) == 0 else {
            print("\nmergevit or the samples are not here: run `make bench` at the top of the project")
            return .null
        }
        let folder = try CommandBenchmark.temporaryFolder()
        let bundle = "\(folder)/bundle"
        defer { CommandBenchmark.remove(folder) }
        let adapters = tasks.flatMap { ["--adapter", "\($0)=samples/adapters/\($0)"] }
        try CommandBenchmark.spawn(
            binary, ["merge", "-q", "--base", "samples/base", "--scale", "0.3", "-o", bundle] + adapters)
        let preparer = try PatchPreparer(ModelBundle(folder: bundle), decoding: DecodingOptions())
        print("\nlabel of a folder, sample model   threads   images/s   prepared only, images/s     ratio")
        var lines: [JSON] = []
        // The other formats take the same way, and their time is that of their decoders.
        for sample in samples where sample.format == "JPEG" || sample.format == "PNG" {
            let place = "\(folder)/pictures"
            let count = try fill(place, sample)
            let options = ["label", "-q", "--threads", "\(cores)", "--bundle", bundle, "-o", "/dev/null"]
            let start = try CommandBenchmark.spawn(binary, options + ["\(place)/0"])
            let runs = try (0..<2).map { _ in try CommandBenchmark.spawn(binary, options + [place]) }
            let labelled = Double(count - 1) / ((runs.map(\.seconds).min() ?? .nan) - start.seconds)
            let prepared = try PictureBenchmark.preparedRate(sample, preparer, threads: cores)
            print(
                Text.left(sample.name, 32), Text.right("\(cores)", 9), Text.right(labelled, 1, 11),
                Text.right(prepared, 1, 26), Text.right(labelled / prepared, 3, 10), separator: "")
            lines.append(
                .object([
                    "picture": .string(sample.name), "threads": .number("\(cores)"), "images": .number("\(count)"),
                    "images_per_second": .number(labelled, decimals: 1),
                    "prepared_images_per_second": .number(prepared, decimals: 1),
                    "ratio": .number(labelled / prepared, decimals: 3),
                ]))
        }
        return .array(lines)
    }

    /// A folder of so many names of one file that it takes about half a second; gives their number.
    private static func fill(_ folder: String, _ sample: PictureSample) throws -> Int {
        CommandBenchmark.remove(folder)
        let count = sample.size.width >= 4000 ? (sample.format == "PNG" ? 8 : 24) : sample.size.width >= 640 ? 96 : 256
        guard mkdir(folder, 0o755) == 0 else { throw ModelError(folder, String(cString: strerror(errno))) }
        let first = "\(folder)/0"
        guard let file = fopen(first, "w"), fwrite(sample.bytes, 1, sample.bytes.count, file) == sample.bytes.count,
            fclose(file) == 0
        else { throw ModelError(first, String(cString: strerror(errno))) }
        for index in 1..<count where link(first, "\(folder)/\(index)") != 0 {
            throw ModelError(folder, String(cString: strerror(errno)))
        }
        return count
    }
}
