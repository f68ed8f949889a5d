import Compute
import Files
import Glibc
import Tensors

/// The file of a backbone's blocks in eight bits, which `quantize` leaves beside the weights. See
/// docs/bundle-format.md.
///
/// Each block is bound by a checksum to the weights that it was quantized from, and is refused beside others.
package struct QuantizedWeights: Sendable {
    /// The file's name beside a backbone's `model.safetensors`.
    package static let fileName = "int8.safetensors"

    /// The file.
    let file: SafetensorsFile
    /// What `quantize` left in floats.
    package let floats: Set<BlockSublayer>
    private let configuration: BackboneConfiguration

    /// Opens the file of a backbone, or gives nil when the folder has none.
    ///
    /// - Throws: `FileError` when it is damaged.
    package init?(folder: String, _ configuration: BackboneConfiguration) throws {
        let path = "\(folder)/\(Self.fileName)"
        guard access(path, F_OK) == 0 else { return nil }
        file = try SafetensorsFile(path: path)
        floats = try Self.floats(file, configuration)
        self.configuration = configuration
    }

    /// The keys of the attentions and MLPs in floats, and of the scores in eight bits, in the file's metadata.
    fileprivate static let (floatsName, scoresName) = ("floats", "int8_attention_scores")

    private static func floats(
        _ file: SafetensorsFile, _ configuration: BackboneConfiguration
    ) throws -> Set<BlockSublayer> {
        let rounded = try sublayers(scoresName, file, configuration) ?? []
        guard let floats = try sublayers(floatsName, file, configuration) else {
            return BlockSublayer.inFloatsUnlessMeasured(configuration.layers).subtracting(rounded)
        }
        return floats.union(BlockSublayer.scores(configuration.layers).subtracting(rounded))
    }

    /// The sublayers that the metadata names under a key; nil without it.
    private static func sublayers(
        _ key: String, _ file: SafetensorsFile, _ configuration: BackboneConfiguration
    ) throws -> Set<BlockSublayer>? {
        try file.metadata[key].map { text in
            try Set(
                text.split(separator: " ").map { name in
                    let sublayer = BlockSublayer(name: String(name))
                    guard let sublayer, sublayer.layer < configuration.layers,
                        (sublayer.part == .scores) == (key == scoresName)
                    else {
                        let example = BlockSublayer(layer: 0, key == scoresName ? .scores : .attention)
                        throw ModelError(
                            file.path,
                            "\(key): expected names like \(example) of \(configuration.layers) blocks, found \(name)",
                            remedy: ModelRemedy.quantize)
                    }
                    return sublayer
                })
        }
    }

    /// The scores that are in eight bits.
    package var roundedScores: Set<BlockSublayer> { BlockSublayer.scores(configuration.layers).subtracting(floats) }

    /// What is left in floats here: also all scores, where matrix instructions (AMX) compute them faster in bf16.
    var floatsHere: Set<BlockSublayer> {
        BFloat16Attention.hasTiles ? floats.union(BlockSublayer.scores(configuration.layers)) : floats
    }

    /// The key of the agreement in the file's metadata.
    fileprivate static let agreementName = "agreement"

    /// How many labels are the same as in f32, if `quantize` could compare them.
    package var agreement: LabelAgreement? { file.metadata[Self.agreementName].flatMap(LabelAgreement.init(text:)) }

    /// The key of the token merging in the file's metadata.
    fileprivate static let tokenMergingName = "token_merging"

    /// The token merging that `quantize --keep` found for the backbone in eight bits, if it looked for one.
    ///
    /// - Throws: `ModelError` when it is not understood.
    package var tokenMerging: KeptTokenMerging? {
        get throws {
            guard let text = file.metadata[Self.tokenMergingName] else { return nil }
            guard let merging = KeptTokenMerging(text: text) else {
                throw ModelError(
                    file.path,
                    "\(Self.tokenMergingName): expected numbers of tokens and their agreement, found \(text)",
                    remedy: ModelRemedy.quantize)
            }
            return merging
        }
    }

    /// The name of a tensor of a task's head that was aligned with `tokenMerging`.
    fileprivate static func headTensor(_ task: String, _ parameter: String) -> String {
        "\(tokenMergingName).\(task).\(parameter)"
    }

    /// A task's head as `quantize --keep` aligned it with the token merging that it found; nil if it did not.
    ///
    /// - Throws: `ModelError` when it has not the classes of the task's own head.
    func alignedHead(_ own: Head) throws -> Head? {
        let (weight, bias) = (Self.headTensor(own.task, "weight"), Self.headTensor(own.task, "bias"))
        guard file.entry(weight) != nil else { return nil }
        var head = own
        head.weight = try file.tensor(weight)
        head.bias = Tensor(shape: own.bias.shape, values: try numbers(bias, own.classes.count))
        guard head.weight.shape.count == 2, head.weight.shape[0] == own.classes.count,
            head.weight.shape[1] >= own.weight.shape[1], head.weight.values.allSatisfy(\.isFinite)
        else {
            throw ModelError(
                file.path,
                "\(weight): expected finite numbers for \(own.classes.count) classes, found \(head.weight.shape)",
                remedy: ModelRemedy.quantize)
        }
        return head
    }

    /// The tasks whose heads were aligned with the token merging.
    package var alignedTasks: [String] {
        let (prefix, suffix) = ("\(Self.tokenMergingName).", ".weight")
        return file.entries.map(\.name).filter { $0.hasPrefix(prefix) && $0.hasSuffix(suffix) }
            .map { String($0.dropFirst(prefix.count).dropLast(suffix.count)) }
    }

    /// A block's attention.
    ///
    /// - Throws: `ModelError` when it was quantized from other weights, or does not have the block's shape.
    func attention(_ layer: Int, of weights: AttentionWeights) throws -> QuantizedAttention {
        let (name, d) = (BlockSublayer(layer: layer, .attention).description, configuration.hiddenSize)
        try check(name, weights.checksum)
        return QuantizedAttention(
            norm: try norm(name), input: try self.layer("\(name).input", inputs: d, outputs: 3 * d),
            output: try self.layer("\(name).output", inputs: d, outputs: d))
    }

    /// A block's MLP.
    ///
    /// - Throws: as for attention.
    func mlp(_ layer: Int, of weights: MLPWeights) throws -> QuantizedMLP {
        let name = BlockSublayer(layer: layer, .mlp).description
        let (d, m) = (configuration.hiddenSize, configuration.intermediateSize)
        try check(name, weights.checksum)
        return QuantizedMLP(
            norm: try norm(name), first: try self.layer("\(name).first", inputs: d, outputs: m),
            up: configuration.isGated ? try self.layer("\(name).up", inputs: d, outputs: m) : nil,
            factor: try numbers("\(name).factor", m),
            second: try self.layer("\(name).second", inputs: m, outputs: d))
    }

    private func check(_ name: String, _ checksum: UInt64) throws {
        guard let recorded = file.metadata[name] else {
            throw ModelError(file.path, "has no checksum of \(name)", remedy: ModelRemedy.quantize)
        }
        guard recorded == Self.text(checksum) else {
            throw ModelError(
                file.path, "\(name) was quantized from other weights than those beside it", remedy: ModelRemedy.quantize
            )
        }
    }

    private func norm(_ name: String) throws -> LayerNorm {
        LayerNorm(
            scale: FloatBuffer(try numbers("\(name).norm.weight", configuration.hiddenSize)),
            shift: FloatBuffer(try numbers("\(name).norm.bias", configuration.hiddenSize)))
    }

    private func layer(_ name: String, inputs: Int, outputs: Int) throws -> QuantizedLinear {
        let weight = "\(name).weight"
        guard let entry = file.entry(weight), entry.type == .int8, entry.shape == [outputs, inputs] else {
            let stored = file.entry(weight).map { "\($0.type.rawValue) \($0.shape)" } ?? "none"
            throw ModelError(file.path, "\(weight): expected I8 [\(outputs), \(inputs)], found \(stored)")
        }
        defer { file.file.release(entry.range) }
        let values = Array(file.bytes(of: entry).bindMemory(to: Swift.Int8.self))
        return QuantizedLinear(
            weight: Int8.Weight(values: values, scale: try numbers("\(name).scale", outputs)),
            bias: try numbers("\(name).bias", outputs))
    }

    private func numbers(_ name: String, _ count: Int) throws -> [Float] {
        let tensor = try file.tensor(name)
        guard tensor.shape == [count] else {
            throw ModelError(file.path, "\(name): expected [\(count)], found \(tensor.shape)")
        }
        guard tensor.values.allSatisfy(\.isFinite) else {
            throw ModelError(file.path, "\(name): expected finite numbers")
        }
        return tensor.values
    }

    /// A checksum as the file has it.
    fileprivate static func text(_ checksum: UInt64) -> String { String(checksum, radix: 16) }
}

