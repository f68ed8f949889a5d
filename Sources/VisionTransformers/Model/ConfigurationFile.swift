import Compute
package import Files
import Images
import Tensors

extension BackboneConfiguration {
    /// Reads the backbone's shape from a Hugging Face `config.json`; defaults are those of transformers.
    ///
    /// - Throws: `ModelError` naming the key, what was expected and what was found.
    package init(_ json: JSON, path: String) throws {
        let file = ConfigurationFile(json: json, path: path)
        let type = try file.string("model_type", default: nil)
        guard let family = BackboneFamily.named(type) else {
            throw ModelError(
                path, "model_type \"\(type)\" is not supported; supported are \(BackboneFamily.allNames)")
        }
        if let value = json.objectValue?["quantization_config"], value != .null {
            throw ModelError(path, "quantization_config: quantized checkpoints are not supported")
        }
        try self.init(family, file)
    }

    /// The class names of `id2label`, in the order of their numbers, or nil when there is no such key.
    ///
    /// - Throws: `ModelError` unless the numbers run from 0 without a gap. A name may appear twice, as "crane" does in
    ///   ImageNet.
    package static func classNames(_ json: JSON, path: String) throws -> [String]? {
        guard let value = json.objectValue?["id2label"], value != .null else { return nil }
        guard let members = value.objectValue?.members, !members.isEmpty else {
            throw ModelError(path, "id2label: expected an object with names, found \(value.kind)")
        }
        var names = [String?](repeating: nil, count: members.count)
        for (key, value) in members {
            guard let index = Int(key), names.indices.contains(index), names[index] == nil else {
                throw ModelError(path, "id2label: numbers must run from 0 to \(members.count - 1), found \"\(key)\"")
            }
            guard let name = className(value) else {
                throw ModelError(path, "id2label[\(key)]: expected a name, found \(value.kind)")
            }
            names[index] = name
        }
        return names.compactMap(\.self)
    }

    /// A class name from a JSON value, as Python prints it: transformers takes numbers and Booleans as names, too.
    package static func className(_ value: JSON) -> String? {
        switch value {
        case .string(let text): text
        case .bool(let flag): flag ? "True" : "False"
        case .number(let digits): Int(digits) != nil ? digits : Double(digits).flatMap { $0.isFinite ? "\($0)" : nil }
        default: nil
        }
    }
}

/// Typed access to the keys of a `config.json`.
struct ConfigurationFile {
    let json: JSON
    let path: String

    /// The largest extent accepted, which keeps products of extents from overflowing.
    static let limit = 1 << 20

    func value(_ key: String) throws -> JSON? {
        guard let object = json.objectValue else { throw ModelError(path, "expected an object, found \(json.kind)") }
        guard let value = object[key], value != .null else { return nil }
        return value
    }

    func string(_ key: String, default missing: String?) throws -> String {
        guard let value = try value(key) else {
            guard let missing else { throw ModelError(path, "no \"\(key)\": not a Hugging Face configuration") }
            return missing
        }
        guard let string = value.stringValue else {
            throw ModelError(path, "\(key): expected a string, found \(value.kind)")
        }
        return string
    }

    func integer(_ key: String, default missing: Int, limit: Int = Self.limit) throws -> Int {
        guard let value = try value(key) else { return missing }
        guard let integer = value.intValue, (1...limit).contains(integer) else {
            throw ModelError(path, "\(key): expected a whole number from 1 to \(limit), found \(value.shown)")
        }
        return integer
    }

    func number(_ key: String, default missing: Double) throws -> Double {
        guard let value = try value(key) else { return missing }
        guard let number = value.doubleValue, number.isFinite else {
            throw ModelError(path, "\(key): expected a number, found \(value.shown)")
        }
        return number
    }

    /// The number that is added to a variance before its root is taken.
    func epsilon(_ key: String, default missing: Double) throws -> Float {
        let value = try number(key, default: missing)
        guard (0...1).contains(value) else { throw ModelError(path, "\(key): expected 0 to 1, found \(value)") }
        return Float(value)
    }

    func boolean(_ key: String, default missing: Bool) throws -> Bool {
        guard let value = try value(key) else { return missing }
        guard let boolean = value.boolValue else {
            throw ModelError(path, "\(key): expected true or false, found \(value.shown)")
        }
        return boolean
    }

    func extent(_ key: String, default missing: Int) throws -> ImageSize {
        guard let elements = try value(key)?.arrayValue else {
            let side = try integer(key, default: missing)
            return .init(height: side, width: side)
        }
        let sides = elements.compactMap(\.intValue).filter { (1...Self.limit).contains($0) }
        guard elements.count == 2, sides.count == 2 else {
            throw ModelError(path, "\(key): expected one whole number or two (height, width)")
        }
        return .init(height: sides[0], width: sides[1])
    }

    func activation(_ key: String) throws -> Activation {
        let name = try string(key, default: "gelu")
        switch name {
        case "gelu", "gelu_python": return .gelu
        case "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_new": return .geluTanh
        case "quick_gelu": return .swish(alpha: 1.702)
        case "silu", "swish": return .swish(alpha: 1)
        case "relu": return .relu
        default:
            throw ModelError(
                path,
                "\(key) \"\(name)\" is not supported; supported are gelu, gelu_pytorch_tanh, gelu_new, quick_gelu, "
                    + "silu, relu")
        }
    }
}

extension JSON {
    /// The value as in the file, cut when long, for error messages.
    var shown: String {
        let text = serialized(indented: false)
        return text.count > 60 ? "\(text.prefix(57))..." : text
    }
}
