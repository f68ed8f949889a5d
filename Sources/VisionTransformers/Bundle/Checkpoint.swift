package import Files
import Glibc
package import Tensors

/// A Hugging Face checkpoint folder: `config.json` and `model.safetensors` or `pytorch_model.bin`, or shards with an
/// index.
///
/// Opening maps the files and checks all names and shapes; data is read on request.
package final class Checkpoint: ParameterSource {
    /// One stored tensor, and the parameters that it holds.
    package struct StoredTensor: Sendable {
        /// The shard.
        package let file: any TensorFile
        /// Where the tensor is in it, and its shape.
        package let entry: TensorEntry
        /// Its name without the prefix of all names (see `FileNames`).
        package let name: String
        /// The canonical names of its parameters: one, or the branches of a fused weight in the order of their rows.
        package let parameters: [String]
    }

    /// The folder.
    package let folder: String
    /// Where its preprocessing settings come from.
    package let preprocessor: PreprocessorChoice
    /// The contents of `config.json`.
    package let configurationFile: JSON
    /// The backbone's shape.
    package let configuration: BackboneConfiguration
    /// The tensors in the order of the files.
    package let storedTensors: [StoredTensor]
    /// The files of the weights, shards in the order of the index.
    package let files: [any TensorFile]
    /// For a base that is kept in a bundle, the files that it was read from when the bundle was made.
    package let origin: Origin?
    private let locations: [String: (tensor: Int, branch: Int)]

    /// The files that a base was read from before a bundle took it in.
    package struct Origin: Sendable {
        /// Their folder.
        package let folder: String
        /// SHA-256 by the last part of the file's path.
        package let digests: [(name: String, sha256: String)]

        /// Files of a folder.
        package init(folder: String, digests: [(name: String, sha256: String)]) {
            (self.folder, self.digests) = (folder, digests)
        }
    }

    /// Opens a checkpoint folder.
    ///
    /// - Parameters:
    ///   - folder: the folder.
    ///   - preprocessor: where its preprocessing settings come from; they are read on request.
    /// - Throws: `ModelError` or `FileError` naming the file, and the key or tensor that is missing, left over or has
    ///   another shape.
    package convenience init(folder: String, preprocessor: PreprocessorChoice = PreprocessorChoice()) throws {
        try self.init(folder: folder, preprocessor: preprocessor, expected: .base)
    }

    /// Opens a folder.
    ///
    /// - Parameter expected: for the error about a folder that is something else; nil for a part of a bundle.
    init(folder: String, preprocessor: PreprocessorChoice = PreprocessorChoice(), expected: ModelPath.Expected?) throws
    {
        self.folder = folder
        self.preprocessor = preprocessor
        let path = folder + "/config.json"
        if let expected, access(path, F_OK) != 0, !ModelBundle.isBundle(folder) {
            throw ModelPath.error(folder, expected: expected)
        }
        configurationFile = try JSON(contentsOf: path)
        // A wrong configuration is named before the weights are looked for, unless it takes these to understand it.
        if !BackboneConfiguration.isTimm(configurationFile) {
            _ = try BackboneConfiguration(configurationFile, path: path)
        }
        let shards = try Checkpoint.open(folder)
        files = shards.map(\.file)
        let shapes = shards.flatMap(\.entries).map { (FileNames.bare($0.name), $0.shape) }
        configuration = try BackboneConfiguration(
            configurationFile, path: path, tensors: Dictionary(shapes) { first, _ in first })
        var stored: [StoredTensor] = []
        var locations: [String: (tensor: Int, branch: Int)] = [:]
        try FileNames.check(shards.flatMap { $0.entries.map(\.name) }, path: folder)
        let names = configuration.names
        let heads = Checkpoint.headNames(shards.flatMap(\.entries), names)
        for (file, entries) in shards {
            for entry in entries {
                let bare = FileNames.bare(entry.name)
                guard !names.isIgnored(names.withoutPrefix(bare)) else { continue }
                let canonical = names.canonical(bare)
                let name = heads[canonical] ?? canonical
                let parameters = names.branches(of: name) ?? [name]
                for (branch, parameter) in parameters.enumerated() {
                    guard locations.updateValue((stored.count, branch), forKey: parameter) == nil else {
                        throw ModelError(file.path, "tensor \"\(entry.name)\": a second tensor for \(parameter)")
                    }
                }
                stored.append(StoredTensor(file: file, entry: entry, name: bare, parameters: parameters))
            }
        }
        storedTensors = stored
        self.locations = locations
        origin = nil
        try check()
    }

    /// The base of a bundle's streams: the backbone with other values of some parameters.
    ///
    /// - Parameters:
    ///   - parameters: a file with the other values, by canonical name; nil where all are the backbone's.
    ///   - origin: what the base was read from, if it is known.
    /// - Throws: `ModelError` naming a tensor that the backbone does not have, or of another shape.
    package init(_ backbone: Checkpoint, replacing parameters: SafetensorsFile?, origin: Origin? = nil) throws {
        (folder, preprocessor, self.origin) = (backbone.folder, backbone.preprocessor, origin)
        (configurationFile, configuration) = (backbone.configurationFile, backbone.configuration)
        var (stored, locations) = (backbone.storedTensors, backbone.locations)
        let shapes = Dictionary(configuration.parameterShapes.map { ($0.name, $0.shape) }) { $1 }
        for (file, entry) in parameters.map({ file in file.entries.map { (file, $0) } }) ?? [] {
            guard let shape = shapes[entry.name] else {
                throw ModelError(file.path, "\"\(entry.name)\" is no parameter of the backbone")
            }
            guard shape == entry.shape else {
                throw ModelError(file.path, "\(entry.name): expected \(shape), found \(entry.shape)")
            }
            locations[entry.name] = (stored.count, 0)
            stored.append(StoredTensor(file: file, entry: entry, name: entry.name, parameters: [entry.name]))
        }
        files = backbone.files + (parameters.map { [$0] } ?? [])
        (storedTensors, self.locations) = (stored, locations)
    }

    /// A parameter's elements as 32-bit floats.
    ///
    /// - Throws: `ModelError` when there is none of that name, or an element is not a finite number; `FileError` when
    ///   its elements are not floats.
    package func parameter(_ name: String) throws -> Tensor {
        guard let location = locations[name] else { throw ModelError(folder, "no parameter \"\(name)\"") }
        let stored = storedTensors[location.tensor]
        let tensor = try stored.file.tensor(stored.entry.name)
        try tensor.checkFinite(stored.entry.name, path: stored.file.path)
        guard stored.parameters.count > 1 else { return tensor }
        let part = tensor.count / stored.parameters.count
        let shape = [tensor.shape[0] / stored.parameters.count] + tensor.shape.dropFirst()
        return Tensor(shape: shape, values: Array(tensor.values[location.branch * part..<(location.branch + 1) * part]))
    }

    /// Checks that every element of every tensor is a finite number; reads all weights.
    ///
    /// - Throws: `ModelError` naming the file, the tensor and the first element that is not; `FileError`.
    package func checkFinite() throws {
        for stored in storedTensors {
            try stored.file.tensor(stored.entry.name).checkFinite(stored.entry.name, path: stored.file.path)
            stored.file.file.release(stored.entry.range)
        }
    }

    /// The names of parameters in its files.
    package var names: ParameterNaming { configuration.names }

    /// Whether a model of the checkpoint's configuration may have a parameter of that name, also in its head, or one
    /// that no prediction depends on.
    package func mayHold(_ name: String) -> Bool { configuration.knows(name) }

    /// Whether `config.json` names the classes of the checkpoint's own head.
    package var hasClassNames: Bool {
        get throws {
            try BackboneConfiguration.classNames(configurationFile, path: "\(folder)/config.json") != nil
        }
    }

    /// Whether there is a parameter of that name.
    package func hasParameter(_ name: String) -> Bool { locations[name] != nil }

    /// Gives the memory of a parameter in the mapped file back to the system.
    package func release(_ name: String) {
        guard let location = locations[name] else { return }
        let stored = storedTensors[location.tensor]
        stored.file.file.release(stored.entry.range)
    }

    /// The shape of a parameter, or nil if there is none of that name.
    package func shape(_ name: String) -> [Int]? {
        guard let location = locations[name] else { return nil }
        let stored = storedTensors[location.tensor]
        guard stored.parameters.count > 1, let rows = stored.entry.shape.first else { return stored.entry.shape }
        return [rows / stored.parameters.count] + stored.entry.shape.dropFirst()
    }

    /// Checks that all parameters of the backbone exist with their shapes, and that nothing is left over.
    private func check() throws {
        var expected: Set<String> = []
        for (name, shape) in configuration.parameterShapes {
            expected.insert(name)
            guard let found = self.shape(name) else {
                let stray = storedTensors.first { $0.parameters.contains { !configuration.knows($0) } }
                let hint =
                    stray.map {
                        "; the file has \"\($0.entry.name)\", which is no tensor of a \(configuration.family.name)"
                    } ?? ""
                throw ModelError(folder, "tensor for \(name) is missing\(hint)")
            }
            guard found == shape else {
                throw ModelError(folder, "\(name): expected shape \(shape) by config.json, found \(found)")
            }
        }
        for stored in storedTensors {
            for name in stored.parameters where !expected.contains(name) {
                guard ParameterNames.isHead(name) || names.isUnused(name) else {
                    throw ModelError(
                        stored.file.path,
                        "tensor \"\(stored.entry.name)\" has no place in a \(configuration.family.name) of "
                            + "\(configuration.layers) layers")
                }
            }
            switch stored.entry.type {
            case .float32, .float16, .bfloat16, .float64: break
            default:
                throw ModelError(
                    stored.file.path,
                    "tensor \"\(stored.entry.name)\": expected F32, F16 or BF16, found \(stored.entry.type.rawValue)")
            }
            if stored.parameters.count > 1, (stored.entry.shape.first ?? 1) % stored.parameters.count != 0 {
                throw ModelError(stored.file.path, "tensor \"\(stored.entry.name)\": an odd number of rows")
            }
        }
    }
}

