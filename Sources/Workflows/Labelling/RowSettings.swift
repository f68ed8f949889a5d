import Files
import Images
import Labelling
import Tensors
import VisionTransformers

/// Everything but the inputs that the rows of `label` depend on: a run resumes an earlier one only if these are equal.
///
/// An option that changes rows has its line here, and nowhere else. The names, which are those of the options, are part
/// of the formats of the journal and the manifest.
struct RowSettings {
    /// The version of this program.
    let version: String
    let rows: RowOptions
    let decoding: DecodingOptions
    /// `BundleDigest` of the model.
    let bundle: String
    let precision: ComputePrecision
    let tokenMerging: TokenMerging?
    let resize: ResizeBackend

    /// The threshold, or those of single tasks with it.
    private var threshold: JSON {
        let all = rows.threshold.map(JSON.double) ?? .null
        guard !rows.thresholds.isEmpty else { return all }
        let single = rows.thresholds.sorted { $0.key < $1.key }
        return .array([all] + single.map { .object([$0.key: .double($0.value)]) })
    }

    /// The smallest fit, or those of single tasks with it; nil for none.
    private var minimumFit: JSON? {
        guard rows.minimumFit != nil || !rows.minimumFits.isEmpty else { return nil }
        let single = rows.minimumFits.sorted { $0.key < $1.key }
        return .array(
            [rows.minimumFit.map(JSON.double) ?? .null] + single.map { .object([$0.key: .double($0.value)]) })
    }

    /// The settings by name, as the journal keeps them.
    var json: JSONObject {
        var json = settings
        json["--min-fit"] = minimumFit
        if let tokenMerging { json["--merge-tokens"] = .array(tokenMerging.counts.map(JSON.int)) }
        if rows.writesBestTask { json["--best-task"] = .bool(true) }
        return json
    }

    private var settings: JSONObject {
        [
            "version": .string(version),
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
            // A picture that one build cannot decode has a row of another.
            "formats": .string(PictureFormat.all.filter(\.isBuiltIn).map(\.name).joined(separator: ", ")),
            // Relative names mean other files elsewhere.
            "folder": (try? BytePath.currentFolder()).map { .string($0.description) } ?? .null,
        ]
    }
}
