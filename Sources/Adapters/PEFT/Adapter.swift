package import Files
import Glibc
import Tensors
package import VisionTransformers

/// One task's adapter as PEFT saves it: low-rank updates of some modules, replaced parameters, a head, class names.
/// A task trained with its head alone is an adapter without updates.
package struct Adapter: Sendable {
    /// The low-rank update of one linear layer or convolution: ΔW = scale · B·A, less what was taken out of the weight.
    struct LowRank: Sendable {
        /// (r, inputs); of a convolution (r, channels, height, width).
        var a: Tensor
        /// (outputs, r); of a convolution (outputs, r, 1, 1).
        var b: Tensor
        /// α/r, or α/√r.
        var scale: Double
        /// DoRA's magnitudes, one for each output, or nil.
        var magnitude: [Float]?
        /// What is added to the bias, before scaling, or nil.
        var biasB: [Float]?
        /// What was taken out of the base's weight before training, or nil.
        var taken: StartingPoint.Part?
    }

    /// The task's name.
    package let task: String
    /// The folder or file that it came from.
    package let path: String
    /// The files that were read, for the recipe.
    package let files: [String]
    /// The file of class names that the user named, or that is beside a head that the user named, or nil.
    let labels: String?
    /// The file of the head that the user named, or nil.
    package let headFile: String?
    /// What a user should know of its head and class names.
    let notes: [String]
    /// The activation that the user named, or nil; the head has it in any case.
    let givenActivation: HeadActivation?
    /// By the canonical names of the modules.
    let updates: [String: LowRank]
    /// The modules of which it is not certain what PEFT took out of the base's weights.
    let ambiguous: [String]
    /// Parameters that were trained whole, by canonical name.
    let replaced: [String: Tensor]
    /// The head.
    package let head: Head
    /// Whether the class names are placeholders because nobody gave any.
    package let hasPlaceholderNames: Bool

    /// The ranks of its updates, ascending and without repeats; empty for a head alone.
    package var ranks: [Int] { Set(updates.values.map { $0.a.shape[0] }).sorted() }

    /// The modules that it updates, by canonical name.
    package var modules: [String] { updates.keys.sorted() }

    /// What is unusual about it, in words: "rsLoRA", "DoRA", "PiSSA" and "OLoRA".
    package let traits: [String]

    /// How the base that it is read for differs from the one that it was trained over.
    package let baseDifference: BaseDifference

    /// The parameters that it changes, by canonical name.
    var changedParameters: Set<String> {
        var names = Set(replaced.keys)
        for (module, update) in updates {
            names.insert("\(module).weight")
            if update.biasB != nil { names.insert("\(module).bias") }
        }
        return names
    }

    /// Whether a folder or file holds a head and no adapter.
    ///
    /// - Throws: `ModelError` or `FileError` when it cannot be read.
    package static func isHeadAlone(_ path: String) throws -> Bool { try AdapterSource(path).configuration == nil }

    /// Reads a PEFT folder, a folder with only a head, or a file with only a head.
    ///
    /// - Parameters:
    ///   - task: the task's name.
    ///   - path: the folder or file.
    ///   - labels: a file with the class names, or nil to look beside the adapter.
    ///   - headFile: a file with the head, or nil to take the adapter's own, or else the base's.
    ///   - activation: what the head was trained for, or nil to find it as `AdapterActivation` does.
    ///   - base: the checkpoint that it was trained on.
    ///   - allowsOtherBase: whether it is read even if its folder tells that it was trained over other weights.
    /// - Throws: `ModelError` or `FileError` naming the key, tensor or module that is unknown, missing or misshapen, or
    ///   that the adapter was trained over another base.
    package init(
        task: String, path: String, labels: String? = nil, headFile: String? = nil, activation: HeadActivation? = nil,
        base: Checkpoint, allowsOtherBase: Bool = false
    ) throws {
        let source = try AdapterSource(path)
        baseDifference = try source.recordedBase().difference(from: base)
        if !allowsOtherBase { try baseDifference.check(path, base) }
        var reader = try AdapterReader(source, base: base)
        try reader.read()
        let linear = try reader.head(given: headFile, task: task)
        let (outputs, folder) = (linear.bias.count, source.folder)
        var labels = labels
        if let headFile, labels == nil, ClassNames.file(in: folder) == nil {
            labels = ClassNames.file(in: SmallFiles.folder(of: headFile))
        }
        // What a trainer writes is in a folder of its own, below that of its names.
        if labels == nil, folder != path, source.isFolder, ClassNames.file(in: folder) == nil {
            labels = ClassNames.file(in: path)
        }
        let names = try ClassNames.find(labels: labels, folder: folder, classes: outputs)
        let found = try AdapterActivation.find(
            given: activation, labels: labels, folder: folder, base: base, outputs: outputs)
        self.headFile = headFile
        notes =
            linear.notes(base: base) + ClassNames.notes(names?.names ?? [])
            + (reader.ignored.map {
                ["the tensor \"\($0)\" and others of its part are left out: classifiers do not use that part"]
            } ?? [])
        self.task = task
        self.path = source.place
        self.labels = labels
        givenActivation = activation
        let named = [names?.file, found.file, linear.file].compactMap(\.self)
        files = source.files + named.enumerated().filter { !named[..<$0.offset].contains($0.element) }.map(\.element)
        updates = reader.updates
        ambiguous = reader.ambiguous
        replaced = reader.replaced
        let classes = names?.names ?? linear.classes
        hasPlaceholderNames = classes == nil
        head = try Head(
            task: task, classes: classes ?? Head.placeholderNames(outputs), weight: linear.weight,
            bias: linear.bias, activation: found.activation, path: source.weights.path)
        let configuration = source.configuration
        traits = [
            configuration?.isRankStabilized == true ? "rsLoRA" : nil, configuration?.isDoRA == true ? "DoRA" : nil,
            configuration?.start?.name,
        ].compactMap(\.self)
    }
}

