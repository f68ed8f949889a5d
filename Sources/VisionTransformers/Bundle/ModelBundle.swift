package import Files
import Glibc
package import Images
import Tensors

/// A model that can label: one or several backbones, their preprocessing, and a head for each task.
///
/// On disk it is a folder that `merge` writes (see docs/bundle-format.md), or a plain Hugging Face classification
/// checkpoint, which counts as a bundle of one task.
package struct ModelBundle: Sendable {
    /// The folder.
    package let folder: String
    /// The merged backbone; with several groups that of the first.
    package let backbone: Checkpoint
    /// The backbones and their tasks; most bundles have one group.
    package let groups: [TaskGroup<Checkpoint>]
    /// How images become the backbone's input.
    package let preprocessing: Preprocessing
    /// The heads in the order of the tasks.
    package let heads: [Head]
    /// The task streams of each group, or nil where its heads read the backbone's own tokens.
    package let streams: [TaskStreams?]
    /// How well images fit tasks, or nil if that was not measured.
    package let fits: FitFile?
    /// `bundle.json`, or nil for a plain checkpoint.
    package let manifest: JSON?

    /// The format version of a bundle of one backbone.
    package static let formatVersion = 1
    /// The format version of a bundle with a head other than a softmax, or a resize other than Pillow's. Earlier
    /// versions of this program, whose predictions would differ, reject it.
    package static let activationFormatVersion = 3
    /// The format version of a bundle with task streams.
    package static let streamsFormatVersion = 4
    /// The manifest's file name; a folder with it is a bundle.
    package static let manifestName = "bundle.json"
    /// The file of the heads.
    package static let headsName = "heads.safetensors"
    /// The preprocessing settings' file name.
    package static let preprocessingName = "preprocessor_config.json"
    /// The name of the only task of a plain checkpoint.
    package static let plainTask = "label"

    /// Whether a folder is a bundle that `merge` wrote.
    package static func isBundle(_ folder: String) -> Bool { access("\(folder)/\(manifestName)", F_OK) == 0 }

    /// Opens a bundle, or a plain classification checkpoint.
    ///
    /// - Parameters:
    ///   - folder: the folder.
    ///   - preprocessor: where the preprocessing settings come from.
    ///   - names: the tasks that are needed, as in `model`; task streams of others are not read.
    /// - Throws: `ModelError`, `FileError` or `ImageError` naming the file that is missing or wrong.
    package init(
        folder: String, preprocessor: PreprocessorChoice = PreprocessorChoice(), for names: [String]? = nil
    ) throws {
        let manifestPath = "\(folder)/\(Self.manifestName)"
        manifest = Self.isBundle(folder) ? try JSON(contentsOf: manifestPath) : nil
        self.folder = folder
        backbone = try Checkpoint(folder: folder, preprocessor: preprocessor, expected: .bundle)
        preprocessing = try backbone.preprocessing()
        if let manifest {
            heads = try Self.heads(manifest, manifestPath, folder: folder, backbone.configuration)
            groups = try Self.groups(manifest, manifestPath, folder: folder, first: backbone, heads: heads)
            streams = try Self.streams(manifest, manifestPath, groups, heads, for: names)
            let tasks = heads.map(\.task)
            fits = try FitFile(
                folder: folder, tasks: groups.map { $0.tasks.map { tasks[$0] } },
                summaryCount: backbone.configuration.summaryCount)
        } else {
            guard let head = try backbone.head(task: Self.plainTask) else {
                throw ModelError(folder, "neither a bundle (no bundle.json) nor a checkpoint with a classifier")
            }
            heads = [head]
            groups = [TaskGroup(backbone: backbone, tasks: [0])]
            streams = [nil]
            fits = nil
        }
    }

    /// Checks that images can be labelled with a backbone and heads: that its preprocessing is understood and gives
    /// images that the backbone takes, and that each head reads features that the backbone gives.
    ///
    /// Called before a model is written, so that no model is written that `label` would reject.
    ///
    /// - Throws: `ModelError`, `FileError` or `ImageError`, as `label` would.
    package static func check(_ backbone: Checkpoint, heads: [Head]) throws {
        let configuration = backbone.configuration
        try configuration.checkImageSize(configuration.inputSize(backbone.preprocessing()))
        for head in heads where !configuration.headWidths.contains(head.weight.shape[1]) {
            let known = configuration.headWidths.map(String.init).joined(separator: " or ")
            throw ModelError(
                head.task, "the head reads \(head.weight.shape[1]) features, the backbone gives \(known)")
        }
    }

    /// Checks a task's name, which is used in column names and on command lines.
    ///
    /// - Throws: `ModelError` about `path` when it is empty, has a character with a meaning there, or is a column's
    ///   name.
    package static func checkTaskName(_ name: String, path: String) throws {
        let forbidden: Set<Unicode.Scalar> = ["=", ",", "/", ":"]
        let isPlain = name.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F && !forbidden.contains($0) }
        guard !name.isEmpty, isPlain, name != "path", name != "status" else {
            throw ModelError(
                path, "task name \"\(name)\": must not be empty, \"path\" or \"status\", nor hold = , / : or controls")
        }
    }

    private static func heads(
        _ manifest: JSON, _ path: String, folder: String, _ configuration: BackboneConfiguration
    ) throws -> [Head] {
        guard let object = manifest.objectValue else { throw ModelError(path, "expected an object") }
        let versions = formatVersion...streamsFormatVersion
        guard let version = object["format_version"]?.intValue, versions.contains(version) else {
            let found = object["format_version"]?.shown ?? "none"
            throw ModelError(
                path, "format_version: expected \(formatVersion) to \(streamsFormatVersion), found \(found)")
        }
        guard let tasks = object["tasks"]?.arrayValue else { throw ModelError(path, "no \"tasks\" array") }
        let file = try SafetensorsFile(path: "\(folder)/\(headsName)")
        var names: Set<String> = []
        let heads = try tasks.map { task in
            guard let name = task.objectValue?["name"]?.stringValue,
                let classes = task.objectValue?["classes"]?.arrayValue
            else { throw ModelError(path, "tasks: expected objects with \"name\" and \"classes\"") }
            try checkTaskName(name, path: path)
            guard names.insert(name).inserted else { throw ModelError(path, "tasks: \"\(name)\" appears twice") }
            let labels = classes.compactMap(\.stringValue)
            guard labels.count == classes.count else { throw ModelError(path, "classes of \(name): expected strings") }
            let activation = try activation(task.objectValue?["activation"], of: name, path)
            let weight = try file.tensor("\(name).weight")
            let widths = configuration.headWidths
            guard weight.shape.count == 2, widths.contains(weight.shape[1]) else {
                let known = Set(widths).sorted().map { "(\(labels.count), \($0))" }.joined(separator: " or ")
                throw ModelError(file.path, "\(name).weight: expected \(known), found \(weight.shape)")
            }
            let bias = try file.tensor("\(name).bias")
            try weight.checkFinite("\(name).weight", path: file.path)
            try bias.checkFinite("\(name).bias", path: file.path)
            return try Head(
                task: name, classes: labels, weight: weight, bias: bias, activation: activation, path: file.path)
        }
        let expected = Set(names.flatMap { ["\($0).weight", "\($0).bias"] })
        if let extra = file.entries.first(where: { !expected.contains($0.name) }) {
            throw ModelError(file.path, "tensor \"\(extra.name)\" belongs to no task of bundle.json")
        }
        return heads
    }

    /// The streams of each group, if the manifest at `path` says that there are any.
    private static func streams(
        _ manifest: JSON, _ path: String, _ groups: [TaskGroup<Checkpoint>], _ heads: [Head], for names: [String]?
    ) throws -> [TaskStreams?] {
        let object = manifest.objectValue
        let hasStreams = object?["streams"] != nil
        guard hasStreams == (object?["format_version"]?.intValue == streamsFormatVersion) else {
            throw ModelError(
                path, "streams: expected with format_version \(streamsFormatVersion), and with no other")
        }
        guard hasStreams else { return groups.map { _ in nil } }
        guard object?["streams"]?.boolValue == true else { throw ModelError(path, "streams: expected true") }
        if let configuration = groups.first?.backbone.configuration,
            let head = heads.first(where: { $0.weight.shape[1] != configuration.hiddenSize })
        {
            throw ModelError(
                path,
                "streams: the head of \(head.task) reads \(head.weight.shape[1]) features, a stream gives "
                    + "\(configuration.hiddenSize), its CLS token")
        }
        let needed = Head.tasks(names, of: heads)
        return try groups.map { group in
            try StreamFile.read(
                folder: group.backbone.folder, tasks: group.tasks.map { heads[$0].task }, group.backbone,
                where: needed.contains)
        }
    }

    /// A task's `activation` in the manifest at `path`; softmax unless specified.
    private static func activation(_ value: JSON?, of task: String, _ path: String) throws -> HeadActivation {
        guard let value else { return .softmax }
        guard let activation = value.stringValue.flatMap(HeadActivation.init(rawValue:)) else {
            throw ModelError(
                path, "activation of \(task): expected one of \(HeadActivation.names), found \(value.shown)")
        }
        return activation
    }

    /// The format version of a bundle with some heads and a resize; nil for Pillow's.
    package static func formatVersion(
        of heads: [Head], isGrouped: Bool, resize: String? = nil, hasStreams: Bool = false
    ) -> Int {
        guard !hasStreams else { return streamsFormatVersion }
        guard resize == nil, heads.allSatisfy({ $0.activation == .softmax }) else { return activationFormatVersion }
        return isGrouped ? groupedFormatVersion : formatVersion
    }
}

extension BackboneConfiguration {
    /// The size of the images that reach the backbone: the size that preprocessing gives, or, when that depends on the
    /// image, the size that the backbone was trained for.
    package func inputSize(_ preprocessing: Preprocessing) -> ImageSize {
        preprocessing.outputSize ?? imageSize
    }
}