/// A backbone's blocks in eight bits, to be written.
package struct QuantizedBackbone: Sendable {
    /// A quantized sublayer.
    struct Part<Weights: Sendable>: Sendable {
        let sublayer: BlockSublayer
        let weights: Weights
        /// Of the weights that it was quantized from.
        let checksum: UInt64
    }

    var attention: [Part<QuantizedAttention>] = []
    var mlp: [Part<QuantizedMLP>] = []

    /// All that can be computed in eight bits.
    package var sublayers: Set<BlockSublayer> {
        let scores = attention.map { BlockSublayer(layer: $0.sublayer.layer, .scores) }
        return Set(attention.map(\.sublayer) + scores + mlp.map(\.sublayer))
    }

    /// Writes the file that `QuantizedWeights` reads. The same blocks give the same bytes.
    ///
    /// - Parameters:
    ///   - floats: what is left in floats; nil for what is without measuring.
    ///   - agreement: how many labels are the same as in f32, if that is known.
    ///   - tokenMerging: what was found of token merging, if it was looked for.
    ///   - heads: those that were aligned with it.
    /// - Throws: `FileError` when it cannot be written.
    package func write(
        folder: String, floats: Set<BlockSublayer>? = nil, _ agreement: LabelAgreement? = nil,
        tokenMerging: KeptTokenMerging? = nil, heads: [Head] = []
    ) throws {
        var tensors: [QuantizedTensor] = []
        var metadata = ["format": "mergevit int8"]
        let floats = floats ?? BlockSublayer.inFloatsUnlessMeasured((sublayers.map(\.layer).max() ?? -1) + 1)
        func names(_ sublayers: Set<BlockSublayer>) -> String {
            [BlockSublayer](ordered: sublayers).map(\.description).joined(separator: " ")
        }
        metadata[QuantizedWeights.floatsName] = names(floats.filter { $0.part != .scores })
        let scores = sublayers.subtracting(floats).filter { $0.part == .scores }
        metadata[QuantizedWeights.scoresName] = scores.isEmpty ? nil : names(scores)
        metadata[QuantizedWeights.agreementName] = agreement?.text
        metadata[QuantizedWeights.tokenMergingName] = tokenMerging?.text
        for part in attention where !floats.contains(part.sublayer) {
            let name = part.sublayer.description
            metadata[name] = QuantizedWeights.text(part.checksum)
            tensors += QuantizedTensor.norm(part.weights.norm, name)
            tensors += QuantizedTensor.layer(part.weights.input, "\(name).input")
            tensors += QuantizedTensor.layer(part.weights.output, "\(name).output")
        }
        for part in mlp where !floats.contains(part.sublayer) {
            let name = part.sublayer.description
            metadata[name] = QuantizedWeights.text(part.checksum)
            tensors += QuantizedTensor.norm(part.weights.norm, name)
            tensors += QuantizedTensor.layer(part.weights.first, "\(name).first")
            if let up = part.weights.up { tensors += QuantizedTensor.layer(up, "\(name).up") }
            tensors.append(.numbers("\(name).factor", part.weights.factor))
            tensors += QuantizedTensor.layer(part.weights.second, "\(name).second")
        }
        for head in heads {
            tensors.append(.tensor(QuantizedWeights.headTensor(head.task, "weight"), head.weight))
            tensors.append(.tensor(QuantizedWeights.headTensor(head.task, "bias"), head.bias))
        }
        let writer = try SafetensorsWriter(
            path: "\(folder)/\(QuantizedWeights.fileName)", declarations: tensors.map(\.declaration),
            metadata: metadata)
        for tensor in tensors { try tensor.append(to: writer) }
        try writer.finish()
    }
}