extension BackboneConfiguration {
    /// Whether the backbone or a head can have a parameter of a canonical name.
    fileprivate func knows(_ name: String) -> Bool {
        ParameterNames.isHead(name) || family.names.isUnused(name)
            || ParameterNames.layer(of: name).map { $0 < layers } ?? parameterShapes.contains { $0.name == name }
    }
}

extension Checkpoint {
    /// The names of a head that is a linear layer in a `Sequential`, by the canonical ones in the file. None for other
    /// heads, which are an error only when they are needed.
    private static func headNames(_ entries: [TensorEntry], _ names: ParameterNaming) -> [String: String] {
        let shapes = entries.map { (names.canonical(FileNames.bare($0.name)), $0.shape) }
            .filter { ParameterNames.isHead($0.0) }
        return (try? HeadNames.linear(Dictionary(shapes, uniquingKeysWith: { first, _ in first }), path: "")) ?? [:]
    }

    /// Finds and opens the files of weights in a folder, safetensors before `pytorch_model.bin`, each with the entries
    /// that belong to the checkpoint.
    private static func open(
        _ folder: String
    ) throws -> [(file: any TensorFile, entries: [TensorEntry])] {
        for single in ["model.safetensors", "pytorch_model.bin"] {
            let path = "\(folder)/\(single)"
            if access(path, F_OK) == 0 {
                let file = try TensorFiles.open(path)
                return [(file, file.entries)]
            }
            let index = path + ".index.json"
            if access(index, F_OK) == 0 { return try openShards(folder, index: index) }
        }
        for other in ["model.pt", "model.pth", "model.bin", "pytorch_model.pt", "pytorch_model.pth"]
        where access("\(folder)/\(other)", F_OK) == 0 {
            throw ModelError(
                "\(folder)/\(other)",
                "not a file name that transformers uses for weights; rename the file to pytorch_model.bin"
            )
        }
        throw ModelError(
            folder,
            "neither model.safetensors nor pytorch_model.bin is there, nor an index of either")
    }

