extension Study {
    /// How the rows and the page call a task's own adapter, and a head over the base as it is.
    package static let single = "single"
    package static let headOnly = "head-only"

    /// The names of the columns of `csv`.
    package static let columns = [
        "method", "size", "tasks", "task", "scale", "images", "accuracy", "low", "high", "single", "normalised",
        "normalised_low", "normalised_high", "head_only", "over_head_only", "over_head_only_low",
        "over_head_only_high",
    ]

    /// `study.csv`: a row for each task of each merge, after each task's head alone and own adapter; shares of 1 with
    /// 95 % intervals. `tasks` are joined by `+`; cells of what is not known are empty.
    package var csv: [UInt8] {
        var rows = TextRows(Self.columns)
        for task in tasks {
            rows.append(Self.row(Self.headOnly, [task.name], task, nil, task.headOnly))
        }
        for task in tasks {
            rows.append(Self.row(Self.single, [task.name], task, 1, task.single))
        }
        for result in results {
            for (name, marks) in zip(result.tasks, result.marks) {
                guard let task = task(name) else { continue }
                rows.append(Self.row(result.variant, result.tasks, task, result.scale, marks))
            }
        }
        return rows.bytes
    }

    private static func row(
        _ method: String, _ tasks: [String], _ task: StudyTask, _ scale: Double?, _ marks: CorrectnessMask
    ) -> [String] {
        func text(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
        func cells(_ estimate: Estimate?) -> [String] {
            [estimate?.value, estimate?.interval?.low, estimate?.interval?.high].map(text)
        }
        return [method, "\(tasks.count)", tasks.joined(separator: "+"), task.name, text(scale), "\(marks.count)"]
            + cells(marks.accuracy) + [text(task.single.accuracy?.value)] + cells(marks.ratio(to: task.single))
            + [text(task.headOnly.accuracy?.value)] + cells(marks.gain(over: task.headOnly))
    }
}
