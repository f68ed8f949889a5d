import Compute
import Files
import Tensors

extension BackboneRounding {
    /// Writes the file that `RoundedWeights` reads. The same rounding gives the same bytes.
    ///
    /// - Parameter agreement: how many labels it keeps, if it is known.
    /// - Throws: `FileError` when it cannot be written.
    package func write(folder: String, _ agreement: LabelAgreement? = nil) throws {
        var tensors: [RoundedTensor] = []
        var metadata = ["format": "mergevit int8"]
        metadata[RoundedWeights.agreementName] = agreement?.text
        for own in attention {
            let name = "layers.\(own.layer).attention"
            metadata[name] = RoundedWeights.text(own.checksum)
            tensors += RoundedTensor.norm(own.rounded.norm, name)
            tensors += RoundedTensor.layer(own.rounded.input, "\(name).input")
            tensors += RoundedTensor.layer(own.rounded.output, "\(name).output")
        }
        for own in mlp {
            let name = "layers.\(own.layer).mlp"
            metadata[name] = RoundedWeights.text(own.checksum)
            tensors += RoundedTensor.norm(own.rounded.norm, name)
            tensors += RoundedTensor.layer(own.rounded.first, "\(name).first")
            if let up = own.rounded.up { tensors += RoundedTensor.layer(up, "\(name).up") }
            tensors.append(.numbers("\(name).factor", own.rounded.factor))
            tensors += RoundedTensor.layer(own.rounded.second, "\(name).second")
        }
        let writer = try SafetensorsWriter(
            path: "\(folder)/\(RoundedWeights.fileName)", declarations: tensors.map(\.declaration), metadata: metadata)
        for tensor in tensors { try tensor.append(to: writer) }
        try writer.finish()
    }
}

/// A tensor of the file.
private enum RoundedTensor {
    case numbers(String, [Float])
    case weight(String, Int8.Weight)

    static func norm(_ norm: ForwardPlan.Norm, _ name: String) -> [RoundedTensor] {
        [
            .numbers("\(name).norm.weight", Array(norm.scale.elements)),
            .numbers("\(name).norm.bias", Array(norm.shift.elements)),
        ]
    }

    static func layer(_ layer: RoundedLayer, _ name: String) -> [RoundedTensor] {
        [
            .weight("\(name).weight", layer.weight), .numbers("\(name).scale", layer.weight.scale),
            .numbers("\(name).bias", layer.bias),
        ]
    }

    var declaration: SafetensorsWriter.Declaration {
        switch self {
        case .numbers(let name, let values): .init(name: name, shape: [values.count])
        case .weight(let name, let weight):
            .init(
                name: name, type: .int8,
                shape: [weight.scale.count, weight.values.count / max(weight.scale.count, 1)])
        }
    }

    func append(to writer: SafetensorsWriter) throws(FileError) {
        switch self {
        case .numbers(let name, let values): try writer.append(name, Tensor(shape: [values.count], values: values))
        case .weight(let name, let weight):
            var failure: FileError?
            weight.values.withUnsafeBytes { bytes in
                do throws(FileError) { try writer.append(name, bytes: bytes) } catch { failure = error }
            }
            if let failure { throw failure }
        }
    }
}
