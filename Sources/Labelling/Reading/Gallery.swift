package import Files

/// The pictures of a gallery: of each task and class the surest and the least sure, those without a label, and what
/// failed.
package struct Gallery: Sendable {
    /// One picture.
    package struct Tile: Sendable {
        /// The picture's file.
        package var path: BytePath
        /// The score of its label, the value of an output, or the score of a label that was withheld.
        package let score: Double?
        package let fit: Double?
        /// The label, where the group does not say it.
        package let label: String?
        /// The number of its row.
        let row: Int
    }

    /// Some pictures of a group, and how many there are.
    package struct Group: Sendable {
        package let title: String
        package let count: Int
        package var tiles: [Tile]
    }

    /// A class, or an output of a head without activation.
    package struct Class: Sendable {
        package let name: String
        /// The pictures with this label.
        package let count: Int
        /// Those with the highest scores, the surest first; all, if that is few enough.
        package var surest: [Tile]
        /// Those with the lowest, the least sure first.
        package var leastSure: [Tile]
    }

    /// A task.
    package struct Task: Sendable {
        package let name: String
        /// Whether its classes are outputs with values.
        package let isValues: Bool
        /// The pictures with a label, or with values.
        package let labelled: Int
        /// In byte order of their names.
        package var classes: [Class]
        /// The pictures without a label, by the reason.
        package var withheld: [Group]
        /// Those that fit least among the pictures with a label; nil if the file has no fits.
        package var leastFit: Group?
    }

    /// A reason for which pictures have no labels.
    package struct Failure: Sendable {
        package let reason: String
        package let count: Int
        /// Some of the pictures.
        package let paths: [BytePath]
    }

    /// The pictures of the file.
    package let pictures: Int
    package let failed: Int
    package var tasks: [Task]
    /// The most frequent first.
    package let failures: [Failure]
    /// The pictures that failed for reasons that are not listed, as there are too many different ones.
    package let otherFailures: Int

    /// Calls `body` with each group of tiles.
    package mutating func forEachGroup<E: Error>(_ body: (inout [Tile]) throws(E) -> Void) throws(E) {
        for task in tasks.indices {
            for index in tasks[task].classes.indices {
                try body(&tasks[task].classes[index].surest)
                try body(&tasks[task].classes[index].leastSure)
            }
            for index in tasks[task].withheld.indices { try body(&tasks[task].withheld[index].tiles) }
            if var group = tasks[task].leastFit {
                try body(&group.tiles)
                tasks[task].leastFit = group
            }
        }
    }
}

