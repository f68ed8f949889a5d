import Files
import Glibc
package import Tensors

/// The files of task streams beside a backbone (see docs/bundle-format.md).
///
/// `streams.safetensors` has for each task the low-rank factors that its adapter adds to linear layers,
/// `TASK.MODULE.down` and `.up`, and the token map of each block, `TASK.layers.N.tokens.down`, `.up` and `.shift`.
/// `base.safetensors` has the parameters of the base that the backbone beside it does not share with it.
package enum StreamFile {
    /// The name of the file of streams.
    package static let name = "streams.safetensors"
    /// The name of the file of the base's parameters.
    package static let baseName = "base.safetensors"

    /// The tensors of streams, in order.
    package static func tensors(_ streams: [TaskStream]) -> [(name: String, tensor: Tensor)] {
        streams.flatMap { stream in
            let changes = stream.changes.sorted { $0.key < $1.key }.flatMap { module, change in
                [("\(stream.task).\(module).down", change.down), ("\(stream.task).\(module).up", change.up)]
            }
            let maps = stream.maps.enumerated().flatMap { layer, map in
                let name = "\(stream.task).layers.\(layer).tokens"
                return [
                    ("\(name).down", map.change.down), ("\(name).up", map.change.up),
                    ("\(name).shift", Tensor(shape: [map.shift.count], values: map.shift)),
                ]
            }
            return (changes + maps).map { (name: $0.0, tensor: $0.1) }
        }
    }

    /// The key in the metadata of the file of streams under which the names of the base's parameters are that
    /// `base.safetensors` has, one a line.
    private static let baseKey = "base"

    /// Writes the file of streams.
    ///
    /// - Parameter baseParameters: the names in the file of the base's parameters, without which `read` refuses the
    ///   streams; none if there is no such file.
    /// - Throws: `FileError` when it cannot be written.
    package static func write(_ streams: [TaskStream], baseParameters: [String], to path: String) throws {
        let tensors = tensors(streams)
        let writer = try SafetensorsWriter(
            path: path, declarations: tensors.map { .init(name: $0.name, shape: $0.tensor.shape) },
            metadata: ["format": "pt", baseKey: baseParameters.sorted().joined(separator: "\n")])
        for (name, tensor) in tensors { try writer.append(name, tensor) }
        try writer.finish()
    }

    /// Checks that the base has all parameters of its own that the streams were made over.
    private static func check(_ base: SafetensorsFile?, of streams: SafetensorsFile, path: String) throws {
        guard let expected = streams.metadata[baseKey]?.split(separator: "\n").map(String.init) else {
            throw ModelError(
                streams.path,
                "expected the names of the base's parameters in the metadata under \"\(baseKey)\", found none")
        }
        let found = Set(base?.entries.map(\.name) ?? [])
        guard base != nil || expected.isEmpty else {
            throw ModelError(
                path, "expected a file with \(expected.count) parameters of the base of \(name), found none")
        }
        if let missing = expected.first(where: { !found.contains($0) }) {
            throw ModelError(path, "\(missing): expected a parameter of the base of \(name), found none")
        }
        if let extra = found.subtracting(expected).min() {
            throw ModelError(path, "\(extra): is no parameter of the base of \(name)")
        }
    }

    /// Whether there are streams beside a backbone.
    package static func exists(folder: String) -> Bool { access("\(folder)/\(name)", F_OK) == 0 }

    /// Reads the streams of tasks.
    ///
    /// - Parameters:
    ///   - folder: the backbone's folder.
    ///   - tasks: the tasks whose heads read streams, in their order.
    ///   - backbone: computes the patch tokens.
    ///   - isRead: which tasks' streams are needed; of the others only the names are checked.
    /// - Throws: `FileError`; `ModelError` naming a tensor that is missing, does not fit, or belongs to no task.
    package static func read(
        folder: String, tasks: [String], _ backbone: Checkpoint, where isRead: (String) -> Bool = { _ in true }
    ) throws -> TaskStreams {
        let file = try SafetensorsFile(path: "\(folder)/\(name)")
        let c = backbone.configuration
        var left = Set(file.entries.map(\.name))
        func tensor(_ name: String) throws -> Tensor {
            left.remove(name)
            return try file.tensor(name)
        }
        /// The names of the tensors that a task may have.
        func names(_ task: String) -> [String] {
            c.linearModules.flatMap { ["\(task).\($0).down", "\(task).\($0).up"] }
                + (0..<c.layers).flatMap { layer in
                    ["down", "up", "shift"].map { "\(task).layers.\(layer).tokens.\($0)" }
                }
        }
        for task in tasks where !isRead(task) { left.subtract(names(task)) }
        let streams = try tasks.filter(isRead).map { task in
            var changes: [String: LowRankChange] = [:]
            for module in c.linearModules
            where ["down", "up"].contains(where: { file.entry("\(task).\(module).\($0)") != nil }) {
                changes[module] = LowRankChange(
                    down: try tensor("\(task).\(module).down"), up: try tensor("\(task).\(module).up"))
            }
            let maps = try (0..<c.layers).map { layer in
                let name = "\(task).layers.\(layer).tokens"
                let shift = try tensor("\(name).shift")
                guard shift.shape == [c.hiddenSize] else {
                    throw ModelError(file.path, "\(name).shift: expected [\(c.hiddenSize)], found \(shift.shape)")
                }
                return TokenMap(
                    LowRankChange(down: try tensor("\(name).down"), up: try tensor("\(name).up")), shift: shift.values)
            }
            let stream = TaskStream(task: task, changes: changes, maps: maps)
            try stream.check(c, path: file.path)
            return stream
        }
        if let extra = left.min() {
            throw ModelError(file.path, "tensor \"\(extra)\" belongs to no task of bundle.json")
        }
        let parameters = try baseFile(folder)
        try check(parameters, of: file, path: "\(folder)/\(baseName)")
        return TaskStreams(
            base: try Checkpoint(backbone, replacing: parameters), streams: streams,
            files: [file] + (parameters.map { [$0] } ?? []))
    }

    /// The base of streams: the parameters in the file of the base's parameters, if there is one, and the rest of those
    /// of the backbone beside it.
    ///
    /// - Parameter origin: what the base was read from when the bundle was made.
    /// - Throws: `FileError`; `ModelError` naming a tensor that the backbone does not have, or of another shape.
    package static func base(
        folder: String, _ backbone: Checkpoint, origin: Checkpoint.Origin
    ) throws -> Checkpoint {
        try Checkpoint(backbone, replacing: baseFile(folder), origin: origin)
    }

    /// The file of the base's parameters beside a backbone, if there is one.
    private static func baseFile(_ folder: String) throws -> SafetensorsFile? {
        let path = "\(folder)/\(baseName)"
        return access(path, F_OK) == 0 ? try SafetensorsFile(path: path) : nil
    }
}

extension TaskStreams {
    /// How many bytes of the file of streams one of them takes.
    package func byteCount(of stream: TaskStream) -> Int {
        StreamFile.tensors([stream]).reduce(0) { $0 + (files.first?.entry($1.name)?.range.count ?? 0) }
    }

    /// The parameters of the base that have a file of their own, by canonical name, with their sizes in bytes. All
    /// others are those of the backbone.
    package var ownBaseParameters: [(name: String, byteCount: Int)] {
        files.dropFirst().flatMap { $0.entries.map { ($0.name, $0.range.count) } }
    }
}

extension BackboneConfiguration {
    /// The linear layers of the blocks, by canonical name.
    package var linearModules: [String] {
        (0..<layers).flatMap { layer in
            let mlp = mlpNames(layer)
            return ["q", "k", "v", "o"].map { "layers.\(layer).attention.\($0)_proj" }
                + [mlp.first, mlp.up, mlp.second].compactMap(\.self)
        }
    }
}
