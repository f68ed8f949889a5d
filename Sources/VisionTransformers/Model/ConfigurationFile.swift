import Compute
package import Files
import Images
import Tensors

extension BackboneConfiguration {
    /// Reads the backbone's shape from a Hugging Face `config.json`; defaults are those of transformers.
    ///
    /// - Parameter tensors: the shapes of the checkpoint's tensors by name, without prefixes of all names; models of
    ///   timm are described by them.
    /// - Throws: `ModelError` naming the key, what was expected and what was found.
    package init(_ json: JSON, path: String, tensors: [String: [Int]] = [:]) throws {
        let file = ConfigurationFile(json: json, path: path, tensors: tensors)
        let type = Self.isTimm(json) ? BackboneFamily.timm.name : try file.string("model_type", default: nil)
        guard let family = BackboneFamily.named(type) else {
            let plain = "a plain Vision Transformer"
            let others = [
                "swin", "swinv2", "convnext", "convnextv2", "hiera", "levit", "pvt", "efficientnet", "resnet",
            ]
            throw ModelError(
                path,
                "model_type \"\(type)\" is not supported"
                    + (others.contains(type) ? ": it is not \(plain)" : "")
                    + "; supported are \(BackboneFamily.allNames)")
        }
        if let value = json.objectValue?["quantization_config"], value != .null {
            throw ModelError(path, "quantization_config: quantized checkpoints are not supported")
        }
        try self.init(family, file)
    }

    /// Whether a `config.json` is that of a model of timm: it names an architecture, and no type or that of the class
    /// that wraps such models in transformers.
    static func isTimm(_ json: JSON) -> Bool {
        guard let object = json.objectValue, object["architecture"]?.stringValue != nil else { return false }
        let type = object["model_type"] ?? .null
        return type == .null || type.stringValue == BackboneFamily.timm.name
    }

    /// The class names of `id2label`, in the order of their numbers, or nil when there is no such key.
    ///
    /// - Throws: `ModelError` unless the numbers run from 0 without a gap. A name may appear twice, as "crane" does in
    ///   ImageNet.
    package static func classNames(_ json: JSON, path: String) throws -> [String]? {
        guard let value = json.objectValue?["id2label"], value != .null else { return try timmNames(json, path: path) }
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

    /// The class names of a model of timm: `label_names`.
    private static func timmNames(_ json: JSON, path: String) throws -> [String]? {
        guard json.objectValue?[Preprocessing.timmKey] != nil, let value = json.objectValue?["label_names"],
            value != .null
        else { return nil }
        guard let names = value.arrayValue?.compactMap(className), names.count == value.arrayValue?.count,
            !names.isEmpty
        else { throw ModelError(path, "label_names: expected an array of names, found \(value.kind)") }
        return names
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
    /// The shapes of the checkpoint's tensors by name, where they are known.
    let tensors: [String: [Int]]

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

    /// The object under a key, which is all that is then read.
    func section(_ key: String) throws -> ConfigurationFile {
        guard let value = try value(key) else { throw ModelError(path, "no \"\(key)\"") }
        guard value.objectValue != nil else {
            throw ModelError(path, "\(key): expected an object, found \(value.kind)")
        }
        return ConfigurationFile(json: value, path: path, tensors: tensors)
    }

    func integer(_ key: String, default missing: Int, least: Int = 1, limit: Int = Self.limit) throws -> Int {
        guard let value = try value(key) else { return missing }
        guard let integer = value.intValue, (least...limit).contains(integer) else {
            throw ModelError(path, "\(key): expected a whole number from \(least) to \(limit), found \(value.shown)")
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

    func activation(_ key: String, default missing: String) throws -> Activation {
        try activation(named: string(key, default: missing), key)
    }

    func activation(named name: String, _ key: String) throws -> Activation {
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
