package import Files
import Tensors
package import VisionTransformers

/// Every problem that would prevent a merge, and how much the adapters interfere.
package struct MergeCheck: Sendable {
    /// A problem, or a fact that is worth knowing.
    package struct Finding: Sendable, Equatable {
        /// Whether a merge is impossible because of it; if not it is worth knowing.
        package let isObstacle: Bool
        /// The adapter's name, or "base".
        package let subject: String
        /// What it is.
        package let message: Warning
    }

    /// The base, or nil when it cannot be used.
    package let base: Checkpoint?
    /// The adapters that can be read, in their order.
    package let adapters: [Adapter]
    /// What was found: the base's first, then each adapter's, then what concerns several.
    package let findings: [Finding]
    /// How the adapters that can be read interfere; nil when there are fewer than two.
    package let interference: Interference?

    /// Whether nothing prevents the merge.
    package var isPossible: Bool { !findings.contains(where: \.isObstacle) }

    /// Looks at a base and adapters; whatever is wrong with one does not keep it from looking at the others.
    ///
    /// - Parameters:
    ///   - folder: the base's folder.
    ///   - preprocessor: where the base's preprocessing settings come from.
    ///   - candidates: the adapters.
    ///   - allowsOtherBase: whether an adapter of another base is worth a note only.
    ///   - measures: whether the interference is measured, too.
    ///   - describe: puts an error into words; a program may add what helps.
    package init(
        base folder: String, preprocessor: PreprocessorChoice = PreprocessorChoice(),
        adapters candidates: [NamedAdapter], allowsOtherBase: Bool = false, measures: Bool = true,
        describe: (any Error) -> String = { "\($0)" }
    ) {
        var findings: [Finding] = []
        func obstacle(_ subject: String, _ message: String) {
            findings.append(Finding(isObstacle: true, subject: subject, message: Warning(message)))
        }
        func attempt<Value>(_ subject: String, _ body: () throws -> Value) -> Value? {
            do { return try body() } catch {
                obstacle(subject, describe(error))
                return nil
            }
        }
        let base = attempt("base") { try Checkpoint(folder: folder, preprocessor: preprocessor) }
        if let base { _ = attempt("base") { try base.checkFinite() } }
        // Without a model it can at least be said whether the settings are understood.
        _ = attempt("base") {
            if let base { return try ModelBundle.check(base, heads: []) }
            try preprocessor.check(folder)
        }
        _ = attempt("base") { try MergedBase.refuse(folder) }
        var names: Set<String> = []
        var adapters: [Adapter] = []
        for (index, candidate) in candidates.enumerated() {
            LongWork.note("reading adapters", index, of: candidates.count)
            let name = candidate.task
            if !names.insert(name).inserted { obstacle(name, "\(candidate.path): a second adapter of this name") }
            _ = attempt(name) { try ModelBundle.checkTaskName(name, path: candidate.path) }
            guard let base else {
                // What can be said without a base.
                _ = attempt(name) { try AdapterDescription.json(candidate.path) }
                continue
            }
            do {
                let adapter = try candidate.open(over: base, allowsOtherBase: true)
                if let difference = adapter.otherBase {
                    findings.append(Finding(isObstacle: !allowsOtherBase, subject: name, message: Warning(difference)))
                }
                adapters.append(adapter)
            } catch {
                let problems = MergeCheck.problems(candidate, base: base, describe)
                var said: Set<String> = []
                for message in [describe(error)] + problems where said.insert(message).inserted {
                    obstacle(name, message)
                }
            }
        }
        var interference: Interference?
        if let base, measures, adapters.count > 1 {
            interference = attempt("interference") { try Interference(adapters, base: base) }
        }
        self.base = base
        self.adapters = adapters
        self.interference = interference
        self.findings = findings + (base.map { MergeCheck.notes(adapters, over: $0) } ?? [])
    }

    /// The most that is listed of what is wrong with one adapter's tensors.
    private static let limit = 20

    /// Everything that is wrong with an adapter that can be opened: with its tensors, its head and its class names.
    private static func problems(_ candidate: NamedAdapter, base: Checkpoint, _ describe: (any Error) -> String)
        -> [String]
    {
        guard let source = try? AdapterSource(candidate.path), var reader = try? AdapterReader(source, base: base)
        else {
            return []
        }
        var problems = reader.problems(limit: limit).map(describe)
        if problems.count == limit { problems.append("\(source.weights.path): and perhaps more") }
        do {
            let classes = try reader.head(given: candidate.headFile, task: candidate.task).bias.count
            _ = try ClassNames.find(labels: candidate.labels, folder: source.folder, classes: classes)
        } catch { problems.append(describe(error)) }
        return problems
    }

    /// What is worth knowing of the adapters that can be read.
    private static func notes(_ adapters: [Adapter], over base: Checkpoint) -> [Finding] {
        var notes: [Finding] = []
        func note(_ subject: String, _ message: Warning) {
            notes.append(Finding(isObstacle: false, subject: subject, message: message))
        }
        for adapter in adapters {
            for trait in adapter.traits { note(adapter.task, "\(trait); its true delta is merged") }
            if adapter.hasPlaceholderNames {
                note(
                    adapter.task,
                    Warning("no class names; they will be LABEL_0, LABEL_1 ...", remedy: AdapterRemedy.giveClassNames))
            }
            if adapter.head.activation != .softmax {
                note(
                    adapter.task,
                    Warning(
                        "the activation of its head is \(adapter.head.activation.rawValue)",
                        remedy: AdapterRemedy.correctActivation))
            }
            if adapter.changedParameters.isEmpty {
                note(adapter.task, "a head alone, trained on the base as it is")
            } else if (try? adapter.changesNothing(in: base)) == true {
                note(adapter.task, "changes nothing: its updates are all zero")
            }
            for warning in adapter.baseDifference.warnings { note(adapter.task, warning) }
            for warning in [adapter.ambiguity].compactMap(\.self) + adapter.notes {
                note(adapter.task, Warning(warning))
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
        let names = adapters.compactMap { adapter in adapter.baseDifference.name.map { (adapter.task, $0) } }
        for name in names.map(\.1.recorded).reduce(into: [String](), { if !$0.contains($1) { $0.append($1) } }) {
            let same = names.filter { $0.1.recorded == name }
            note(
                same.map(\.0).joined(separator: ", "),
                "made for \(name) by adapter_config.json, the base is \(same[0].1.found)")
        }
        return notes
    }
}

extension Adapter {
    /// The kinds of modules that it updates, without their layers.
    package var moduleKinds: [String] {
        Set(
            modules.map { module in
                module.split(separator: ".").filter { $0 != "layers" && Int($0) == nil }.joined(separator: ".")
            }
        ).sorted()
    }
}
