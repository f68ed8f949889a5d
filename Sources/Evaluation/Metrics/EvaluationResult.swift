package import Files
import Tensors

/// What was measured, of which model, and how: all that a report says.
package struct EvaluationResult: Sendable {
    /// The tasks in the order in which they were asked for.
    package let tasks: [TaskEvaluation]
    /// How the intervals of means were computed.
    package let bootstrap: BootstrapOptions
    /// The command's version.
    package let version: String
    /// What answered: paths, hashes, recipe.
    package let model: JSON

    /// The version of the format of `metrics.json`.
    package static let formatVersion = 1
    /// What `metrics.json` says that it is.
    package static let format = "mergevit-evaluation"

    /// An evaluation from its parts.
    package init(tasks: [TaskEvaluation], bootstrap: BootstrapOptions, version: String, model: JSON) {
        self.tasks = tasks
        self.bootstrap = bootstrap
        self.version = version
        self.model = model
    }

    /// How many images have no answer.
    package var failures: Int { tasks.reduce(0) { $0 + $1.answers.failures.count } }

    /// The mean accuracy of the tasks that have one, each counting the same; nil without any.
    package var meanAccuracy: Double? {
        let values = tasks.compactMap { $0.metrics?.top1.value }
        return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
}

extension EvaluationResult {
    /// `metrics.json`. It tells nothing of when and how fast it was made: the same images and model give the same bytes.
    package var json: JSON {
        .object([
            "format": .string(Self.format), "format_version": .int(Self.formatVersion), "version": .string(version),
            "settings": .object([
                "confidence": .double(ConfidenceInterval.level), "bootstrap_resamples": .int(bootstrap.resamples),
                "bootstrap_seed": .number(String(bootstrap.seed)),
                "calibration_bins": .int(ConfidenceCalibration.defaultBins),
            ]),
            "mean_top1": meanAccuracy.map(JSON.double) ?? .null,
            "images": .int(tasks.reduce(0) { $0 + $1.task.items.count }), "failed": .int(failures),
            "tasks": .array(tasks.map(\.json)), "model": model,
        ])
    }
}

extension EvaluationResult {
    /// `metrics.csv`: `task,class,metric,value,low,high`, a row a number. `class` is empty for what is about the whole
    /// task, and the output's name where images show values; cells of what is not known are empty.
    package var csv: [UInt8] {
        var rows = TextRows(["task", "class", "metric", "value", "low", "high"])
        for evaluated in tasks {
            let task = evaluated.task
            func add(_ name: String, class: String = "", _ estimate: Estimate?) {
                rows.append(
                    [task.name, `class`, name]
                        + [estimate?.value, estimate?.interval?.low, estimate?.interval?.high].map {
                            $0.map { "\($0)" } ?? ""
                        })
            }
            func add(_ name: String, class: String = "", count: Int) {
                rows.append([task.name, `class`, name, "\(count)", "", ""])
            }
            func add(_ found: ClassMetrics, class name: String, isLabel: Bool) {
                add("support", class: name, count: found.support)
                add("predicted", class: name, count: found.predicted)
                if isLabel { add("average_precision", class: name, found.averagePrecision.map { Estimate($0, nil) }) }
                add("precision", class: name, found.precision)
                add("recall", class: name, found.recall)
                add("f1", class: name, found.f1.map { Estimate($0, nil) })
            }
            add("images", count: task.items.count)
            add("failed", count: evaluated.answers.failures.count)
            add("unknown_images", count: task.unknownImages)
            for (name, estimate) in evaluated.estimates { add(name, estimate) }
            switch evaluated.result {
            case nil: break
            case .classes(let metrics):
                for (name, found) in zip(task.classes, metrics.perClass) { add(found, class: name, isLabel: false) }
            case .labels(let metrics):
                for (name, found) in zip(task.classes, metrics.perClass) { add(found, class: name, isLabel: true) }
            case .values(let metrics):
                for (name, errors) in zip(task.classes, metrics.perOutput) {
                    for (metric, estimate) in errors.estimates { add(metric, class: name, estimate) }
                }
            }
        }
        return rows.bytes
    }
}

/// Rows of CSV that are made of text.
struct TextRows {
    private let cells = DelimitedCells(delimiter: UInt8(ascii: ","))
    /// What is written so far.
    private(set) var bytes: [UInt8] = []

    /// Starts with the names of the columns.
    init(_ columns: [String]) { append(columns) }

    mutating func append(_ row: [String]) { cells.appendLine(row.map { Array($0.utf8) }, to: &bytes) }

    /// A path keeps its bytes.
    mutating func append(path: BytePath, _ rest: [String]) {
        cells.appendLine([path.bytes] + rest.map { Array($0.utf8) }, to: &bytes)
    }
}
