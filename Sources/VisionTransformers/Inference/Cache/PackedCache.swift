import Compute
import Files
import Glibc
import Tensors

/// Packed weights that are kept beside a backbone, so that the next start maps them instead of making them again, and processes
/// of one machine share one copy of them in memory.
///
/// They are used only for the very files that they were made of, by size, number and both times of each, which no copy has: weights
/// that came along with a bundle, or belong to files that have changed, are never believed. See docs/bundle-format.md.
package struct PackedCache: Sendable {
    /// When packed weights are kept.
    package enum Use: String, Sendable, CaseIterable {
        /// For models that take time to pack, of 16 MiB of weights and more, on file systems of this machine.
        case auto
        /// For every model.
        case always
        /// Never; none are looked for.
        case never
    }

    /// The name of the folder in a backbone's folder.
    package static let folderName = PackedFolder.name

    /// Whether a name in that folder is one that packed weights have, finished or not.
    package static func isFile(_ name: String) -> Bool {
        [PackedFolder.ending, KnownDigests.name].contains {
            name.hasSuffix($0) || name.hasSuffix($0 + PackedFolder.partialEnding)
        }
    }

    /// Whether anything is kept beside a checkpoint.
    static func isWanted(for checkpoint: Checkpoint, _ use: Use) -> Bool {
        let size = checkpoint.files.reduce(0) { $0 + $1.file.identity.size }
        return use == .always
            || use == .auto && size >= leastBytes && PackedFolder(parent: checkpoint.folder).isLocal
    }

    /// Whether a file that was kept belongs to who runs this or to the owner of the weights.
    static func isTrusted(_ kept: FileIdentity, _ weights: [FileIdentity]) -> Bool {
        kept.owner == geteuid() || weights.contains { $0.owner == kept.owner }
    }

    /// The least weights, in bytes of their files, that are worth it.
    static let leastBytes = 16 << 20
    /// How long files must have been as they are, in nanoseconds: times of files have steps, within which a second change would not
    /// show.
    static let settlingTime = 1_000_000_000

    private let folder: PackedFolder
    /// The weights' files as they were opened, and that of the rounded blocks.
    private let files: [(path: String, identity: FileIdentity)]
    private let model: String
    private let rounded: String
    private let settlingTime: Int

    /// The cache of a checkpoint's weights, or nil when it is to have none.
    ///
    /// - Parameter rounded: the blocks in eight bits, if int8 reads them.
    init?(
        _ checkpoint: Checkpoint, _ rounded: RoundedWeights?, _ use: Use,
        settlingTime: Int = PackedCache.settlingTime
    ) {
        let files = checkpoint.files.map { (path: $0.path, identity: $0.file.identity) }
        folder = PackedFolder(parent: checkpoint.folder)
        guard Self.isWanted(for: checkpoint, use) else { return nil }
        // Another build of the program may fold or round in another way.
        guard let program = FileIdentity(path: "/proc/self/exe") else { return nil }
        let configuration = checksum(checkpoint.configurationFile.serialized(indented: false))
        self.files = files + (rounded.map { [($0.file.path, $0.file.file.identity)] } ?? [])
        self.rounded = rounded.map { "\($0.file.file.identity)" } ?? "none"
        model =
            (["program: \(program.size) bytes, \(program.modified)", "config.json: \(configuration)"]
            + files.map { "\($0.path.split(separator: "/").last ?? ""): \($0.identity)" }).joined(separator: "\n")
        self.settlingTime = settlingTime
    }

    /// What identifies the weights of a plan.
    private func key(_ kernels: PlanKernels) -> PackedFile.Key {
        PackedFile.Key(
            model: model,
            plan: "\(kernels.description)\nrounded: \(rounded)\nmachine: \(KernelEngine.machine)")
    }

    /// A name for each precision and kind of machine, so that machines of several kinds may share a folder.
    private func name(_ kernels: PlanKernels) -> String {
        "\(kernels.precision)-\(String(checksum(KernelEngine.machine), radix: 16))\(PackedFolder.ending)"
    }

    /// The weights that an earlier run has left for the kernels, or nil when there are none that can be used.
    func weights(for kernels: PlanKernels, _ pool: WorkerPool) -> PackedWeights? {
        guard kernels.layoutsAreKnown else { return nil }
        return PackedFile.read("\(folder.path)/\(name(kernels))", key(kernels), pool) {
            Self.isTrusted($0, files.map(\.identity))
        }
    }

    /// Starts to write weights for the next run, unless the model's files have just changed.
    ///
    /// - Returns: the thread that writes, to be kept until it may be waited for; nil when nothing is written.
    func keep(_ packed: PackedWeights, for kernels: PlanKernels) -> PackedWriter? {
        guard kernels.layoutsAreKnown, files.allSatisfy({ $0.identity.isStill(at: $0.path, for: settlingTime) }) else {
            return nil
        }
        let (folder, name, key) = (folder, name(kernels), key(kernels))
        return PackedWriter {
            guard folder.write(PackedFile(packed, key), as: name) else { return }
            folder.removeOthers(than: key)
        }
    }
}

/// The checksum of a text.
private func checksum(_ text: String) -> UInt64 { Array(text.utf8).withUnsafeBytes { checksum($0) } }
