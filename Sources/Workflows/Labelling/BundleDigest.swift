import Adapters
import Files
import Glibc
import Tensors
import VisionTransformers

/// The SHA-256 of a model, computed on a thread of its own while the model is made ready.
///
/// It covers the content of all files that the model is read from: a bundle that was copied, or written again with the
/// same bytes, is the same model.
final class BundleDigest: @unchecked Sendable {
    private let paths: [String]
    /// Has the preprocessing settings, wherever they come from.
    private let backbone: Checkpoint
    private let caches: [CachedDigests]
    private var result: Result<String, any Error> = .success("")
    private var thread: WorkerThread?

    /// Starts to read the files of a bundle.
    ///
    /// - Parameter cache: whether digests of weights are kept for the next time.
    init(_ bundle: ModelBundle, _ precision: ComputePrecision, _ cache: PackedCache.Use) {
        let checkpoints = bundle.groups.map(\.backbone)
        /// What else is beside each backbone.
        let others = zip(checkpoints, bundle.streams).map { checkpoint, streams -> [String] in
            let rounded = precision == .int8 ? [QuantizedWeights.fileName] : []
            let names = rounded + (streams == nil ? [] : [StreamFile.name, StreamFile.baseName])
            return names.map { "\(checkpoint.folder)/\($0)" }.filter { access($0, F_OK) == 0 }
        }
        backbone = bundle.backbone
        let described =
            (bundle.manifest == nil ? [] : [ModelBundle.manifestName, ModelBundle.headsName])
            + (bundle.fits == nil ? [] : [FitFile.name])
        paths =
            described.map { "\(bundle.folder)/\($0)" }
            + checkpoints.flatMap { ["\($0.folder)/config.json"] + $0.files.map(\.path) } + others.joined()
        caches = zip(checkpoints, others).compactMap { CachedDigests($0, and: $1, cache) }
        thread = WorkerThread.start { [self] in result = Result { try compute() } }
    }

    /// The SHA-256 of the files' SHA-256s in their order, as 64 hexadecimal digits. Call it once.
    ///
    /// - Throws: `FileError` when a file cannot be read; `ModelError` when there are no preprocessing settings any
    ///   more.
    func value() throws -> String {
        guard let thread else { return try compute() }
        thread.join()
        return try result.get()
    }

    private func compute() throws -> String {
        let cached = caches.map { $0.read() }
        let digestByPath = cached.reduce(into: [:]) { $0.merge($1) { $1 } }
        let digests = try paths.map { try digestByPath[$0] ?? SHA256.text(ofFile: $0) }
        let byPath = Dictionary(zip(paths, digests)) { $1 }
        for (cache, digests) in zip(caches, cached) where digests.count < cache.count { cache.write(byPath) }
        let settings = try backbone.preprocessorFile().json.serialized()
        return SHA256.text(of: ([settings] + digests).map { Array($0.utf8) })
    }
}