/// A tensor of the file.
private enum QuantizedTensor {
    case tensor(String, Tensor)
    case weight(String, Int8.Weight)

    static func numbers(_ name: String, _ values: [Float]) -> QuantizedTensor {
        .tensor(name, Tensor(shape: [values.count], values: values))
    }

    static func norm(_ norm: LayerNorm, _ name: String) -> [QuantizedTensor] {
        [
            .numbers("\(name).norm.weight", Array(norm.scale.elements)),
            .numbers("\(name).norm.bias", Array(norm.shift.elements)),
        ]
    }

    static func layer(_ layer: QuantizedLinear, _ name: String) -> [QuantizedTensor] {
        [
            .weight("\(name).weight", layer.weight), .numbers("\(name).scale", layer.weight.scale),
            .numbers("\(name).bias", layer.bias),
        ]
    }

    var declaration: SafetensorsWriter.Declaration {
        switch self {
        case .tensor(let name, let tensor): .init(name: name, shape: tensor.shape)
        case .weight(let name, let weight):
            .init(
                name: name, type: .int8,
                shape: [weight.scale.count, weight.values.count / max(weight.scale.count, 1)])
        }
    }

    func append(to writer: SafetensorsWriter) throws(FileError) {
        switch self {
        case .tensor(let name, let tensor): try writer.append(name, tensor)
        case .weight(let name, let weight):
            var failure: FileError?
            weight.values.withUnsafeBytes { bytes in
                do throws(FileError) { try writer.append(name, bytes: bytes) } catch { failure = error }
            }
            if let failure { throw failure }
        }
    }
}

extension AttentionWeights {
    /// Of all its numbers.
    var checksum: UInt64 { VisionTransformers.checksum(norm, [input, output]) }
}

extension MLPWeights {
    /// Of all its numbers.
    var checksum: UInt64 { VisionTransformers.checksum(norm, [first] + (up.map { [$0] } ?? []) + [second]) }
}

private func checksum(_ norm: LayerNorm, _ layers: [LinearWeights]) -> UInt64 {
    let parts = [Array(norm.scale.elements), Array(norm.shift.elements)] + layers.flatMap { [$0.weight, $0.bias] }
    return parts.map { $0.withUnsafeBytes { Compute.checksum($0) } }.withUnsafeBytes { Compute.checksum($0) }
}