    private static func openShards(
        _ folder: String, index path: String
    ) throws -> [(file: any TensorFile, entries: [TensorEntry])] {
        guard let map = try JSON(contentsOf: path).objectValue?["weight_map"]?.objectValue else {
            throw ModelError(path, "no \"weight_map\" object")
        }
        var shards: [(file: any TensorFile, entries: [TensorEntry])] = []
        var positions: [String: Int] = [:]
        for (name, value) in map.members {
            guard let shard = value.stringValue, !shard.isEmpty, !shard.contains("/"), shard != ".." else {
                throw ModelError(path, "weight_map[\"\(name)\"]: expected a file name in this folder")
            }
            let position: Int
            if let openShard = positions[shard] {
                position = openShard
            } else {
                position = shards.count
                positions[shard] = position
                shards.append((try TensorFiles.open("\(folder)/\(shard)"), []))
            }
            guard let entry = shards[position].file.entry(name) else {
                throw ModelError("\(folder)/\(shard)", "no tensor \"\(name)\", which the index places here")
            }
            shards[position].entries.append(entry)
        }
        for (file, entries) in shards where entries.count != file.entries.count {
            let named = Set(entries.map(\.name))
            let extra = file.entries.first { !named.contains($0.name) }?.name ?? ""
            throw ModelError(file.path, "tensor \"\(extra)\" is not in the index")
        }
        return shards
    }
}

extension Checkpoint {
    /// The checkpoint's own classification head, or nil when it has none.
    ///
    /// - Throws: `ModelError` or `FileError` when the head does not fit the backbone or its class names, or its
    ///   `problem_type` is unknown.
    package func head(task: String) throws -> Head? {
        var parameters: [String: Tensor] = [:]
        for name in storedTensors.flatMap(\.parameters) where ParameterNames.isHead(name) {
            parameters[name] = try parameter(name)
        }
        _ = try HeadNames.linear(parameters.mapValues(\.shape), path: folder)
        guard let (weight, bias) = try Head.linear(parameters, configuration: configuration, path: folder) else {
            return nil
        }
        let path = folder + "/config.json"
        let names = try BackboneConfiguration.classNames(configurationFile, path: path)
        let activation = HeadActivation(try ProblemType.read(configurationFile, path: path), outputs: bias.count)
        return try Head(
            task: task, classes: names ?? Head.placeholderNames(bias.count), weight: weight, bias: bias,
            activation: activation, path: path)
    }
}
