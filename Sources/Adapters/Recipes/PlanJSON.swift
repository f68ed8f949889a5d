package import Files
import VisionTransformers

// How recipes hold methods and the values of their parameters.
//
// Version 2 of a recipe holds values in the form of their kind: numbers, names of choices, true and false, and null for
// a parameter without a value. Version 1 held numbers alone: a choice was its index, a flag 0 or 1, and a number that
// the parameter names meant "no value". A recipe whose values have the same form in both is written as version 1.

extension MergeParameter {
    /// The form of a value in recipes.
    func json(_ value: Value?) -> JSON {
        switch value {
        case .number(let number): .double(number)
        // As version 1 wrote whole numbers: "16.0".
        case .count(let count): .double(Double(count))
        case .choice(let name): .string(name)
        case .flag(let isSet): .bool(isSet)
        case nil: .null
        }
    }

    /// The value in a recipe; nil for none.
    ///
    /// - Throws: `ParameterError.invalid` for another form than the version's, or a value out of range.
    func value(_ json: JSON, version: Int) throws(ParameterError) -> Value? {
        let value: Value? =
            switch (kind, json) {
            case (.number, .number): json.doubleValue.map(Value.number)
            case (.count, .number): json.intValue.map(Value.count)
            case (.choice(let names), .number) where version == 1:
                json.intValue.flatMap { names.indices.contains($0) ? .choice(names[$0]) : nil }
            case (.flag, .number) where version == 1: [0: .flag(false), 1: .flag(true)][json.doubleValue]
            case (.choice, .string(let name)) where version > 1: .choice(name)
            case (.flag, .bool(let isSet)) where version > 1: .flag(isSet)
            default: nil
            }
        if version == 1, let absentInVersion1, json.doubleValue == absentInVersion1 { return nil }
        if version > 1, json == .null, case .none = defaultValue { return nil }
        guard let value else { throw invalid(json.serialized(indented: false)) }
        return try checked(value)
    }

    /// Whether version 1 has no form for the value.
    func needsVersion2(_ value: Value?) -> Bool {
        switch value {
        case .number, .count: false
        case .choice, .flag, nil: true
        }
    }
}

extension ParameterValues {
    /// The values as recipes hold them, in the order of the parameters.
    package func json(_ parameters: [MergeParameter]) -> JSONObject {
        parameters.reduce(into: JSONObject()) { $0[$1.name] = $1.json(self[$1]) }
    }
}

extension ConfiguredMethod {
    /// The method and the values of its parameters as recipes hold them.
    package var json: JSONObject {
        [
            "method": .string(method.name), "parameters": .object(values.json(method.parameters)),
            "seed": .number(String(seed)),
        ]
    }

    var needsVersion2: Bool { method.parameters.contains { $0.needsVersion2(values[$0]) } }

    init(_ object: JSONObject, version: Int, _ fields: RecipeFields) throws {
        let name = try fields.text(object, "method", in: "recipe")
        let method: MergeMethod
        do { method = try MergeMethod.required(name, besides: [DistillationSettings.name]) } catch {
            throw ModelError(fields.path, "recipe: method \(error)")
        }
        let values = try fields.values(object, method.parameters, of: method.name, version: version)
        try self.init(method, values, seed: try fields.seed(object))
    }
}

extension MergePlan {
    static let keys: Set<String> = ["method", "parameters", "seed", "start", "streams"]

    /// The plan as recipes hold it: the method's members, or those of distillation with the merge that it starts from,
    /// and how tasks get streams.
    var json: JSONObject {
        var object = trained
        object["streams"] = (streams?.json).map(JSON.object)
        return object
    }

    private var trained: JSONObject {
        guard let distillation else { return merge.json }
        return [
            "method": .string(DistillationSettings.name),
            "parameters": .object(distillation.values.json(DistillationSettings.parameters)),
            "seed": .number(String(distillation.seed)),
            "start": .object(merge.json),
        ]
    }

    var needsVersion2: Bool {
        merge.needsVersion2
            || distillation.map { settings in
                DistillationSettings.parameters.contains { $0.needsVersion2(settings.values[$0]) }
            } ?? false
    }

