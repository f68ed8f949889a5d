package import Tensors

/// A low-rank change of a linear layer or of tokens: x ↦ Wx + up (down x).
package struct LowRankChange: Sendable, Equatable {
    /// (r, inputs).
    package let down: Tensor
    /// (outputs, r).
    package let up: Tensor

    /// A change of rank r, which is the number of rows of `down` and of columns of `up`.
    package init(down: Tensor, up: Tensor) { (self.down, self.up) = (down, up) }

    /// The rank.
    package var rank: Int { down.shape.first ?? 0 }
}

/// What a task's own patch tokens would be, given the shared ones, after the first normalization of a block:
/// x ↦ x + up (down x) + shift. All of them are in the base's scale.
package struct TokenMap: Sendable, Equatable {
    /// The linear part.
    package let change: LowRankChange
    /// (D).
    package let shift: [Float]

    /// A map.
    package init(_ change: LowRankChange, shift: [Float]) { (self.change, self.shift) = (change, shift) }

    /// The map that leaves tokens of width D as they are.
    package static func identity(width: Int) -> TokenMap {
        TokenMap(
            LowRankChange(down: Tensor(shape: [0, width], values: []), up: Tensor(shape: [width, 0], values: [])),
            shift: [Float](repeating: 0, count: width))
    }
}

/// A task's own CLS token on its way through the blocks: the base's blocks with the task's adapter, unmerged, which
/// read the patch tokens that all tasks share.
package struct TaskStream: Sendable {
    /// The task.
    package let task: String
    /// The adapter's changes of linear layers, by the canonical names of modules.
    package let changes: [String: LowRankChange]
    /// How each block's patch tokens are mapped before the stream reads them.
    package let maps: [TokenMap]

    /// A stream of a task.
    package init(task: String, changes: [String: LowRankChange], maps: [TokenMap]) {
        (self.task, self.changes, self.maps) = (task, changes, maps)
    }

    /// The same stream of a task with another name.
    package func named(_ task: String) -> TaskStream { TaskStream(task: task, changes: changes, maps: maps) }

    /// Checks the stream against a backbone.
    ///
    /// - Throws: `ModelError` about `path` naming a module that the backbone does not have, or a tensor whose shape
    ///   does not fit.
    package func check(_ configuration: BackboneConfiguration, path: String) throws {
        try configuration.checkStreams(path: path)
        let d = configuration.hiddenSize
        func check(_ change: LowRankChange, _ name: String, inputs: Int, outputs: Int) throws {
            let rank = change.rank
            guard change.down.shape == [rank, inputs], change.up.shape == [outputs, rank] else {
                throw ModelError(
                    path,
                    "\(task).\(name): expected (r, \(inputs)) and (\(outputs), r), found \(change.down.shape) and "
                        + "\(change.up.shape)")
            }
            try change.down.checkFinite("\(task).\(name).down", path: path)
            try change.up.checkFinite("\(task).\(name).up", path: path)
        }
        guard maps.count == configuration.layers else {
            throw ModelError(path, "\(task): expected \(configuration.layers) token maps, found \(maps.count)")
        }
        for (layer, map) in maps.enumerated() {
            try check(map.change, "layers.\(layer).tokens", inputs: d, outputs: d)
            guard map.shift.count == d, map.shift.allSatisfy(\.isFinite) else {
                throw ModelError(path, "\(task).layers.\(layer).tokens.shift: expected \(d) finite numbers")
            }
        }
        for (name, change) in changes {
            guard let shape = configuration.linearShape(of: name) else {
                throw ModelError(path, "\(task): \"\(name)\" is no linear layer of a block")
            }
            try check(change, name, inputs: shape.inputs, outputs: shape.outputs)
        }
    }
}

/// The streams of a bundle's tasks, with the base that they are computed by.
package struct TaskStreams: Sendable {
    /// The base's parameters, which all streams share.
    package let base: any ParameterSource
    /// A stream of each task, in the order of the heads.
    package let streams: [TaskStream]
    /// The files that they were read from: the streams, and the base's parameters if it has some of its own.
    let files: [SafetensorsFile]

    /// The streams over a base.
    package init(base: any ParameterSource, streams: [TaskStream]) {
        self.init(base: base, streams: streams, files: [])
    }

    init(base: any ParameterSource, streams: [TaskStream], files: [SafetensorsFile]) {
        (self.base, self.streams, self.files) = (base, streams, files)
    }

    /// The streams of some tasks.
    func selecting(_ isIncluded: (_ task: String) -> Bool) -> TaskStreams {
        TaskStreams(base: base, streams: streams.filter { isIncluded($0.task) }, files: files)
    }
}

extension BackboneConfiguration {
    /// The inputs and outputs of a linear layer of a block by its canonical name, or nil if there is no such layer.
    package func linearShape(of module: String) -> (inputs: Int, outputs: Int)? {
        let (d, m) = (hiddenSize, intermediateSize)
        guard let layer = ParameterNames.layer(of: module), layer < layers else { return nil }
        switch module.dropFirst("layers.\(layer).".count) {
        case "attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj": return (d, d)
        case "mlp.fc1" where !isGated, "mlp.gate_proj" where isGated, "mlp.up_proj" where isGated:
            return (d, m)
        case "mlp.fc2" where !isGated, "mlp.down_proj" where isGated: return (m, d)
        default: return nil
        }
    }
}

extension BackboneConfiguration {
    /// Checks that a CLS token of each task can be computed over shared patch tokens.
    ///
    /// - Throws: `ModelError` about `path` saying what about the family forbids it.
    package func checkStreams(path: String) throws {
        let reason: String? =
            if !anatomy.prefix.hasCLS {
                "has no CLS token, which a stream is"
            } else if !anatomy.features.hasTokens {
                "has classifiers that read the mean of the patch tokens, which all tasks would share"
            } else if anatomy.positions.isRotary {
                "rotates keys by their positions, so that scores cannot be computed from tokens"
            } else if anatomy.hasScoreBias {
                "adds a bias by position to scores, which streams do not have"
            } else { nil }
        if let reason {
            throw ModelError(path, "a \(family.name) \(reason); merge without streams")
        }
    }
}
