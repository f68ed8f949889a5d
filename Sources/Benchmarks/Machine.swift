import Compute
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

    /// The commit, as `make` knows it.
    private static var commit: String { getenv("MERGEVIT_COMMIT").map { String(cString: $0) } ?? "unknown" }

    static func line(cores: Int) -> String {
        """
        commit \(commit), \(processor), \(cores) cores, \(ProcessorLimit.instructions), \(KernelEngine.libraryVersion), \
        load \(load.serialized(indented: false))
        """
    }

    static func json(cores: Int) -> JSONObject {
        [
            "commit": .string(commit), "processor": .string(processor), "cores": .number("\(cores)"),
            "instructions": .string(ProcessorLimit.instructions), "library": .string(KernelEngine.libraryVersion),
            "load_at_start": load,
        ]
    }
}