extension Adapter {
    /// Why it is wrong over the base that it was read for, in words; nil unless its folder tells so.
    package var otherBase: String? { baseDifference.weights.map { "\(path) was trained over another base (\($0))" } }

    /// That PEFT may have found another part of the base's weights than is found here, in words; nil when it may not.
    var ambiguity: String? {
        guard let first = ambiguous.first else { return nil }
        return "the part of the base that \(traits.last ?? "") begins with is not certain in \(first)"
            + (ambiguous.count > 1 ? " and \(ambiguous.count - 1) more" : "")
            + ": its singular values tie, or columns depend on each other"
    }

    /// What a user should know before it is merged: that the base is not quite, or not at all, the one that it was
    /// trained over, and that it changes nothing.
    ///
    /// - Throws: `ModelError` or `FileError` when the base cannot be read.
    package func warnings(over base: Checkpoint) throws -> [Warning] {
        var warnings = [otherBase].compactMap(\.self).map { Warning($0) } + baseDifference.warnings
        warnings += ([ambiguity].compactMap(\.self) + notes).map { Warning($0) }
        if try !changedParameters.isEmpty && changesNothing(in: base) {
            warnings.append("\(path) changes nothing: its updates are all zero")
        }
        return warnings
    }

    /// Whether every parameter of the base stays as it is.
    ///
    /// - Throws: `ModelError` or `FileError` when the base cannot be read.
    func changesNothing(in base: Checkpoint) throws -> Bool {
        try changedParameters.sorted().allSatisfy { name in
            try delta(name, of: base.parameter(name))?.isZero ?? true
        }
    }
}

extension BaseDifference {
    /// Refuses other weights, and a merged model unless the adapter was trained over it.
    ///
    /// - Throws: `ModelError` about the adapter at `path`.
    func check(_ path: String, _ base: Checkpoint) throws {
        if let weights {
            let advice =
                base.origin.map { "the bundle was made over \($0.folder)" } ?? "give the base that it was trained over"
            throw ModelError(
                path, "was trained over another base (\(weights)); \(advice)", remedy: AdapterRemedy.allowOtherBase)
        }
        guard !isSameBase, base.origin == nil, let merged = try MergedBase(folder: base.folder) else { return }
        throw ModelError(
            base.folder,
            "\(merged.description), and nothing tells that \(path) was trained over it"
                + (merged.origin.map { "; the base that it was merged over is \($0)" } ?? ""))
    }
}