/// Chooses the pictures of a gallery from rows that come one at a time. Memory holds the chosen ones.
package struct GallerySelection {
    /// What is chosen.
    package struct Settings: Sendable {
        /// The most pictures of a class that are shown as the surest, and as many as the least sure.
        package var perClass = 8
        /// The lowest score of a label, beside the threshold of the file.
        package var minimumScore: Double?
        /// The lowest fit of a label.
        package var minimumFit: Double?
        /// The tasks that are shown; nil for all.
        package var tasks: [String]?

        package init() {}
    }

    /// Above this number of classes, a task's labels are no classes.
    private static let mostClasses = 20_000
    private static let mostReasons = 24

    private struct ClassTiles {
        var count = 0
        var surest: RankedTiles
        var leastSure: RankedTiles

        func group(_ name: String) -> Gallery.Class {
            let known = Set(surest.tiles.map(\.row))
            let others = leastSure.tiles.filter { !known.contains($0.row) }
            // Few enough to be shown as one list.
            let isWhole = count <= known.count + others.count
            return Gallery.Class(
                name: name, count: count, surest: isWhole ? surest.tiles + others.reversed() : surest.tiles,
                leastSure: isWhole ? [] : others)
        }
    }

    private struct TaskTiles {
        var classes: [String: ClassTiles] = [:]
        var withheld: [String: RankedTiles] = [:]
        var leastFit: RankedTiles
        var labelled = 0
        var isUsed = false
        var isValues = false
        var hasScores = false
        var hasFits = false
    }

    private let settings: Settings
    private var tasks: [TaskTiles] = []
    private var failures: [String: (count: Int, paths: [BytePath])] = [:]
    private var otherFailures = 0
    private var failed = 0
    private var pictures = 0
    private var last: BytePath?

    /// Nothing is chosen yet.
    package init(_ settings: Settings) { self.settings = settings }

    /// Considers a row of a file.
    ///
    /// - Throws: `FileError` when a task has more labels than there can be classes.
    package mutating func add(_ row: LabelRow, of file: LabelFile, path: BytePath) throws(FileError) {
        // A long table has several rows of one picture.
        if row.path != last { pictures += 1 }
        defer { last = row.path }
        if let reason = row.failure {
            failed += 1
            if failures[reason] == nil, failures.count == Self.mostReasons {
                otherFailures += 1
                return
            }
            failures[reason, default: (0, [])].count += 1
            if failures[reason]?.paths.count ?? 0 < settings.perClass { failures[reason]?.paths.append(row.path) }
            return
        }
        for answer in row.answers {
            let task = file.tasks[answer.task]
            guard settings.tasks?.contains(task.name) ?? true else { continue }
            while tasks.count <= answer.task {
                tasks.append(TaskTiles(leastFit: RankedTiles(limit: settings.perClass)))
            }
            add(answer, row, isValues: task.isValues)
            guard tasks[answer.task].classes.count <= Self.mostClasses else {
                throw FileError(
                    path: path,
                    reason: "\(task.name) has more than \(Self.mostClasses) different labels: these are not classes")
            }
        }
    }

    private mutating func add(_ answer: LabelAnswer, _ row: LabelRow, isValues: Bool) {
        let limit = settings.perClass
        func tile(_ score: Double?, _ label: String? = nil) -> Gallery.Tile {
            Gallery.Tile(path: row.path, score: score, fit: answer.fit, label: label, row: row.line)
        }
        tasks[answer.task].isUsed = true
        tasks[answer.task].isValues = isValues
        if answer.score != nil { tasks[answer.task].hasScores = true }
        if answer.fit != nil { tasks[answer.task].hasFits = true }
        guard let reason = reason(answer, isValues) else {
            tasks[answer.task].labelled += 1
            for label in answer.labels {
                let tile = tile(label.score)
                var chosen =
                    tasks[answer.task].classes.removeValue(forKey: label.name)
                    ?? ClassTiles(surest: RankedTiles(limit: limit), leastSure: RankedTiles(limit: limit))
                chosen.count += 1
                chosen.surest.add(tile, key: label.score ?? 0)
                if let score = label.score { chosen.leastSure.add(tile, key: -score) }
                tasks[answer.task].classes[label.name] = chosen
            }
            if let fit = answer.fit {
                tasks[answer.task].leastFit.add(tile(answer.score, answer.labels.first?.name), key: -fit)
            }
            return
        }
        let names = answer.labels.map(\.name).joined(separator: ", ")
        tasks[answer.task].withheld[reason, default: RankedTiles(limit: limit)]
            .add(tile(answer.score, names.isEmpty ? nil : names), key: answer.score ?? 0)
    }

    /// Why an answer has no label; nil if it has one.
    private func reason(_ answer: LabelAnswer, _ isValues: Bool) -> String? {
        if let withheld = answer.withheld { return withheld }
        if answer.labels.isEmpty { return isValues ? "no value" : "no label" }
        if let minimum = settings.minimumFit, let fit = answer.fit, fit < minimum { return "fit below \(minimum)" }
        if let minimum = settings.minimumScore, !isValues, let score = answer.score, score < minimum {
            return "score below \(minimum)"
        }
        return nil
    }

    /// Checks that there are scores and fits if there is a lowest one.
    ///
    /// - Throws: `FileError` naming the task that has none.
    package func check(_ names: [LabelFile.Task], path: BytePath) throws(FileError) {
        for (task, chosen) in zip(names, tasks) where chosen.isUsed && !chosen.isValues {
            if settings.minimumScore != nil, !chosen.hasScores {
                throw FileError(path: path, reason: "\(task.name) has no scores")
            }
            if settings.minimumFit != nil, !chosen.hasFits {
                throw FileError(path: path, reason: "\(task.name) has no fits: there is no column \(task.name)_fit")
            }
        }
    }

    /// The gallery of all rows so far.
    package func gallery(of names: [LabelFile.Task]) -> Gallery {
        func group(_ title: String, _ tiles: RankedTiles) -> Gallery.Group {
            Gallery.Group(title: title, count: tiles.count, tiles: tiles.tiles)
        }
        let shown = zip(names, tasks).filter { $1.isUsed }.map { task, chosen in
            Gallery.Task(
                name: task.name, isValues: chosen.isValues, labelled: chosen.labelled,
                classes: chosen.classes.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
                    .map { $0.value.group($0.key) },
                withheld: chosen.withheld.sorted { $0.key < $1.key }.map { group($0.key, $0.value) },
                leastFit: chosen.leastFit.count > 0 ? group("fit least", chosen.leastFit) : nil)
        }
        return Gallery(
            pictures: pictures, failed: failed, tasks: shown,
            failures: failures.map { .init(reason: $0.key, count: $0.value.count, paths: $0.value.paths) }
                .sorted { ($1.count, $0.reason) < ($0.count, $1.reason) },
            otherFailures: otherFailures)
    }
}

/// The few pictures with the highest keys, the highest first; of equal ones the earlier rows.
private struct RankedTiles {
    private let limit: Int
    /// The number of pictures that were considered.
    private(set) var count = 0
    private var keys: [Double] = []
    private(set) var tiles: [Gallery.Tile] = []

    init(limit: Int) { self.limit = limit }

    mutating func add(_ tile: Gallery.Tile, key: Double) {
        count += 1
        guard tiles.count < limit || key > keys.last ?? .infinity else { return }
        var place = tiles.count
        while place > 0, key > keys[place - 1] { place -= 1 }
        keys.insert(key, at: place)
        tiles.insert(tile, at: place)
        if tiles.count > limit {
            keys.removeLast()
            tiles.removeLast()
        }
    }
}
