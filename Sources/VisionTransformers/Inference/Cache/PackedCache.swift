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

    /// Whether there is a cache beside a checkpoint.
    static func isEnabled(for checkpoint: Checkpoint, _ use: Use) -> Bool {
        let size = checkpoint.files.reduce(0) { $0 + $1.file.identity.size }
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
    /// The weights' files as they were opened, and the file of the quantized blocks.
    private let files: [(path: String, identity: FileStatus)]
    private let model: String
    private let quantized: String
    private let settlingTime: Int

    /// The cache of a checkpoint's weights, or nil when it has none.
    ///
    /// - Parameter quantized: the blocks in eight bits, if int8 reads them.
    init?(
        _ checkpoint: Checkpoint, _ quantized: QuantizedWeights?, _ use: Use,
        settlingTime: Int = PackedCache.settlingTime
    ) {
        let files = checkpoint.files.map { (path: $0.path, identity: $0.file.identity) }
        folder = PackedFolder(parent: checkpoint.folder)
        guard Self.isEnabled(for: checkpoint, use) else { return nil }
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

    /// The key of the weights of a plan.
    private func key(_ layout: PackedLayout) -> PackedFile.Key {
        PackedFile.Key(
            model: model,
            plan: "\(layout.description)\nrounded: \(quantized)\nmachine: \(KernelEngine.machine)")
    }

    /// A name for each precision and kind of machine, so that machines of several kinds may share a folder.
    private func name(_ layout: PackedLayout) -> String {
        "\(layout.precision)-\(String(checksum(KernelEngine.machine), radix: 16))\(PackedFolder.ending)"
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
    func write(_ packed: PackedWeights, for layout: PackedLayout) -> PackedWriter? {
        guard files.allSatisfy({ $0.identity.isStill(at: $0.path, for: settlingTime) }) else { return nil }
        let (folder, name, key) = (folder, name(layout), key(layout))
        return PackedWriter {
            guard folder.write(PackedFile(packed, key), as: name) else { return }
            folder.removeOthers(than: key)
        }
    }
}

/// What packed weights depend on besides the model.
struct PackedLayout: Sendable {
    let precision: ComputePrecision
    /// OperandType, size of images, tokens, and how each layer's weights are laid out in memory.
    let description: String
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
