import Compute
import Files
import Glibc
import Tensors

/// A backbone's blocks rounded to eight bits, in the file that `quantize` leaves beside the weights. See docs/bundle-format.md.
///
/// They are answers of the backbone's own weights: each block says what it was rounded from, and is refused beside others.
package struct RoundedWeights: Sendable {
    /// The file's name beside a backbone's `model.safetensors`.
    package static let fileName = "int8.safetensors"

    /// The file.
    let file: SafetensorsFile
    private let configuration: BackboneConfiguration

    /// Opens the file of a backbone, or gives nil when the folder has none.
    ///
    /// - Throws: `FileError` when it is damaged.
    package init?(folder: String, _ configuration: BackboneConfiguration) throws {
        let path = "\(folder)/\(Self.fileName)"
        guard access(path, F_OK) == 0 else { return nil }
        file = try SafetensorsFile(path: path)
        self.configuration = configuration
    }

    /// What the metadata call `agreement`.
    static let agreementName = "agreement"

    /// How many labels the backbone keeps for its tasks, if `quantize` could compare them.
    package var agreement: LabelAgreement? { file.metadata[Self.agreementName].flatMap(LabelAgreement.init(text:)) }

    /// A block's attention.
    ///
    /// - Throws: `ModelError` when it was rounded from something else, or does not have the block's shape.
    func attention(_ layer: Int, of plain: PlanLoader.PlainAttention) throws -> RoundedAttention {
        let (name, d) = ("layers.\(layer).attention", configuration.hiddenSize)
        try check(name, plain.checksum)
        return RoundedAttention(
            norm: try norm(name), input: try self.layer("\(name).input", inputs: d, outputs: 3 * d),
            output: try self.layer("\(name).output", inputs: d, outputs: d))
    }

    /// A block's MLP.
    ///
    /// - Throws: as for attention.
    func mlp(_ layer: Int, of plain: PlanLoader.PlainMLP) throws -> RoundedMLP {
        let (name, d, m) = ("layers.\(layer).mlp", configuration.hiddenSize, configuration.intermediateSize)
        try check(name, plain.checksum)
        return RoundedMLP(
            norm: try norm(name), first: try self.layer("\(name).first", inputs: d, outputs: m),
            up: configuration.usesSwiGLU ? try self.layer("\(name).up", inputs: d, outputs: m) : nil,
            factor: try numbers("\(name).factor", m),
            second: try self.layer("\(name).second", inputs: m, outputs: d))
    }

    private func check(_ name: String, _ checksum: UInt64) throws {
        guard let found = file.metadata[name] else {
            throw ModelError(file.path, "says nothing of \(name); mergevit quantize has to make it again")
        }
        guard found == Self.text(checksum) else {
            throw ModelError(
                file.path, "\(name) was rounded from other weights than those beside it; run mergevit quantize again")
        }
    }

    private func norm(_ name: String) throws -> ForwardPlan.Norm {
        ForwardPlan.Norm(
            scale: FloatBuffer(try numbers("\(name).norm.weight", configuration.hiddenSize)),
            shift: FloatBuffer(try numbers("\(name).norm.bias", configuration.hiddenSize)))
    }

    private func layer(_ name: String, inputs: Int, outputs: Int) throws -> RoundedLayer {
        let weight = "\(name).weight"
        guard let entry = file.entry(weight), entry.type == .int8, entry.shape == [outputs, inputs] else {
            let found = file.entry(weight).map { "\($0.type.rawValue) \($0.shape)" } ?? "none"
            throw ModelError(file.path, "\(weight): expected I8 [\(outputs), \(inputs)], found \(found)")
        }
        defer { file.file.release(entry.range) }
        let values = Array(file.bytes(of: entry).bindMemory(to: Swift.Int8.self))
        return RoundedLayer(
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
    static func text(_ checksum: UInt64) -> String { String(checksum, radix: 16) }
}

extension PlanLoader.PlainAttention {
    /// Of all its numbers.
    var checksum: UInt64 { Self.checksum(norm, [input, output]) }

    fileprivate static func checksum(_ norm: ForwardPlan.Norm, _ layers: [PlanLoader.Plain]) -> UInt64 {
        let parts = [Array(norm.scale.elements), Array(norm.shift.elements)] + layers.flatMap { [$0.weight, $0.bias] }
        return parts.map { $0.withUnsafeBytes { Compute.checksum($0) } }.withUnsafeBytes { Compute.checksum($0) }
    }
}

extension PlanLoader.PlainMLP {
    /// Of all its numbers.
    var checksum: UInt64 {
        PlanLoader.PlainAttention.checksum(norm, [first] + (up.map { [$0] } ?? []) + [second])
    }
}
