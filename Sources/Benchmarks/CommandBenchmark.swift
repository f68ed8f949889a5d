import Glibc
import Tensors
import VisionTransformers

/// The whole command on a bundle of ViT-B size: the time to the first row, and the memory it takes.
enum CommandBenchmark {
    static func run(_ configuration: BackboneConfiguration) throws {
        let folder = try temporaryFolder()
        defer { remove(folder) }
        try writeBundle(configuration, to: folder)
        let image = "samples/images/signs/stop.png"
        let binary = ".build/release/mergevit"
        guard access(binary, X_OK) == 0, access(image, R_OK) == 0 else {
            print("\nmergevit or the samples are not here: run `make bench` at the top of the project")
            return
        }
        var times: [Double] = []
        var memory = 0
        for turn in 0...5 {
            let result = try timeToFirstRow(binary, ["label", "-q", "--bundle", folder, image])
            if turn > 0 { times.append(result.seconds) }
            memory = max(memory, result.peakKiB)
        }
        print("\nlaunch to first row, ViT-B bundle on warm disk: \(Benchmarks.decimal(median(times), 3)) s")
        print("peak memory of that run: \(memory / 1024) MiB")
        var many: [String] = ["label", "-q", "--bundle", folder, "-o", "/dev/null"]
        many += [String](repeating: image, count: 48)
        let batch = try timeToFirstRow(binary, many)
        print("peak memory labelling 48 images: \(batch.peakKiB / 1024) MiB")
    }

    private static func timeToFirstRow(
        _ binary: String, _ arguments: [String]
    ) throws -> (seconds: Double, peakKiB: Int) {
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
        return (elapsed, Int(usage.ru_maxrss))
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

    private static func temporaryFolder() throws -> String {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        let folder = "\(parent)/mergevit-bench-\(getpid())"
        guard mkdir(folder, 0o755) == 0 else { throw ModelError(folder, String(cString: strerror(errno))) }
        return folder
    }

    private static func remove(_ folder: String) {
        for name in [
            "model.safetensors", "config.json", ModelBundle.headsName, ModelBundle.manifestName,
            ModelBundle.preprocessingName,
        ] { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }
}
