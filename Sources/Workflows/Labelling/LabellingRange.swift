import Datasets
import Files
import Labelling
import Tensors

/// The inputs that a run of `label` is about: all of them, or those of a shard.
struct LabellingRange {
    /// The inputs.
    let source: InputSource
    private let shard: Shard?
    private let survey: InputSurvey?

    /// Finds a shard's part of the inputs; nil when `isStopped` says so meanwhile.
    init?(_ source: InputSource, shard: Shard?, isStopped: () -> Bool) throws {
        self.shard = shard
        guard let shard else {
            (self.source, survey) = (source, nil)
            return
        }
        guard let survey = try InputSurvey(source, shard: shard, isStopped: isStopped) else { return nil }
        self.survey = survey
        var part = source
        part.part = survey.part
        self.source = part
    }

    /// Everything that the files of a run depend on; for a shard, also which part of which inputs it is.
    func binding(_ settings: RowSettings, _ features: FeatureOptions?) -> JSONObject {
        var binding = settings.json
        if let features {
            binding["--features"] = .string("\(features.path)")
            binding["--features-type"] = .string(features.number.rawValue)
        }
        guard let shard, let survey else { return binding }
        binding["--shard"] = .string("\(shard)")
        binding["inputs"] = .string("\(survey.part.lowerBound + 1) to \(survey.part.upperBound) of \(survey.inputs)")
        binding["inputs (SHA-256)"] = .string(survey.paths)
        return binding
    }

    /// The manifest of the rows when all are written.
    func manifest(
        _ settings: RowSettings, _ file: ResumableFile, header: [UInt8], _ result: LabellingProgress
    ) -> RunManifest {
        let written = file.written
        return RunManifest(
            settings: settings.json, shard: shard?.description ?? "1/1", inputs: survey?.inputs ?? result.done,
            paths: survey?.paths ?? written.paths, part: survey?.part ?? 0..<result.done,
            rows: .init(
                bytes: written.bytes, headerBytes: header.count, digest: written.rows, failed: result.failed,
                belowThreshold: result.belowThreshold))
    }
}
