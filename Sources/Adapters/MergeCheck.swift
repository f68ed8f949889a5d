import Tensors
public import VisionTransformers

/// What stands in the way of a merge, all at once, and how much the adapters interfere.
public struct MergeCheck: Sendable {
    /// Something that was found.
    public struct Finding: Sendable, Equatable {
        /// Whether a merge is impossible because of it; if not it is worth knowing.
        public let isObstacle: Bool
        /// The adapter's name, or "base".
        public let subject: String
        /// What it is.
        public let message: String
    }

    /// An adapter as it was named.
    public struct Candidate: Sendable, Equatable {
        /// The name of its task.
        public let name: String
        /// The folder or file.
        public let path: String
        /// The file of its class names, or nil.
        public let labels: String?

        /// An adapter as it was named.
        public init(name: String, path: String, labels: String? = nil) {
            self.name = name
            self.path = path
            self.labels = labels
        }
    }

    /// The base, or nil when it cannot be used.
    public let base: Checkpoint?
    /// The adapters that can be read, in their order.
    public let adapters: [Adapter]
    /// What was found: the base's first, then each adapter's, then what concerns several.
    public let findings: [Finding]
    /// How the adapters that can be read interfere; nil when there are fewer than two.
    public let interference: Interference?

    /// Whether nothing stands in the way.
    public var isPossible: Bool { !findings.contains(where: \.isObstacle) }

    /// Looks at a base and adapters; whatever is wrong with one does not keep it from looking at the others.
    ///
    /// - Parameter measures: whether the interference is measured, too.
    public init(base folder: String, adapters candidates: [Candidate], measures: Bool = true) {
        var findings: [Finding] = []
        func obstacle(_ subject: String, _ message: String) {
            findings.append(Finding(isObstacle: true, subject: subject, message: message))
        }
        func attempt<Value>(_ subject: String, _ body: () throws -> Value) -> Value? {
            do { return try body() } catch {
                obstacle(subject, "\(error)")
                return nil
            }
        }
        let base = attempt("base") { try Checkpoint(folder: folder) }
        _ = attempt("base") { try ModelBundle.preprocessing(folder) }
        var names: Set<String> = []
        var adapters: [Adapter] = []
        for candidate in candidates {
            let name = candidate.name
            if !names.insert(name).inserted { obstacle(name, "\(candidate.path): a second adapter of this name") }
            _ = attempt(name) { try ModelBundle.checkTaskName(name, path: candidate.path) }
            guard let base else {
                // What can be said without a base.
                _ = attempt(name) { try AdapterDescription.json(candidate.path) }
                continue
            }
            do {
                let adapter = try Adapter(task: name, path: candidate.path, labels: candidate.labels, base: base)
                if let bad = adapter.firstNotFinite {
                    obstacle(name, "\(candidate.path): \(bad) holds values that are not finite numbers")
                } else {
                    adapters.append(adapter)
                }
            } catch {
                let problems = MergeCheck.problems(candidate, base: base)
                var said: Set<String> = []
                for message in ["\(error)"] + problems where said.insert(message).inserted { obstacle(name, message) }
            }
        }
        var interference: Interference?
        if let base, measures, adapters.count > 1 {
            interference = attempt("interference") { try Interference(adapters, base: base) }
        }
        self.base = base
        self.adapters = adapters
        self.interference = interference
        self.findings = findings + MergeCheck.notes(adapters, interference)
    }

    /// The most that is listed of what is wrong with one adapter's tensors.
    private static let limit = 20

    /// Everything that is wrong with an adapter that can be opened: with its tensors, its head and its class names.
    private static func problems(_ candidate: Candidate, base: Checkpoint) -> [String] {
        guard let source = try? AdapterSource(candidate.path), var reader = try? AdapterReader(source, base: base)
        else {
            return []
        }
        var problems = reader.problems(limit: limit).map { "\($0)" }
        if problems.count == limit { problems.append("\(source.weights.path): and perhaps more") }
        do {
            let classes = try reader.head().bias.count
            _ = try ClassNames.find(labels: candidate.labels, folder: source.folder, classes: classes)
        } catch { problems.append("\(error)") }
        return problems
    }

    /// What is worth knowing of the adapters that can be read.
    private static func notes(_ adapters: [Adapter], _ interference: Interference?) -> [Finding] {
        var notes: [Finding] = []
        func note(_ subject: String, _ message: String) {
            notes.append(Finding(isObstacle: false, subject: subject, message: message))
        }
        for (index, adapter) in adapters.enumerated() {
            for trait in adapter.traits { note(adapter.task, "\(trait); its true change is merged") }
            if adapter.hasPlaceholderNames {
                note(adapter.task, "no class names; they will be LABEL_0, LABEL_1 ... (--labels)")
            }
            if adapter.changedParameters.isEmpty {
                note(adapter.task, "a head alone, trained on the base as it is")
            } else if let interference, interference.norms[index] == 0 {
                note(adapter.task, "changes nothing: its updates are all zero")
            }
        }
        let adapted = adapters.filter { !$0.changedParameters.isEmpty }
        if Set(adapted.map(\.modules)).count > 1 {
            let common = adapted.dropFirst().reduce(Set(adapted[0].modules)) { $0.intersection($1.modules) }
            let counts = adapted.map { "\($0.task) \($0.modules.count)" }.joined(separator: ", ")
            note("adapters", "adapt different modules: \(counts); \(common.count) in common")
        }
        if Set(adapted.map(\.ranks)).count > 1 {
            let ranks = adapted.map { "\($0.task) \($0.ranks.map(String.init).joined(separator: "/"))" }
            note("adapters", "have different ranks: \(ranks.joined(separator: ", "))")
        }
        return notes
    }
}

extension Adapter {
    /// The kinds of modules that it updates, without their layers.
    public var moduleKinds: [String] {
        Set(
            modules.map { module in
                module.split(separator: ".").filter { $0 != "layers" && Int($0) == nil }.joined(separator: ".")
            }
        ).sorted()
    }

    /// The first of its tensors that has a value that is not a finite number.
    fileprivate var firstNotFinite: String? {
        for (module, update) in updates.sorted(by: { $0.key < $1.key }) {
            let vectors = [update.a.values, update.b.values, update.magnitude ?? [], update.biasB ?? []]
            if !update.scale.isFinite || !vectors.allSatisfy({ $0.allSatisfy(\.isFinite) }) { return module }
        }
        if !head.weight.values.allSatisfy(\.isFinite) || !head.bias.values.allSatisfy(\.isFinite) {
            return "the head"
        }
        return replaced.sorted { $0.key < $1.key }.first { !$0.value.values.allSatisfy(\.isFinite) }?.key
    }
}
