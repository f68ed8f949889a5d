import Compute
import Files
import Glibc
import Tensors

/// What was measured, and on what.
enum Machine {
    /// The processor's name, as Linux knows it.
    static var processor: String {
        guard let file = fopen("/proc/cpuinfo", "r") else { return "unknown processor" }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 1024)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            guard text.hasPrefix("model name"), let colon = text.firstIndex(of: ":") else { continue }
            return String(text[text.index(after: colon)...].drop { $0 == " " })
        }
        return "unknown processor"
    }

    /// The mean number of programs that wanted a core over the last minute; above the cores used, others did, too.
    static var load: JSON {
        var values = [0.0]
        return getloadavg(&values, 1) == 1 ? .number(values[0], decimals: 2) : .null
    }

    /// The commit, as `make` knows it, or git where the benchmark runs; nil where neither does.
    private static let commit: String? = {
        if let known = getenv("MERGEVIT_COMMIT") { return String(cString: known) }
        guard let git = popen("git describe --always --dirty 2>/dev/null", "r") else { return nil }
        defer { pclose(git) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, Int32(line.count), git) != nil else { return nil }
        return String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }()

    static func line(cores: Int) -> String {
        """
        \(commit.map { "commit \($0), " } ?? "")\(processor), \(cores) cores, \
        \(ProcessorLimit.instructions), \(KernelEngine.libraryVersion), \(BLAS.kernels), \
        load \(load.serialized(indented: false))
        """
    }

    static func json(cores: Int) -> JSONObject {
        [
            "commit": commit.map { .string($0) } ?? .null, "processor": .string(processor),
            "cores": .number("\(cores)"),
            "instructions": .string(ProcessorLimit.instructions), "library": .string(KernelEngine.libraryVersion),
            "blas_kernels": .string(BLAS.kernels),
            "load_at_start": load,
        ]
    }
}