/// The files of an adapter.
struct AdapterSource {
    let folder: String
    let weights: any TensorFile
    let configuration: AdapterConfiguration?
    let configurationPath: String
    let files: [String]
    /// Whether a folder was named, and not a file.
    let isFolder: Bool

    /// The names of weights in a folder, the first that is there is read.
    static let names = ["adapter_model.safetensors", "adapter_model.bin", "head.safetensors", "head.bin"]

    /// Opens the files at a path, or in the only folder below it that holds an adapter.
    init(_ path: String) throws {
        let path = try Self.place(of: path)
        isFolder = SmallFiles.isFolder(path, followsLinks: true)
        guard isFolder else {
            folder = SmallFiles.folder(of: path)
            (weights, configuration) = (try TensorFiles.open(path), nil)
            (configurationPath, files) = (path, [path])
            return
        }
        folder = path
        configurationPath = path + "/adapter_config.json"
        guard let name = Self.names.first(where: { access("\(path)/\($0)", F_OK) == 0 }) else {
            throw ModelPath.error(path, expected: .adapter)
        }
        weights = try TensorFiles.open("\(path)/\(name)")
        if access(configurationPath, F_OK) == 0 {
            configuration = try AdapterConfiguration(JSON(contentsOf: configurationPath), path: configurationPath)
            files = [configurationPath, weights.path]
        } else {
            configuration = nil
            files = [weights.path]
        }
    }

    /// Where an adapter's files are: in the folder that was named, or in the only folder below it with an
    /// `adapter_config.json`, as PEFT writes adapters that have a name and a trainer its checkpoints. Weights of an
    /// adapter that were named themselves mean their folder.
    ///
    /// - Throws: `ModelError` when it is something else, or there are several below it.
    static func place(of path: String) throws -> String {
        var status = stat()
        guard stat(path, &status) == 0 else { throw ModelPath.error(path, expected: .adapter) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            guard TensorFiles.hasEnding(path) else { throw ModelPath.error(path, expected: .adapter) }
            let isPart = names.prefix(2).contains(SmallFiles.name(of: path))
            let folder = SmallFiles.folder(of: path)
            return isPart && access("\(folder)/adapter_config.json", F_OK) == 0 ? folder : path
        }
        let own = names + ["adapter_config.json", "config.json", ModelBundle.manifestName]
        if own.contains(where: { access("\(path)/\($0)", F_OK) == 0 }) { return path }
        let below = ModelPath.folders(with: "adapter_config.json", in: path)
        guard below.count > 1 else { return below.first ?? path }
        throw ModelError(
            path, "holds \(below.count) adapters; give the one that is meant: \(ModelPath.list(below))")
    }

    /// What was named, as a recipe tells it: the folder, or a single file.
    var place: String { isFolder ? folder : weights.path }

    /// A head in a file of its own beside an adapter's weights, or nil.
    var headBeside: String? {
        guard isFolder, configuration != nil else { return nil }
        return ["head.safetensors", "head.bin"].map { "\(folder)/\($0)" }
            .first { $0 != weights.path && access($0, F_OK) == 0 }
    }

    /// The heads beside a change that was merged of several tasks' adapters, or nil.
    var headsOfSeveralTasks: String? {
        let path = "\(folder)/\(ModelBundle.headsName)"
        return isFolder && access(path, F_OK) == 0 ? path : nil
    }

    /// What is beside the weights of the base that they were trained over.
    ///
    /// - Throws: `ModelError` when one of our records is not understood.
    func recordedBase() throws -> RecordedBase {
        // A file that was taken out of its folder, or is among others, has no record of its own.
        let name = SmallFiles.name(of: weights.path)
        let isOurs = isFolder || Self.names.contains(name)
        return try RecordedBase(folder: isOurs ? folder : "", name: configuration?.baseName)
    }
}
