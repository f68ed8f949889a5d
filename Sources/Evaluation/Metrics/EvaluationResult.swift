package import Files
import Tensors

/// The result of an evaluation: the metrics of every task, and which model was measured how.
package struct EvaluationResult: Sendable {
    /// The tasks in the requested order.
    package let tasks: [TaskEvaluation]
    /// The same images by each task's own adapter, if they were measured.
    package let own: OwnComparison?
    /// How the intervals of means were computed.
    package let bootstrap: BootstrapOptions
    /// The command's version.
    package let version: String
    /// A description of the model: paths, hashes, recipe.
    package let model: JSON

    /// The version of the format of `metrics.json`.
    package static let formatVersion = 1
    /// The `format` value of `metrics.json`.
    package static let format = "mergevit-evaluation"

    package init(
        tasks: [TaskEvaluation], own: OwnComparison? = nil, bootstrap: BootstrapOptions, version: String, model: JSON
    ) {
        (self.tasks, self.own) = (tasks, own)
        self.bootstrap = bootstrap
        self.version = version
        self.model = model
    }

    /// The number of images without a prediction.
    package var failures: Int { tasks.reduce(0) { $0 + $1.predictions.failures.count } }

    /// The mean top-1 accuracy of the tasks that have one, with equal weights; nil without any.
    package var meanAccuracy: Double? {
        let values = tasks.compactMap { $0.metrics?.top1.value }
        return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
}

extension EvaluationResult {
    /// `metrics.json`. It holds no times, so the same images and model give the same bytes.
    package var json: JSON {
        var object: JSONObject = [
            "format": .string(Self.format), "format_version": .int(Self.formatVersion), "version": .string(version),
            "settings": .object([
                "confidence": .double(ConfidenceInterval.level), "bootstrap_resamples": .int(bootstrap.resamples),
                "bootstrap_seed": .number(String(bootstrap.seed)),
                "calibration_bins": .int(ConfidenceCalibration.defaultBins),
            ]),
            "mean_top1": meanAccuracy.map(JSON.double) ?? .null,
            "images": .int(tasks.reduce(0) { $0 + $1.task.items.count }), "failed": .int(failures),
            "tasks": .array(tasks.map(\.json)), "model": model,
        ]
        if let own { object["own"] = own.json }
        return .object(object)
    }
}

extension EvaluationResult {
    /// `metrics.csv`: `task,class,metric,value,low,high`, one row per number. `class` is empty in rows about the whole
    /// task, and the output's name where images show values. Unknown values are empty cells.
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
            add("failed", count: evaluated.predictions.failures.count)
            add("unknown_images", count: task.unknownImages)
            for (name, estimate) in evaluated.estimates { add(name, estimate) }
            for (name, estimate) in own?.estimates(of: task.name) ?? [] { add(name, estimate) }
            for (name, value) in evaluated.fit?.values ?? [] { add("fit_\(name)", value.map { Estimate($0, nil) }) }
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

/// CSV made of text cells.
struct TextRows {
    private let cells = DelimitedCells(delimiter: UInt8(ascii: ","))
    /// The bytes so far.
    private(set) var bytes: [UInt8] = []

    /// Starts with a header row.
    init(_ columns: [String]) { append(columns) }

    mutating func append(_ row: [String]) { cells.appendLine(row.map { Array($0.utf8) }, to: &bytes) }

    /// Appends a row that begins with a path, whose bytes are kept.
    mutating func append(path: BytePath, _ rest: [String]) {
        cells.appendLine([path.bytes] + rest.map { Array($0.utf8) }, to: &bytes)
    }
}