    init(_ object: JSONObject, version: Int, _ fields: RecipeFields) throws {
        try self.init(trained: object, version: version, fields)
        streams = try object["streams"].map { _ in
            try StreamSettings(fields.object(object, "streams", in: "recipe"), fields)
        }
    }

    private init(trained object: JSONObject, version: Int, _ fields: RecipeFields) throws {
        guard try fields.text(object, "method", in: "recipe") == DistillationSettings.name else {
            guard object["start"] == nil else {
                throw ModelError(
                    fields.path, "start: only the method \(DistillationSettings.name) has a merge that it starts from")
            }
            self.init(merge: try ConfiguredMethod(object, version: version, fields))
            return
        }
        let start = try fields.object(object, "start", in: "recipe")
        try fields.check(start, has: ["method", "parameters", "seed"], in: "start")
        let values = try fields.values(
            object, DistillationSettings.parameters, of: DistillationSettings.name, version: version)
        let seed = try fields.seed(object)
        do {
            self.init(
                merge: try ConfiguredMethod(start, version: version, fields),
                distillation: try DistillationSettings(values, seed: seed))
        } catch let error as ParameterError { throw ModelError(fields.path, "parameters: \(error)") }
    }
}

extension StreamSettings {
    /// The section of a recipe.
    var json: JSONObject { ["rank": .int(rank)] }

    /// Reads the section of a recipe.
    init(_ object: JSONObject, _ fields: RecipeFields) throws {
        try fields.check(object, has: ["rank"], in: "streams")
        self.init(rank: try fields.count(object, "rank", from: 1, in: "streams"))
    }
}

/// Typed access to the members of a recipe; errors name the file.
struct RecipeFields {
    /// The file that the recipe is in.
    let path: String

    /// Refuses members that this version does not know.
    func check(_ object: JSONObject, has known: Set<String>, in section: String) throws {
        if let unknown = object.keys.first(where: { !known.contains($0) }) {
            throw ModelError(path, "\(section): \"\(unknown)\" is not known to this version")
        }
    }

    func object(_ object: JSONObject, _ key: String, in section: String) throws -> JSONObject {
        guard let value = object[key]?.objectValue else { throw ModelError(path, "\(section): no \"\(key)\" object") }
        return value
    }

    func text(_ object: JSONObject, _ key: String, in section: String) throws -> String {
        guard let value = object[key]?.stringValue else { throw ModelError(path, "\(section): no \"\(key)\" string") }
        return value
    }

    func number(_ object: JSONObject, _ key: String, in section: String) throws -> Double {
        guard let value = object[key]?.doubleValue, value.isFinite else {
            throw ModelError(path, "\(section): \(key): expected a number")
        }
        return value
    }

    func count(_ object: JSONObject, _ key: String, from lowest: Int, in section: String) throws -> Int {
        guard let value = object[key]?.intValue, value >= lowest else {
            throw ModelError(path, "\(section): \(key): expected a whole number from \(lowest)")
        }
        return value
    }

    func flag(_ object: JSONObject, _ key: String, in section: String) throws -> Bool {
        guard let value = object[key]?.boolValue else {
            throw ModelError(path, "\(section): \(key): expected true or false")
        }
        return value
    }

    func seed(_ object: JSONObject) throws -> UInt64 {
        guard case .number(let digits) = object["seed"] ?? .number("0"), let seed = UInt64(digits) else {
            throw ModelError(path, "seed: expected a whole number")
        }
        return seed
    }

    /// The values of `parameters`; one that is missing keeps its default.
    func values(
        _ object: JSONObject, _ parameters: [MergeParameter], of owner: String, version: Int
    ) throws -> [String: MergeParameter.Value] {
        var values: [String: MergeParameter.Value] = [:]
        do {
            for (name, json) in try self.object(object, "parameters", in: "recipe").members {
                guard let parameter = parameters.first(where: { $0.name == name }) else {
                    throw ParameterError.unknown(parameter: name, method: owner, known: parameters.map(\.name))
                }
                values[name] = try parameter.value(json, version: version)
            }
        } catch let error as ParameterError { throw ModelError(path, "parameters: \(error)") }
        return values
    }
}
