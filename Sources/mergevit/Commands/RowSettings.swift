import Adapters
import Files
import Glibc
import Images
import Labelling
import Tensors
import VisionTransformers

/// All that the rows of `label` depend on but the inputs: what an earlier run must agree in for this one to go on with it.
///
/// An option that changes rows has its line here, and nowhere else.
struct RowSettings {
    let rows: RowOptions
    let decoding: DecodingOptions
    /// `BundleDigest` of the model.
    let bundle: String
    let precision: ComputePrecision
    let resize: ResizeBackend

    /// The threshold, or those of single tasks with it.
    private var threshold: JSON {
        let all = rows.threshold.map(JSON.double) ?? .null
        guard !rows.thresholds.isEmpty else { return all }
        let single = rows.thresholds.sorted { $0.key < $1.key }
        return .array([all] + single.map { .object([$0.key: .double($0.value)]) })
    }

    /// The settings by name, as the journal keeps them.
    var json: JSONObject {
        [
            "version": .string(MergeVit.versionNumber),
            "model (SHA-256)": .string(bundle),
            "--format": .string(rows.format.rawValue),
            "--layout": .string(rows.layout.rawValue),
            "--scores": .string(rows.scores.rawValue),
            "--top-k": .int(rows.topK),
            "--all-scores": .bool(rows.allScores),
            "--tasks": rows.tasks.map { .array($0.map(JSON.string)) } ?? .null,
            "--threshold": threshold,
            "--label-separator": .string(rows.labelSeparator),
            "--csv-safe": .bool(rows.guardsFormulas),
            "--absolute": .bool(rows.currentFolder != nil),
            "--alpha": .string(decoding.alpha.rawValue),
            "--max-pixels": .int(decoding.maximumPixels),
            "--fast-decode": .bool(decoding.isFast),
            // What the bundle says unless the option does.
            "--resize": .string(resize.rawValue),
            // What auto stands for, which is another one on another processor.
            "--precision": .string(precision.rawValue),
            // Relative names mean other files elsewhere.
            "folder": (try? BytePath.currentFolder()).map { .string($0.description) } ?? .null,
        ]
    }
}

/// The SHA-256 of a model, computed on a thread of its own while the model is made ready.
///
/// All files that the model is read from count, by content: a bundle that was copied, or written again with the same bytes, is the
/// same model.
final class BundleDigest: @unchecked Sendable {
    private let paths: [String]
    /// Has the preprocessing settings, wherever they come from.
    private let backbone: Checkpoint
    private let known: [CachedDigests]
    private var result: Result<String, any Error> = .success("")
    private var thread: WorkerThread?

    /// Starts to read the files of a bundle.
    ///
    /// - Parameter cache: whether digests of weights are kept for the next time.
    init(_ bundle: ModelBundle, _ precision: ComputePrecision, _ cache: PackedCache.Use) {
        let checkpoints = bundle.groups.map(\.backbone)
        let rounded = checkpoints.map { checkpoint -> [String] in
            let path = "\(checkpoint.folder)/\(QuantizedWeights.fileName)"
            return precision == .int8 && access(path, F_OK) == 0 ? [path] : []
        }
        backbone = bundle.backbone
        let own = bundle.manifest == nil ? [] : [ModelBundle.manifestName, ModelBundle.headsName]
        paths =
            own.map { "\(bundle.folder)/\($0)" }
            + checkpoints.flatMap { ["\($0.folder)/config.json"] + $0.files.map(\.path) } + rounded.joined()
        known = zip(checkpoints, rounded).compactMap { CachedDigests($0, and: $1, cache) }
        thread = WorkerThread.start { [self] in result = Result { try compute() } }
    }

    /// The SHA-256 of the files' SHA-256s in their order, as 64 hexadecimal digits. Call it once.
    ///
    /// - Throws: `FileError` when a file cannot be read; `ModelError` when there are no preprocessing settings any more.
    func value() throws -> String {
        guard let thread else { return try compute() }
        thread.join()
        return try result.get()
    }

    private func compute() throws -> String {
        let kept = known.map { $0.read() }
        let before = kept.reduce(into: [:]) { $0.merge($1) { $1 } }
        let digests = try paths.map { try before[$0] ?? SHA256.text(ofFile: $0) }
        let byPath = Dictionary(zip(paths, digests)) { $1 }
        for (known, kept) in zip(known, kept) where kept.count < known.count { known.write(byPath) }
        let settings = try backbone.preprocessorFile().json.serialized()
        return SHA256.text(of: ([settings] + digests).map { Array($0.utf8) })
    }
}
