import Files
import Tensors
import VisionTransformers

/// A regular expression over module paths, as PEFT's settings use them.
struct ModuleExpression: Sendable, Equatable {
    /// The expression as written in the file.
    let text: String

    /// The longest expression accepted; module paths are short, and so are honest patterns over them.
    static let maximumLength = 1000

    init(_ text: String, key: String, path: String) throws {
        guard text.utf8.count <= Self.maximumLength, (try? Regex(text)) != nil else {
            throw ModelError(path, "\(key): not a regular expression: \"\(text.prefix(100))\"")
        }
        self.text = text
    }

    /// Whether the whole path matches.
    func matches(_ path: String) -> Bool { matches(text, path) }

    /// Whether the path, or its end after a dot, matches.
    func matchesEnd(of path: String) -> Bool { matches("(.*\\.)?(?:\(text))", path) }

    private func matches(_ expression: String, _ path: String) -> Bool {
        guard let regex = try? Regex(expression) else { return false }
        return (try? regex.wholeMatch(in: path)) != nil
    }
}

/// Which modules of a model an adapter says it adapts: PEFT's `target_modules`, `exclude_modules`,
/// `layers_to_transform`.
struct TargetModules: Sendable, Equatable {
    /// A way of naming modules.
    enum Selection: Sendable, Equatable {
        /// The word `all-linear`.
        case allLinear
        /// Paths or their last parts.
        case names([String])
        /// A regular expression over whole paths.
        case expression(ModuleExpression)

        func contains(_ path: String) -> Bool {
            switch self {
            case .allLinear: true
            case .names(let names): names.contains { path == $0 || path.hasSuffix("." + $0) }
            case .expression(let expression): expression.matches(path)
            }
        }
    }

    let selected: Selection?
    let excluded: Selection?
    /// The layers that are adapted, or nil for all.
    let layers: Set<Int>?

    init(_ object: JSONObject, path: String) throws {
        func selection(_ key: String) throws -> Selection? {
            guard let value = object[key], value != .null else { return nil }
            if let text = value.stringValue {
                return text == "all-linear"
                    ? .allLinear : .expression(try ModuleExpression(text, key: key, path: path))
            }
            let names = value.arrayValue?.compactMap(\.stringValue)
            guard let names, names.count == value.arrayValue?.count else {
                throw ModelError(path, "\(key): expected a string or an array of strings")
            }
            return .names(names)
        }
        selected = try selection("target_modules")
        excluded = try selection("exclude_modules")
        switch object["layers_to_transform"] {
        case nil, .some(.null): layers = nil
        case .some(let value):
            let numbers = value.intValue.map { [$0] } ?? value.arrayValue?.compactMap(\.intValue)
            guard let numbers else { throw ModelError(path, "layers_to_transform: expected whole numbers") }
            layers = Set(numbers)
        }
    }

    /// Checks that the adapter's file holds every module of the backbone that its configuration names, so that an
    /// adapter is never applied in part without a word.
    ///
    /// - Throws: `ModelError` naming the first module that is missing, or the name that fits nothing.
    func check(
        adapted: Set<String>, configuration: BackboneConfiguration, path: String
    ) throws {
        guard let selected else { return }
        let modules = configuration.parameterShapes.compactMap { name, shape in
            shape.count == 2 && name.hasSuffix(".weight") || name == ParameterNames.patchProjection + ".weight"
                ? String(name.dropLast(".weight".count)) : nil
        }
        for module in modules where !adapted.contains(module) {
            if selected == .allLinear, module == ParameterNames.patchProjection { continue }
            if let layers, let layer = ParameterNames.layer(of: module), !layers.contains(layer) { continue }
            let spellings = configuration.names.spellings(of: module)
            guard spellings.contains(where: selected.contains) else { continue }
            if let excluded, spellings.contains(where: excluded.contains) { continue }
            throw ModelError(path, "target_modules names \(module), for which the file holds no tensors")
        }
        guard case .names(let names) = selected, excluded == nil else { return }
        let known = adapted.flatMap { configuration.names.spellings(of: $0) }
        let naming = configuration.names
        for name in names
        where !known.contains(where: { $0 == name || $0.hasSuffix("." + name) })
            && !naming.isIgnored(naming.withoutPrefix(name))
        {
            throw ModelError(path, "target_modules names \"\(name)\", for which the file holds no tensors")
        }
    }
}
