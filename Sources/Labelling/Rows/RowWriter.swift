import Datasets
package import Files
import VisionTransformers

/// Writes rows in one format.
protocol RowEncoder {
    /// Appends the header of the file.
    func appendHeader(to bytes: inout [UInt8])
    /// Appends the row of an input without labels.
    func appendFailure(path: [UInt8], status: [UInt8], to bytes: inout [UInt8])
    /// Appends the row, or rows, of a labelled input.
    ///
    /// - Parameter best: the name of the task that fits most, if any fits.
    func append(
        path: [UInt8], status: [UInt8], best: [UInt8]?, predictions: [RankedClasses], to bytes: inout [UInt8])
}

/// Formats logits and failures as rows, in a buffer that is flushed to the output between whole rows.
package final class RowWriter {
    /// The rows that are not flushed yet.
    private(set) var bytes: [UInt8] = []

    private let options: RowOptions
    private let tasks: [SelectedTask]
    private let encoder: any RowEncoder
    /// Whether every class gets a rank.
    private let ranksAll: Bool
    private var predictions: [RankedClasses]

    /// A writer for the rows of a model.
    ///
    /// - Throws: `UnknownTask` when the options name a task that is not among `tasks`; `LabellingError.options` when
    ///   they contradict each other, or two columns would have the same name.
    package init(tasks all: [TaskLabels], options: RowOptions) throws {
        guard options.topK >= 1 else { throw LabellingError.options("the number of answers must be at least 1") }
        guard !options.allScores || options.scores != .none else {
            throw LabellingError.options("all scores and no scores cannot both be written")
        }
        let tasks = try RowWriter.select(all, options)
        try RowWriter.check(options, tasks)
        let hasScores = options.scores != .none
        let cells = DelimitedCells(
            delimiter: UInt8(ascii: options.format == .tsv ? "\t" : ","), guardsFormulas: options.guardsFormulas)
        switch (options.format, options.layout) {
        case (.jsonl, _):
            encoder = JSONLineRows(
                tasks: tasks, topK: options.topK, hasScores: hasScores, allScores: options.allScores,
                hasBestTask: options.writesBestTask)
            for task in tasks where options.allScores || task.activation == .identity {
                try RowWriter.check(task.classes, "classes")
            }
        case (_, .wide):
            let rows = WideRows(
                cells: cells, tasks: tasks, topK: options.topK, hasScores: hasScores, allScores: options.allScores,
                hasBestTask: options.writesBestTask,
                separator: try LabelSeparator(options.labelSeparator, for: tasks))
            try RowWriter.check(rows.columns, "columns")
            encoder = rows
        case (_, .long):
            encoder = LongRows(
                cells: cells, tasks: tasks, hasScores: hasScores, allScores: options.allScores,
                hasBestTask: options.writesBestTask)
        }
        ranksAll = options.allScores && options.layout == .long && options.format != .jsonl
        predictions = tasks.map { _ in RankedClasses() }
        self.options = options
        self.tasks = tasks
    }

    /// The header of the file: the column names, or nothing for JSON Lines. For spreadsheets, a byte order mark comes
    /// first: Excel takes a table without one for text in the system's code page.
    package var header: [UInt8] {
        var header: [UInt8] = options.guardsFormulas ? [0xEF, 0xBB, 0xBF] : []
        encoder.appendHeader(to: &header)
        return header
    }

    /// Appends the header of the file.
    func appendHeader() { bytes += header }

    /// Appends the row of an input without labels.
    package func appendFailure(path: [UInt8], reason: String) {
        encoder.appendFailure(path: writtenPath(path), status: Array("error: \(reason)".utf8), to: &bytes)
    }

    /// Appends the row, or rows, of an image from the model's outputs: the logits of all its tasks, then their fits.
    /// Logits that are not finite give a row without labels.
    package func append(path: [UInt8], logits: UnsafeBufferPointer<Float>) -> PredictionOutcome {
        for task in tasks where !logits[task.logits].allSatisfy(\.isFinite) {
            appendFailure(path: path, reason: InputFailure.notFinite.reason)
            return .failed(.notFinite)
        }
        var (below, unfit): ([UInt8], [UInt8]) = ([], [])
        var best: (index: Int, fit: Float)?
        for (index, task) in tasks.enumerated() {
            let taskLogits = UnsafeBufferPointer(rebasing: logits[task.logits])
            switch task.activation {
            case .softmax:
                predictions[index].rank(
                    taskLogits, count: ranksAll ? .max : options.topK, scores: options.scores, threshold: task.threshold
                )
            case .sigmoid:
                predictions[index].pick(taskLogits, scores: options.scores, threshold: ranksAll ? nil : task.threshold)
            case .identity: predictions[index].take(taskLogits)
            }
            let fit = task.fit.map { logits[$0] }
            predictions[index].setFit(fit, minimum: task.minimumFit)
            if predictions[index].isBelowFit {
                unfit += [UInt8(ascii: " ")] + task.name
                continue
            }
            if predictions[index].isBelowThreshold { below += [UInt8(ascii: " ")] + task.name }
            if let fit, fit > best?.fit ?? 0 { best = (index, fit) }
        }
        var status: [UInt8] = unfit.isEmpty ? [] : Array("below fit:".utf8) + unfit
        if !below.isEmpty { status += (status.isEmpty ? "below threshold:" : "; below threshold:").utf8 + below }
        if status.isEmpty { status = Array("ok".utf8) }
        encoder.append(
            path: writtenPath(path), status: status, best: best.map { tasks[$0.index].name }, predictions: predictions,
            to: &bytes)
        return below.isEmpty ? .accepted : .belowThreshold
    }

    /// Appends the row, or rows, that an earlier run has written for an input.
    func append(_ row: UnsafeRawBufferPointer) { bytes.append(contentsOf: row) }

    /// Writes the rows in the buffer to the output.
    ///
    /// - Throws: `OutputError` as the output's `write(_:)` does.
    package func flush(to output: some RowOutput) throws(OutputError) {
        guard !bytes.isEmpty else { return }
        defer { bytes.removeAll(keepingCapacity: true) }
        try output.write(bytes)
    }

    /// The path as it is written into its row.
    private func writtenPath(_ path: [UInt8]) -> [UInt8] {
        guard let folder = options.currentFolder, path.first != slash else { return path }
        var rest = path[...]
        while rest.starts(with: [UInt8(ascii: "."), slash]) {
            rest = rest.dropFirst(2).drop { $0 == slash }
        }
        return folder.appending(Array(rest)).bytes
    }

    private static func select(_ all: [TaskLabels], _ options: RowOptions) throws -> [SelectedTask] {
        let names = options.tasks
        let named = (names ?? []) + options.thresholds.keys.sorted() + options.minimumFits.keys.sorted()
        for name in named where !all.contains(where: { $0.name == name }) {
            throw UnknownTask(name, tasks: all.map(\.name))
        }
        var selected: [SelectedTask] = []
        var start = 0
        for task in all {
            let logits = start..<(start + task.classes.count)
            start = logits.upperBound
            guard names?.contains(task.name) ?? true else { continue }
            guard !task.classes.isEmpty else { throw LabellingError.options("task \"\(task.name)\" has no classes") }
            let defaultThreshold = task.activation == .sigmoid ? RowOptions.sigmoidThreshold : nil
            selected.append(
                SelectedTask(
                    name: Array(task.name.utf8), classes: task.classes.map { Array($0.utf8) },
                    activation: task.activation,
                    threshold: task.activation == .identity
                        ? nil : options.thresholds[task.name] ?? options.threshold ?? defaultThreshold,
                    logits: logits, fit: all.fitPlace(of: task.name),
                    minimumFit: options.minimumFits[task.name] ?? options.minimumFit))
        }
        guard !selected.isEmpty else { throw LabellingError.options("there is no task to write") }
        try check(selected.map(\.name), "tasks")
        return selected
    }

    /// Refuses options that apply to none of the tasks.
    private static func check(_ options: RowOptions, _ tasks: [SelectedTask]) throws {
        for name in options.thresholds.keys.sorted() {
            guard let task = tasks.first(where: { $0.name == Array(name.utf8) }) else {
                throw LabellingError.options("a threshold for task \"\(name)\", which is not written")
            }
            guard task.activation != .identity else {
                throw LabellingError.options(
                    "a threshold for task \"\(name)\", whose head has no activation: it gives no probabilities")
            }
        }
        if options.threshold != nil, tasks.allSatisfy({ $0.activation == .identity }) {
            throw LabellingError.options("a threshold, but no task gives probabilities: their heads have no activation")
        }
        for name in options.minimumFits.keys.sorted() {
            guard let task = tasks.first(where: { $0.name == Array(name.utf8) }) else {
                throw LabellingError.options("a smallest fit for task \"\(name)\", which is not written")
            }
            guard task.fit != nil else { throw LabellingError.noFit(task: name) }
        }
        if options.minimumFit != nil || options.writesBestTask, tasks.allSatisfy({ $0.fit == nil }) {
            throw LabellingError.noFit(task: nil)
        }
        if options.topK > 1, !tasks.contains(where: { $0.activation == .softmax }) {
            throw LabellingError.options(
                "the \(options.topK) best answers are asked for, but no task has a softmax; the labels of a "
                    + "task with a sigmoid are those that reach the threshold")
        }
    }

    /// Refuses names that occur twice, since readers could not tell them apart.
    private static func check(_ names: [[UInt8]], _ what: String) throws {
        var distinct = Set<[UInt8]>()
        for name in names where !distinct.insert(name).inserted {
            throw LabellingError.options("two \(what) would have the name \"\(String(decoding: name, as: UTF8.self))\"")
        }
    }
}
