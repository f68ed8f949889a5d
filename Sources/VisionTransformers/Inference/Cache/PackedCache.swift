import Compute
package import Files
import Glibc
import Tensors

/// Packed weights that are kept beside a backbone, so that the next start maps them instead of packing again, and the
/// processes of a machine share one copy in memory.
///
/// They are used only with the files that they were made of, which size, inode number and both timestamps identify and
/// no copy of the files shares: packed weights that came with a bundle, or belong to files that have changed, are never
/// used. See docs/bundle-format.md.
package struct PackedCache: Sendable {
    /// When packed weights are kept.
    package enum Use: String, Sendable, CaseIterable {
        /// For models that take time to pack, with at least 16 MiB of weights, on local file systems.
        case auto
        /// For every model.
        case always
        /// Never, neither written nor read.
        case never
    }

    /// The name of the folder in a backbone's folder.
    package static let folderName = PackedFolder.name

    /// Whether a file name in that folder is one of the cache's, finished or not.
    package static func isFile(_ name: String) -> Bool {
        [PackedFolder.ending, CachedDigests.name].contains {
            name.hasSuffix($0) || name.hasSuffix($0 + PackedFolder.partialEnding)
        }
    }

    /// What a folder of a backbone's folder may contain if it is the cache's; nil if it is not.
    package static func contents(ofFolder name: String) -> FolderKind.Contents? {
        name == folderName ? FolderKind.Contents(files: isFile) : nil
    }

    /// Whether there is a cache beside a checkpoint with some task streams' files.
    static func isEnabled(for checkpoint: Checkpoint, _ use: Use, streams: [SafetensorsFile] = []) -> Bool {
        let size = (checkpoint.files + streams).reduce(0) { $0 + $1.file.identity.size }
        return use == .always
            || use == .auto && size >= minimumBytes && PackedFolder(parent: checkpoint.folder).isLocal
    }

    /// Whether a file of the cache belongs to the user or to the owner of the weights.
    static func isTrusted(_ file: FileStatus, _ weights: [FileStatus]) -> Bool {
        file.owner == geteuid() || weights.contains { $0.owner == file.owner }
    }

    /// The smallest size of the weights' files, in bytes, that is worth a cache.
    static let minimumBytes = 16 << 20
    /// How long files must be unchanged, in nanoseconds: timestamps of files have steps, within which a second change
    /// would not show.
    static let settlingTime = 1_000_000_000

    private let folder: PackedFolder
    /// The weights' files as they were opened, with those of task streams and of the quantized blocks.
    private let files: [(path: String, identity: FileStatus)]
    private let model: String
    private let quantized: String
    private let settlingTime: Int

    /// The cache of a checkpoint's weights, or nil when it has none.
    ///
    /// - Parameters:
    ///   - quantized: the blocks in eight bits, if int8 reads them.
    ///   - streams: the task streams over it, if there are any.
    init?(
        _ checkpoint: Checkpoint, _ quantized: QuantizedWeights?, streams: TaskStreams? = nil, _ use: Use,
        settlingTime: Int = PackedCache.settlingTime
    ) {
        let streamFiles = streams?.files ?? []
        let files = (checkpoint.files + streamFiles).map { (path: $0.path, identity: $0.file.identity) }
        folder = PackedFolder(parent: checkpoint.folder)
        guard Self.isEnabled(for: checkpoint, use, streams: streamFiles) else { return nil }
        // Another build of the program may fold or round differently.
        guard let program = FileStatus(path: "/proc/self/exe") else { return nil }
        let configuration = checksum(checkpoint.configurationFile.serialized(indented: false))
        self.files = files + (quantized.map { [($0.file.path, $0.file.file.identity)] } ?? [])
        self.quantized = quantized.map { "\($0.file.file.identity)" } ?? "none"
        model =
            (["program: \(program.size) bytes, \(program.modified)", "config.json: \(configuration)"]
            + files.map { "\($0.path.split(separator: "/").last ?? ""): \($0.identity)" }).joined(separator: "\n")
        self.settlingTime = settlingTime
    }

    /// The key of a part of the weights.
    private func key(_ layout: PackedLayout) -> PackedFile.Key {
        PackedFile.Key(
            model: model,
            plan: "\(layout.description)\nrounded: \(layout.isQuantized ? quantized : "none")\n"
                + "machine: \(KernelEngine.machine)")
    }

    /// A file for each part, number format and kind of machine, so that machines of several kinds may share a folder.
    private func name(_ layout: PackedLayout) -> String {
        let machine = String(checksum(KernelEngine.machine), radix: 16)
        return "\(layout.format)-\(machine)\(layout.part.suffix)\(PackedFolder.ending)"
    }

    /// The weights that an earlier run has left in a layout, or nil when there are none that can be used.
    func weights(for layout: PackedLayout, _ pool: WorkerPool) -> PackedWeights? {
        PackedFile.read("\(folder.path)/\(name(layout))", key(layout), pool) {
            Self.isTrusted($0, files.map(\.identity))
        }
    }

    /// Starts to write weights for the next run, unless the model's files have just changed.
    ///
    /// - Returns: the thread that writes; its end waits for it. Nil when nothing is written.
    func write(_ parts: [(packed: PackedWeights, layout: PackedLayout)]) -> PackedWriter? {
        guard let first = parts.first, files.allSatisfy({ $0.identity.isStill(at: $0.path, for: settlingTime) }) else {
            return nil
        }
        let (folder, firstKey) = (folder, key(first.layout))
        let files = parts.map { (name: name($0.layout), file: PackedFile($0.packed, key($0.layout))) }
        return PackedWriter {
            guard files.allSatisfy({ folder.write($0.file, as: $0.name) }) else { return }
            folder.removeOthers(than: firstKey)
        }
    }
}

