import Files

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

extension Evaluation {
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
