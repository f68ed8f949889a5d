import Files
import Glibc
import Tensors
import VisionTransformers

/// The whole command on a bundle of ViT-B size: the time to the first row, and the memory it takes.
enum CommandBenchmark {
    /// Measures and prints; gives the figures as JSON.
    static func run(_ configuration: BackboneConfiguration) throws -> JSON {
        let folder = try temporaryFolder()
        defer { remove(folder) }
        try writeBundle(configuration, to: folder)
        let image = "samples/images/signs/stop.png"
        let binary = ".build/release/mergevit"
        guard access(binary, X_OK) == 0, access(image, R_OK) == 0 else {
            print("\nmergevit or the samples are not here: run `make bench` at the top of the project")
            return .null
        }
        var lines: [JSON] = []
        print("\nthe command, ViT-B bundle on warm disk    first row, s   peak MiB, 1 image   peak MiB, 48 images")
        for precision in ComputePrecision.allCases where precision.isSupported {
            let options = ["label", "-q", "--precision", precision.rawValue, "--bundle", folder]
            let runs = try (0...5).map { _ in try spawn(binary, options + [image]) }
            let many = [String](repeating: image, count: 48)
            let batch = try spawn(binary, options + ["-o", "/dev/null"] + many)
            let first = median(runs.dropFirst().map(\.secondsToFirstRow))
            let peak = runs.map(\.peakKiB).max() ?? 0
            print(
                Text.left(precision.rawValue, 39), Text.right(first, 3, 15), Text.right("\(peak / 1024)", 20),
                Text.right("\(batch.peakKiB / 1024)", 22), separator: "")
            lines.append(
                .object([
                    "precision": .string(precision.rawValue), "seconds_to_first_row": .number(first, decimals: 3),
                    "peak_mebibytes_one_image": .number("\(peak / 1024)"),
                    "peak_mebibytes_48_images": .number("\(batch.peakKiB / 1024)"),
                ]))
        }
        return .array(lines)
    }

    /// What a run of a program took.
    struct Run {
        /// Seconds to the first row behind the header on its standard output; 0 when there was none.
        let secondsToFirstRow: Double
        /// Seconds to its end.
        let seconds: Double
        /// The most memory that it had, in KiB.
        let peakKiB: Int
    }

    /// Runs a program to its end.
    ///
    /// - Throws: `ModelError` when it cannot be started or fails.
    @discardableResult
    static func spawn(_ binary: String, _ arguments: [String]) throws -> Run {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw ModelError("pipe", String(cString: strerror(errno))) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        defer { posix_spawn_file_actions_destroy(&actions) }
        var words: [UnsafeMutablePointer<CChar>?] = ([binary] + arguments).map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        let start = seconds()
        var child = pid_t()
        let status = posix_spawn(&child, binary, &actions, nil, words, environ)
        close(ends[1])
        guard status == 0 else { throw ModelError(binary, String(cString: strerror(status))) }
        var (lines, elapsed) = (0, 0.0)
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(ends[0], &buffer, buffer.count)
            if count <= 0 { break }
            lines += buffer[..<count].count { $0 == UInt8(ascii: "\n") }
            if lines >= 2, elapsed == 0 { elapsed = seconds() - start }
        }
        close(ends[0])
        var (exit, usage) = (Int32(0), rusage())
        wait4(child, &exit, 0, &usage)
        guard exit == 0 else { throw ModelError(binary, "the benchmarked command failed") }
        return Run(
            secondsToFirstRow: elapsed, seconds: seconds() - start, peakKiB: Int(usage.ru_maxrss))
    }

    private static func writeBundle(_ configuration: BackboneConfiguration, to folder: String) throws {
        let source = RandomBackbone(configuration)
        let shapes = configuration.parameterShapes
        let writer = try SafetensorsWriter(
            path: "\(folder)/model.safetensors", declarations: shapes.map { .init(name: $0.name, shape: $0.shape) })
        for (name, _) in shapes { try writer.append(name, source.parameter(name)) }
        try writer.finish()
        let tasks = (1...6).map { "task\($0)" }
        try writeSafetensors(
            tasks.flatMap { task in
                [
                    ("\(task).weight", Tensor(shape: [10, configuration.hiddenSize], repeating: 0.01)),
                    ("\(task).bias", Tensor(shape: [10])),
                ]
            }, to: "\(folder)/\(ModelBundle.headsName)")
        let classes = Head.placeholderNames(10).map { "\"\($0)\"" }.joined(separator: ", ")
        let entries = tasks.map { "{\"name\": \"\($0)\", \"classes\": [\(classes)]}" }.joined(separator: ", ")
        try write("{\"format_version\": 1, \"tasks\": [\(entries)]}", to: "\(folder)/\(ModelBundle.manifestName)")
        try write(RandomBackbone.base16, to: "\(folder)/config.json")
        try write(
            "{\"image_processor_type\": \"ViTImageProcessor\"}", to: "\(folder)/\(ModelBundle.preprocessingName)")
    }

    private static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w"), fputs(text, file) >= 0, fclose(file) == 0 else {
            throw ModelError(path, String(cString: strerror(errno)))
        }
    }

    static func temporaryFolder() throws -> String {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var path = Array("\(parent)/mergevit-bench-XXXXXX".utf8CString)
        guard mkdtemp(&path) != nil else { throw ModelError(parent, String(cString: strerror(errno))) }
        return String(decoding: path.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Removes a folder with all that is in it.
    static func remove(_ folder: String) { _ = try? spawn("/bin/rm", ["-rf", folder]) }
}