/// What a part of packed weights depends on besides the model.
struct PackedLayout: Sendable {
    /// A part of a model that has a file of its own.
    enum Part {
        /// A backbone.
        case backbone
        /// The base as task streams read it.
        case streams
        /// What a task's stream changes.
        case stream(task: String)

        /// What distinguishes its file's name.
        var suffix: String {
            switch self {
            case .backbone: ""
            case .streams: "-streams"
            case .stream(let task): "-stream-\(String(checksum(task), radix: 16))"
            }
        }
    }

    /// The number format, which begins the name of the part's file.
    let format: String
    /// The part.
    let part: Part
    /// Whether it has layers in eight bits.
    let isQuantized: Bool
    /// OperandType, size of images, tokens, and how each layer's weights are laid out in memory.
    let description: String

    /// The layout of what some kernels read; nil where the library does not say how their weights are laid out.
    init?(
        format: String, part: Part = .backbone, isQuantized: Bool = false, _ description: String, _ kernels: [Kernel]
    ) {
        guard kernels.allSatisfy({ !$0.packedLayout.isEmpty }) else { return nil }
        (self.format, self.part, self.isQuantized) = (format, part, isQuantized)
        let layouts = kernels.map { "\($0.implementation) \($0.packedLayout)" }
        self.description = ([description] + layouts).joined(separator: "\n")
    }
}

/// The checksum of a text.
private func checksum(_ text: String) -> UInt64 { Array(text.utf8).withUnsafeBytes { checksum($0) } }

/// A thread that writes packed weights while the model is already in use. Releasing it waits for the thread, but not
/// long.
final class PackedWriter: Sendable {
    /// Whether the thread is done.
    private final class Completion: @unchecked Sendable {
        private let monitor = Monitor(conditions: 1)
        private var isReached = false

        func reach() {
            monitor.locked {
                isReached = true
                monitor.signal(monitor[0])
            }
        }

        func wait(seconds: Int) {
            let end = ContinuousClock.now + .seconds(seconds)
            monitor.locked {
                while !isReached, ContinuousClock.now < end { monitor.wait(monitor[0], seconds: 1) }
            }
        }
    }

    private let completion: Completion
    /// For how many seconds a disk that hangs may delay the end.
    private static let shutdownTimeout = 10

    /// Starts the thread; nil when the system refuses.
    init?(_ body: @escaping @Sendable () -> Void) {
        let completion = Completion()
        self.completion = completion
        // Signals are for other threads, and one about a file that grows too large must not end the process.
        let thread = WorkerThread.start(detached: true, blocksSignals: true) {
            body()
            completion.reach()
        }
        guard thread != nil else { return nil }
    }

    deinit { completion.wait(seconds: Self.shutdownTimeout) }
}
